// Package backfill runs an experiment over recorded data as one batch: files, or
// a bounded range of topics, in, a Parquet dataset out. It belongs to stage 6 and
// puts the very Worker of a stream between other ends.
//
//	plan.go      what is backfilled, and its fingerprint
//	lane.go      sources → lanes, each a stream of records; what is read of each
//	unit.go      lanes → units, which are read in any order and by anyone
//	shuffle.go   units → spills: records by split, sorted
//	scratch.go   the directory of the spills; going on where a crash left off
//	feed.go      one split's records, in order, as a Transport
//	split.go     one split: feed → Worker → parts of the dataset, dead letters
//	finish.go    all splits → _SUCCESS, the account
//	run.go       all of it
//
// A split is the records whose partition key has one hash: what joins with one
// another is in one split. DESIGN.md has the guarantees.
package backfill
