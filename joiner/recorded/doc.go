// Package recorded reads recorded events from files: it is the file end of the
// way into stage 1, joiner/clean, for replay, backfill and debugging, as
// experiments/kafka is the topic end.
//
//	expand.go  patterns → files, sorted, each once
//	format.go  plain, gzip or zstd, by content
//	lines.go   one file → lines, with bounded memory
//	files.go   several files, one after another
//	merge.go   several sources at once, in order of event time
//	pace.go    as fast as it once happened, or a multiple of that
//
// It knows nothing of what a line holds: the time and the key of a line come
// from a function of the caller's.
package recorded
