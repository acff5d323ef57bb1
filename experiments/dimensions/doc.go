// Package dimensions reads the dimensions of the rows of a plan: it is where
// stage 6 wires stage 4, dimjoin, to stores. It opens every table that rows need
// once, whichever experiments and pipelines declare it, with a reader over it, and
// implements experiments.Dimensions for each pipeline.
//
//	open.go     which store a declaration names → a dimjoin.Table
//	options.go  what a declaration says of reading → dimjoin.Options
//	streams.go  tables that change streams keep up to date: changing runs them
//	group.go    dimensions of one store that differ in their fields: read as one
//	set.go      all tables of a plan
//	read.go     what a pipeline reads of them
//	clusters.go two stores with the same rows as one table
//	status.go   what metrics and status show
package dimensions
