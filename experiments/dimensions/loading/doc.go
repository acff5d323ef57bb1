// Package loading fills the store of a dimension out of recorded rows, aside:
// readers see the old rows until all of the new ones are there. It is part of stage
// 6: before it files, after it the tables of package dimjoin.
//
//	decode.go  a line of JSON → records
//	target.go  a store that is filled
//	load.go    all lines into all stores, one store after another
//	mark.go    how far a load has come, for one that goes on
package loading
