package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
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
	reach, cancel := context.WithTimeout(ctx, reachWithin) // not for Open: credentials are renewed under its context
	defer cancel()
	if err := bucket.Reach(reach); err != nil {
		_ = bucket.Close()
		return nil, fmt.Errorf("opening checkpoints: %w", err)
	}
	return &bucketCheckpoints{checkpoint.New(bucket, opts), bucket, db}, nil
}

// reachWithin bounds the first contact with the place of the checkpoints.
const reachWithin = 20 * time.Second

// checkpoints opens the place of a pipeline's checkpoints: the flag's, else that of
// the first of its experiments that names one; nil when none does.
func (c *console) checkpoints(ctx context.Context, f *runFlags, p *experiments.Pipeline, db *disk.DB, group, worker string) (*bucketCheckpoints, time.Duration, error) {
	var at spec.Checkpoint
	for _, e := range p.Experiments {
		if at = e.Checkpoint; at.Path != "" {
			break
		}
	}
	place := cmp.Or(f.checkpoint, at.Path)
	if place == "" {
		return nil, 0, nil
	}
	b, err := openCheckpoints(ctx, place, db, checkpoint.Options{Keep: at.Keep, Writer: worker, Owner: group, Log: c.logger()})
	return b, cmp.Or(f.checkpointEvery, at.Every), err
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

// Forget implements experiments.Checkpoints.
func (b *bucketCheckpoints) Forget(task string) { b.checkpoints.Release(task) }

// Close releases the object store.
func (b *bucketCheckpoints) Close() error { return b.bucket.Close() }

var _ experiments.Checkpoints = (*bucketCheckpoints)(nil)
