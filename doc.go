// Package mortise is the shared vocabulary of the pipeline: records as sources
// deliver them, schemas and values, dead letters, and the ledger that accounts
// for every record. It imports the standard library only, and every stage
// imports it; stages do not know one another.
//
// The way of the data, a package a stage:
//
//	1 joiner/clean  raw record → event: key, event time, where, derive
//	2 joiner        hold every impression, attach its labels, close it on time
//	3 features      as-of features
//	4 dimjoin       dimension rows
//	5 instances     columns, sampling, encoding
//	6 experiments   wires the stages for one or many experiment files and runs them
package mortise
