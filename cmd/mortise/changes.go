package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin/changes"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/dimensions/changing"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// changeFeeds keep the tables of dimensions up to date while a run works:
//
//	topics of changes → keeper → this process's own tables
//	                  → a group → stores that workers share
type changeFeeds struct {
	log     *kafka.Log
	keeper  *changing.Keeper
	shared  []*changing.Shared
	letters *kafka.Publisher // nil without
}

// changesHoldBytes is how much of a partition of changes is fetched ahead.
const changesHoldBytes = 4 << 20

// changes makes what the streams of a set need; nothing where there are none.
func (c *console) changes(ctx context.Context, f *runFlags, plan *experiments.Plan, set *dimensions.Set, cl *cluster, worker string, files *letterFiles, inputDone <-chan struct{}) (cf *changeFeeds, err error) {
	cf = &changeFeeds{}
	kept, written := set.Kept(), set.Written()
	if len(kept)+len(written) == 0 {
		return cf, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, cf.close())
		}
	}()
	opts := changing.Options{CommitEvery: f.commitEvery, UntilEnd: f.untilEnd, InputDone: inputDone, AcceptGap: f.acceptGap, Log: c.logger()}
	if opts.Letters, err = cf.lettersOf(ctx, plan, cl, files); err != nil {
		return nil, err
	}
	if len(kept) > 0 {
		if cf.log, err = kafka.OpenLog(ctx, cl.Connection, changing.Topics(kept), changesHoldBytes); err != nil {
			return nil, err
		}
		cf.keeper = changing.NewKeeper(cf.log, kept, opts)
	}
	for _, w := range written {
		t, err := cl.join(ctx, kafka.Options{Group: w.Group, Inputs: []string{w.Topic()}, TransactionalID: w.Group + "." + worker, BufferBytes: 1})
		if err != nil {
			return nil, err
		}
		cf.shared = append(cf.shared, changing.NewShared(t, w.Stream, opts))
	}
	return cf, nil
}

// lettersOf makes what sends on the records that cannot be read, each before its
// offset is committed: to where the dead letters of the experiment go that
// declares the dimension.
func (cf *changeFeeds) lettersOf(ctx context.Context, plan *experiments.Plan, cl *cluster, files *letterFiles) (func(*mortise.DeadLetter) error, error) {
	topicOf := map[string]string{} // by experiment; empty for a file
	var topics []string
	for _, d := range plan.Dimensions() {
		if d.Definition.Changes == nil {
			continue
		}
		topic := d.Experiment.Output.DeadLetter.Topic
		topicOf[d.Experiment.Name] = topic
		if topic != "" && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	if len(topics) > 0 {
		var err error
		if cf.letters, err = kafka.OpenPublisher(ctx, kafka.PublisherOptions{Connection: cl.Connection, Topics: topics}); err != nil {
			return nil, err
		}
	}
	return func(dl *mortise.DeadLetter) error {
		line, topic := experiments.EncodeLetter(dl), topicOf[dl.Experiment]
		if topic == "" {
			return files.write(dl.Experiment, line)
		}
		if err := cf.letters.Publish(topic, nil, line, time.Now().UnixMilli()); err != nil {
			return err
		}
		return cf.letters.Flush(ctx)
	}, nil
}

// run keeps the tables up to date until ctx ends.
func (cf *changeFeeds) run(ctx context.Context, g *errgroup.Group) {
	if cf.keeper != nil {
		g.Go(func() error { return cf.keeper.Run(ctx) })
	}
	for _, one := range cf.shared {
		g.Go(func() error { return one.Run(ctx) })
	}
}

// close closes what is open.
func (cf *changeFeeds) close() (err error) {
	if cf == nil {
		return nil // a crew that never came as far
	}
	if cf.letters != nil {
		cf.letters.Close()
	}
	for _, one := range cf.shared {
		err = errors.Join(err, one.Close())
	}
	if cf.log != nil {
		cf.log.Close()
	}
	return err
}

// changesOf finds a dimension whose changes come out of a topic; nil when there is
// none.
func changesOf(plan *experiments.Plan, topic string) *spec.Dimension {
	for _, d := range plan.Dimensions() {
		if c := d.Definition.Changes; c != nil && c.Topic == topic {
			return d.Definition
		}
	}
	return nil
}

// inputNames are the names that --input takes: sources, and topics of changes.
func inputNames(plan *experiments.Plan) []string {
	return append(sourceNames(plan), dimensions.ChangeTopics(plan)...)
}

// openChanges opens recorded changes, a message a line, to be published by the time
// at which they were made, and keyed by their row.
func openChanges(ctx context.Context, d *spec.Dimension, patterns []string) (recorded.Stream, error) {
	files, err := inputs.Open(ctx, nil, patterns...)
	if err != nil {
		return recorded.Stream{}, err
	}
	c := d.Changes
	parser, err := changes.NewParser(changes.Options{Format: c.Format, Table: c.Table, Key: c.Key, Fields: d.Fields, Unit: c.Unit})
	if err != nil {
		return recorded.Stream{}, err
	}
	return recorded.Stream{Files: files, Extract: func(line []byte) (timeMS int64, key []byte, ok bool) {
		cs, _ := parser.Parse(&mortise.Record{Value: line}) // what cannot be read goes where it would anyway
		if len(cs) > 0 {
			key = cs[0].Key
		}
		timeMS, ok = parser.TimeMS()
		return timeMS, key, ok
	}}, nil
}
