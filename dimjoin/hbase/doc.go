// Package hbase reads a dimension table out of HBase. It is below dimjoin, stage 4 of
// 6: a dimjoin.Table, its Writer, and dimjoin.Versioned.
//
// A row's key is the dimension's key as text, a lone backslash for the empty one; its
// fields are the columns FAMILY:FIELD, as text (dimjoin.ParseText), so that any
// program and the HBase shell can write them. A column that a row lacks is null.
//
// History is what HBase keeps by itself: a cell's timestamp, in ms, is the time from
// which it holds, and reading as of a time is reading cells no younger. The column
// family has to keep as many versions as are to be read. The Writer adds a column
// @row, which says which fields became null at that time, or that the row ended:
// deleting cells would take their history along.
//
// Where a load has made versions, the columns of one begin with its mark, MARK@FIELD,
// and the row \versions says in @current which mark and version are read. A batch
// reads rows and that cell side by side, so that a switch is seen at once and no
// batch has rows of two versions.
//
// gohbase gathers the requests of many goroutines into one for each region server; it
// knows no other way to ask for many rows. So a batch is read by a bounded number of
// goroutines, which end with it.
package hbase
