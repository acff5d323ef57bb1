// Package tiling keeps the tiles of a plan's features up to date: it reads their
// sources and writes into a features.Store, beside the workers that read from it.
// It is part of stage 6: before it the sources' topics or files, after it package
// features, and Enrichment, through which workers read.
//
// A source's tiles and how far it has been read are committed in one, to the
// store, so that every event counts once whatever happens. No offset of a
// consumer group is involved.
//
// Features that were declared at one time are a generation: they have the same
// past. A feature that is added later begins a generation of its own, which reads
// what the topics still hold and leaves the others alone.
package tiling
