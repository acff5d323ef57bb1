// Package compare finds how two sets of instances differ: which rows only one
// side has, which columns of the others changed, and why, where the rows tell.
// It belongs to stage 5 of 6 and stands beside the encoders: before it whatever
// reads rows back, from a topic, a dataset or JSON lines; after it `mortise diff`.
//
// Both sides may be larger than memory: rows are sorted by instance within a
// budget, spilled through an interface of the caller's, and merged. The outcome
// depends on the rows alone, not on their order.
package compare
