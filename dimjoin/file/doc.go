// Package file keeps a dimension table that is one file, of CSV, JSON lines or
// Parquet, in memory. It is below dimjoin, stage 4 of 6: a dimjoin.Table without a
// server.
//
//	options.go  what a table is opened with
//	table.go    the open table: lookups, and reading the file again when it changes
//	place.go    where the file lies
//	load.go     file → rows: what is wanted of it, and what is wrong with it
//	text.go, csv.go, jsonl.go, columns.go  the formats
//	contents.go, versions.go  the rows in memory, compact, and which is valid when
package file
