// Package changing keeps the tables of dimensions up to date from change streams:
// it reads the topics that Debezium or Canal write, merges what they say into the
// rows, and writes those into the dimension's store, beside the workers that read
// from it. It is part of stage 6: before it the topics, after it the tables of
// package dimjoin.
//
// A Keeper keeps tables with history that are this process's own: it reads all
// partitions, and writes rows and offsets in one. A Shared keeps the latest rows in
// a store that workers share: a consumer group shares the partitions out, and rows
// are written before offsets are committed, so that a change may be written twice,
// to the same end. A Filler reads recorded changes for a backfill.
package changing
