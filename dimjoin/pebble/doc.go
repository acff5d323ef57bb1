// Package pebble keeps a dimension table in an embedded Pebble: on the disk of the
// one process that has it open. It is below dimjoin, stage 4 of 6: a dimjoin.Table,
// its Writer, and dimjoin.Versioned.
//
// A row is kept by its key and the time from which it holds, newest first, so that
// reading as of a time is one seek. DESIGN.md says what lies where.
package pebble
