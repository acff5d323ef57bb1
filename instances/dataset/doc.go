// Package dataset is stage 5's second end: it publishes instances as a folder of
// Parquet files, in a directory or an object store, so that nothing is in it
// twice or by half, whoever crashes and whenever. Before it: whoever has rows in
// an order that can be repeated, a topic's partition or a backfill's split.
// After it: trainers, who read *.parquet with any client.
//
// DESIGN.md says what is promised, and how.
package dataset
