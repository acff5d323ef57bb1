// Package redis reads a dimension table out of Redis: one server, one behind
// sentinels, or a cluster. It is below dimjoin, stage 4 of 6: a dimjoin.Table, its
// Writer, and dimjoin.Versioned.
//
// A row is a hash, whose fields are the dimension's as text (any program can write
// it), or one string in dimjoin's packed form, which is read twice as fast:
//
//	PREFIX:KEY           a row, where the table has no versions
//	PREFIX@VERSION:KEY   a row of a version
//	PREFIX@current       the version that is read
//	PREFIX@versions      the set of versions that were begun
//
// A batch is one pipeline to each server that has a part of it, and reads
// PREFIX@current last: if it is still the version whose rows were asked for, these
// are all of it; otherwise the batch is read again. Where servers are several, one
// may have dropped rows after another told the version: then, and only then, rows
// that are missing make the batch ask for the version once more. In the layout of
// hashes a row of nulls looks like none: a batch with keys that seem to have no row
// asks which of them are there, in a second pipeline.
package redis
