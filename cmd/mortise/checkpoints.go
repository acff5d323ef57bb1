package main

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// bucketCheckpoints is experiments.Checkpoints over an object store and a state
// directory.
type bucketCheckpoints struct {
	checkpoints *checkpoint.Checkpoints
	bucket      *objectstore.Bucket
	db          *disk.DB
}

// openCheckpoints opens the place where checkpoints are kept, and makes sure that
// it can be reached: copies that fail would be missed only when they are needed.
func openCheckpoints(ctx context.Context, place string, db *disk.DB, opts checkpoint.Options) (*bucketCheckpoints, error) {
	bucket, err := objectstore.Open(ctx, place)
	if err != nil {
		return nil, fmt.Errorf("opening checkpoints: %w", err)
	}
	if err := bucket.Reach(ctx); err != nil {
		_ = bucket.Close()
		return nil, fmt.Errorf("opening checkpoints: %w", err)
	}
	return &bucketCheckpoints{checkpoint.New(bucket, opts), bucket, db}, nil
}

// Restore implements experiments.Checkpoints.
func (b *bucketCheckpoints) Restore(ctx context.Context, task string, accept func(meta []byte) bool) (experiments.Restored, error) {
	got, err := b.checkpoints.Restore(ctx, task, b.db, accept)
	if err != nil || got == nil {
		return experiments.Restored{}, err
	}
	return experiments.Restored{Meta: got.Meta, Bytes: got.Bytes, Files: got.Files}, nil
}

// Capture implements experiments.Checkpoints.
func (b *bucketCheckpoints) Capture(task string, store joiner.Store) (func(context.Context) (experiments.Saved, error), error) {
	s, ok := store.(*disk.Store)
	if !ok {
		return nil, fmt.Errorf("capturing task %q: its state is a %T, not on disk", task, store)
	}
	capture, err := s.Capture()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (experiments.Saved, error) {
		saved, err := b.checkpoints.Save(ctx, task, capture)
		if err != nil {
			return experiments.Saved{}, err
		}
		return experiments.Saved{Bytes: saved.Bytes, TotalBytes: saved.TotalBytes, Files: saved.Files}, nil
	}, nil
}

// Close releases the object store.
func (b *bucketCheckpoints) Close() error { return b.bucket.Close() }

var _ experiments.Checkpoints = (*bucketCheckpoints)(nil)
