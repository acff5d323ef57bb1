// Package segment is the file format of the joiner's logs: bytes in, bytes out.
// It belongs to stage 2, the join; joiner/disk stands on it and does the I/O.
//
// A file holds entries of one log and one bucket of event time, in one of two
// layouts. Blocks: compressed batches, for what is scanned. Frames: single
// uncompressed entries, for what is looked up. A Block is a batch in memory,
// whether still growing or read back, in either layout; a Merge reads many
// blocks in cursor order and opens each as late as it can. DESIGN.md has the
// bytes and the reasons.
package segment
