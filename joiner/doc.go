// Package joiner is stage 2 of 6, the join: it holds every impression open
// until its deadline, attaches the labels that fall into its windows, and
// closes it exactly once. Before it: joiner/clean, which turns raw records into
// events. After it: features.
//
// The core is pure: (state, event | watermark) → (state, outputs). It reads no
// clock, no network, and starts no goroutine. State stands behind Store; see
// joiner/memory and joiner/disk.
package joiner
