// Package parquet reads rows of Parquet files as JSON objects. It is a leaf of
// joiner/recorded, for the file end of the way into stage 1; what comes after it
// cannot tell a row from a line of JSON.
//
//	table.go    opening a file: what columns there are, which can be read as what
//	schema.go   the file's schema as a tree, with levels
//	shape.go    a column's shape: a single value or a list
//	convert.go  a column's type and the declared one → how a value is written
//	values.go   the writers of values
//	decimal.go  decimals, exactly
//	cursor.go   the values of a column chunk, page by page
//	rows.go     columns side by side → objects
//
// Columns are found by name. Only those that are asked for are read, a page of
// each at a time, so memory is a page and a buffer per column, whatever the
// file's size. A file that is damaged gives errors; the library's panics on
// contradictory files are turned into such.
package parquet
