// Package memory keeps a task's logs in memory. It is the joiner.Store for runs
// that need not outlive their process, and for tests, in stage 2, the join. What
// was committed outlives the store that committed it, within its Disk.
package memory
