// Package pebble keeps tiles in an embedded Pebble, which all tasks of a process
// share. It is below features, stage 3 of 6: a features.Store on disk.
//
// Commits are blind: chunks are Pebble's merge operands, and merge when they are
// read and when tables are compacted. A commit is one batch: the chunks, the
// position that belongs to them, and the ranges that expired.
package pebble
