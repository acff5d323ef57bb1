// Package features is stage 3 of 6, the as-of features: declared aggregations
// over a stream per entity, read as they stood at the impression's time. Before
// it: joiner, which closes impressions. After it: dimjoin.
//
// A feature is kept as tiles, mergeable partial aggregates over small spans of
// event time. An instance with impression time t reads the tiles in
// [floor(t-window), floor(t)), floor to the tile, so that it never sees its own
// click. An aggregate over nothing is 0 for count, sum and distinct, an empty
// list for last_n, null otherwise.
//
// This file set holds the definitions and their checks, which are pure: no
// clock, no files.
package features
