package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/instances/profile"
	page "github.com/mortise-dev/mortise/instances/report"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

// backfillReport is the page about what a backfill has written, by whichever run
// and shard: the dataset is read back.
func (c *console) backfillReport(ctx context.Context, f *backfillFlags, p *experiments.Pipeline, out *objectstore.Bucket, r *backfill.Report, took time.Duration) (*page.Report, error) {
	rows, err := c.profileDataset(ctx, p, out, f)
	if err != nil {
		return nil, fmt.Errorf("reading %s for the report: %w", out, err)
	}
	e := page.Experiment{Name: r.Experiment, Version: r.Version, Config: p.Experiments[0].Hash, DelayMS: p.Join.DelayMS, Ledger: &r.Ledger, Profile: rows.Summary()}
	if !r.Complete {
		e.Notes = append(e.Notes, fmt.Sprintf("%d of %d splits are finished: other shards have still to do theirs.", r.Finished, r.Splits))
	}
	e.Notes = append(e.Notes, r.Warnings...)
	e.Facts = []page.Fact{
		{Name: "dataset", Value: r.Out},
		{Name: "size", Value: fmt.Sprintf("%s rows, %s in %s, %s", thousands(r.Rows), size(r.Bytes), count(r.Files, "file"), count(r.Hours, "hour"))},
		{Name: "dead letters", Value: letters(r, f)},
		{Name: "inputs", Value: strings.Join(f.inputs, "  ")},
		{Name: "took", Value: took.Round(time.Second / 10).String()},
	}
	what := "a backfill"
	if f.from != "" {
		what += " from " + f.from
	}
	if f.to != "" {
		what += " to " + f.to
	}
	return &page.Report{Title: r.Experiment, Subtitle: what, Experiments: []page.Experiment{e}}, nil
}

// profileDataset profiles the rows of a dataset, several files at once.
func (c *console) profileDataset(ctx context.Context, p *experiments.Pipeline, b *objectstore.Bucket, f *backfillFlags) (*profile.Profile, error) {
	bar := c.progress("reading back for the report", -1, inRecords)
	defer bar.done()
	var mu sync.Mutex
	whole := p.NewProfile(0)
	g, ctx := errgroup.WithContext(ctx)
	keys := make(chan string)
	for range f.workers {
		g.Go(func() error {
			own := p.NewProfile(0)
			for key := range keys {
				if err := profileFile(ctx, own, b, key, f.scratch); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			whole.Merge(own)
			bar.set(whole.Rows())
			return nil
		})
	}
	g.Go(func() error {
		defer close(keys)
		return dataset.Objects(ctx, b, func(o dataset.Object) error {
			select {
			case keys <- o.Key:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return whole, g.Wait()
}

func profileFile(ctx context.Context, into *profile.Profile, b *objectstore.Bucket, key, tempDir string) error {
	r, err := dataset.OpenFile(ctx, b, key, tempDir)
	if err != nil {
		return err
	}
	defer r.Close()
	batch := make([]instances.Instance, 256)
	for {
		n, err := r.Read(batch)
		for i := range batch[:n] {
			into.Add(&batch[i])
		}
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
}
