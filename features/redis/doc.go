// Package redis keeps tiles in Redis, or in a cluster of it, which many workers
// share. It is below features, stage 3 of 6: a features.Store across the network.
//
// What a task writes lies in one slot: its tiles, its position, and the list of
// what may expire, so that a commit is one transaction on one server. DESIGN.md
// says how keys are laid out.
package redis
