// Package disk keeps a task's logs in append-only segment files and their
// manifest in Pebble. It is the joiner.Store for production, in stage 2, the
// join; joiner/segment is the file format below it.
//
// One DB serves a process: a state directory with one small Pebble for all
// tasks' manifests, and a folder of segment files per task. DESIGN.md says what
// a commit promises and why it holds.
package disk
