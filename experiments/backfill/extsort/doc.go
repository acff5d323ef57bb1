// Package extsort sorts more records than memory holds, apart for each split: the
// middle of experiments/backfill, between the inputs that are read in any order
// and the splits that are joined in order of event time. It belongs to stage 6.
//
//	record.go  a record, and the order of records
//	sorter.go  records in memory → a sorted run for every split
//	writer.go  runs → one spill file
//	spill.go   a spill file, opened: what it holds of each split
//	run.go     one run, read block by block
//	merge.go   runs → one sequence in order
//	passes.go  many spills → few
//
// It knows bytes, times and positions; what a record means, and which split it
// belongs to, is the caller's.
package extsort
