// Package checkpoint copies the state of tasks to a bucket, incrementally, and
// back. It belongs to stage 2, the join: joiner/disk is the state that it copies,
// and experiments decides when. The bucket is the caller's, behind an interface
// of four methods; internal/objectstore has directories, S3, GCS and Azure.
//
// DESIGN.md says what is promised and why clearing up can't hurt a restore.
package checkpoint
