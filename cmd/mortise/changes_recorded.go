package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/dimensions/changing"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// recordedChanges are the tables of a batch: those whose changes are recorded, in
// files or topics, are made of them, for as long as the batch runs; the others are
// read where they are.
type recordedChanges struct {
	set *dimensions.Set
	dir string

	unreadable atomic.Int64
	first      atomic.Pointer[string]
}

// splitChanges takes the inputs that are changes of dimensions out of others.
func splitChanges(plan *experiments.Plan, named []input) (sources, changes []input) {
	for _, in := range named {
		if findSource(plan, in.name) == nil && changesOf(plan, in.name) != nil {
			changes = append(changes, in)
			continue
		}
		sources = append(sources, in)
	}
	return sources, changes
}

// recordedDimensions opens the tables of a batch. The changes that files do not
// have are read of their topics, where there are brokers.
func (c *console) recordedDimensions(ctx context.Context, plan *experiments.Plan, scratch string, files []input, cl *cluster) (rc *recordedChanges, err error) {
	rc = &recordedChanges{}
	defer func() {
		if err != nil {
			err = errors.Join(err, rc.close())
		}
	}()
	o := dimensions.Options{Recorded: map[string]bool{}}
	for _, in := range files {
		o.Recorded[in.name] = true
	}
	var topics []string
	if cl != nil {
		for _, topic := range dimensions.ChangeTopics(plan) {
			if !o.Recorded[topic] {
				topics = append(topics, topic)
				o.Recorded[topic] = true
			}
		}
	}
	if len(o.Recorded) > 0 {
		if err := os.MkdirAll(scratch, 0o777); err != nil {
			return nil, fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
		}
		if rc.dir, err = os.MkdirTemp(scratch, "changes-"); err != nil {
			return nil, fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
		}
		o.Scratch = rc.dir
	}
	o.Patient = true
	if rc.set, err = c.dimensions(ctx, plan, o); err != nil {
		return nil, err
	}
	if err := rc.fillFiles(ctx, files); err != nil {
		return nil, err
	}
	if err := rc.fillTopics(ctx, topics, cl); err != nil {
		return nil, err
	}
	if n := rc.unreadable.Load(); n > 0 {
		c.logger().Warn("changes of dimensions that cannot be read are left out", "records", n, "first", *rc.first.Load())
	}
	return rc, nil
}

// letter counts a record that cannot be read.
func (rc *recordedChanges) letter(dl *mortise.DeadLetter) error {
	if rc.unreadable.Add(1) == 1 {
		first := fmt.Sprintf("%s[%d] %d: %s", dl.Topic, dl.Partition, dl.Offset, dl.Detail)
		rc.first.Store(&first)
	}
	return nil
}

// streams are those over the topics.
func (rc *recordedChanges) streams(topics map[string]bool) (all []*changing.Stream) {
	for _, s := range rc.set.Kept() {
		if topics[s.Topic()] {
			all = append(all, s)
		}
	}
	return all
}

func (rc *recordedChanges) fillFiles(ctx context.Context, named []input) error {
	topics := map[string]bool{}
	for _, in := range named {
		topics[in.name] = true
	}
	filler, err := changing.NewFiller(ctx, rc.streams(topics), changing.Options{Letters: rc.letter})
	if err != nil {
		return err
	}
	for _, in := range named {
		if err := fillChanges(ctx, filler, in); err != nil {
			return fmt.Errorf("--input %s: %w", in.name, err)
		}
	}
	return filler.Finish(ctx)
}

func fillChanges(ctx context.Context, filler *changing.Filler, in input) (err error) {
	files, err := inputs.Open(ctx, nil, in.patterns...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		place := recordOf(&line)
		place.Value = line.Data
		if err := filler.Add(ctx, in.name, place); err != nil {
			return err
		}
	}
}

// changeFiles tells the files of recorded changes from others, by the inputs' names.
func changeFiles(ctx context.Context, named []input) (map[string][]string, error) {
	all := map[string][]string{}
	for _, in := range named {
		files, err := inputs.Open(ctx, nil, in.patterns...)
		if err != nil {
			return nil, fmt.Errorf("--input %s: %w", in.name, err)
		}
		all[in.name] = append(all[in.name], backfill.Files{Files: files}.Identity()...)
		if err := files.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// recordOf is a record that says where a line is.
func recordOf(line *recorded.Line) *mortise.Record {
	return &mortise.Record{Topic: line.File, Offset: line.Number}
}

// fillTopics reads topics up to where they end now.
func (rc *recordedChanges) fillTopics(ctx context.Context, names []string, cl *cluster) error {
	if len(names) == 0 {
		return nil
	}
	topics := map[string]bool{}
	for _, name := range names {
		topics[name] = true
	}
	log, err := kafka.OpenLog(ctx, cl.Connection, names, changesHoldBytes)
	if err != nil {
		return err
	}
	defer log.Close()
	return changing.NewKeeper(log, rc.streams(topics), changing.Options{UntilEnd: true, Letters: rc.letter}).Run(ctx)
}

func (rc *recordedChanges) close() (err error) {
	if rc == nil {
		return nil
	}
	err = rc.set.Close()
	if rc.dir != "" {
		err = errors.Join(err, os.RemoveAll(rc.dir))
	}
	return err
}
