// Package shuffle moves the records of a topic that is keyed otherwise into an
// internal topic in which they lie where their partition_by puts them. It stands
// before stage 1 of those sources that ask for it: a Shuffler reads the topic in
// a consumer group of its own and writes the internal one, which the pipeline's
// tasks then read in its place.
//
// Features whose tiles workers share have their sources shuffled the same way, by
// their entities; of those records only what the features read goes through.
//
// A join's records go through as they are, each with a header that says where it lay.
// Between them go markers that say how far each partition of the topic, an
// origin, has come in event time: tasks derive their watermark from those, since
// what mixes in an internal partition may be hours apart. Records, markers and
// offsets are committed together, so all of it is exactly once.
package shuffle
