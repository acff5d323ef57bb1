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
// The engine is used in four steps:
//
//	set, err := features.Compile(definitions, sources)       // which tiles, and how each feature is read from them
//	w, err := features.OpenWriter(ctx, set, store, options)  // a task: w.Position() says where it goes on
//	w.Add(source, row, timeMS); w.Commit(ctx, offsets, watermark)
//	r, err := features.OpenReader(ctx, set, store, options)
//	r.Refresh(ctx); r.Read(ctx, lookups)                     // many entities and times at once
//
// A Store keeps the tiles: features/memory, features/pebble, features/redis, which
// features/featurestest holds to the same. Everything here is pure but for what a
// Store does: no clock, no files. DESIGN.md says how it holds together.
package features
