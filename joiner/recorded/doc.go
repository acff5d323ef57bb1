// Package recorded reads recorded events from files: it is the file end of the
// way into stage 1, joiner/clean, for replay, backfill and debugging, as
// experiments/kafka is the topic end.
//
//	expand.go, glob.go, objects.go  patterns → files, sorted, each once
//	folders.go                      what dt=2019-11-24 in a path says
//	place.go, object.go, ahead.go   where bytes are: here, or in an object store
//	format.go                       what a file holds, by its beginning and its name
//	check.go                        every file looked into, and how they agree
//
//	text.go → lines.go              one text → JSON lines, with bounded memory
//	        → csv.go                       → rows of CSV, cells typed by texts.go, times.go
//	table.go                        rows of columns; parquet is the leaf that reads them
//	member.go                       a field of such rows, and its JSON
//
//	files.go   several files, one after another
//	unit.go    the same in pieces, for several goroutines
//	merge.go   several sources at once, in order of event time
//	pace.go    as fast as it once happened, or a multiple of that
//
// Whatever a file is written in, what comes out is one JSON object a record; JSON
// lines pass through as they are. A record that does not fit the declared types
// comes out as the JSON nearest to it: refusing it is stage 1's part. The time and
// the key of a line come from a function of the caller's.
package recorded
