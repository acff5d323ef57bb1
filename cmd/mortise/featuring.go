package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/pebble"
	"github.com/mortise-dev/mortise/joiner"
)

// featuring is the features of a run:
//
//	sources' topics → tiler → tiles → enrichments of the workers' rows
//
// Where each process keeps its own tiles the tiler reads all of the topics by
// itself; no other is waited for. Where they share a store, a group shares the
// partitions out, of topics that are keyed by the features' entities, or were
// shuffled so:
//
//	sources' topics → shufflers → internal topics → tilers → tiles
type featuring struct {
	store       features.Store
	closer      io.Closer
	log         *kafka.Log
	gens        []*tiling.Generation
	tiler       *tiling.Tiler
	shared      []*tiling.Shared     // instead, where workers share the store: one a topic
	base        string               // begins the names of what they have on the brokers
	shuffling   *shuffling           // fills the internal ones of these topics
	transports  []*kafka.Transport   // of the shufflers
	enrichments []*tiling.Enrichment // of pipelines that have features
	committed   chan struct{}        // holds one when tiles were committed
	needs       []*rowNeeds          // per pipeline with features
	letters     *kafka.Publisher     // nil without
}

// rowNeeds is how far back rows to come may look.
type rowNeeds struct {
	group, main string
	marginMS    int64
	leastMS     atomic.Int64
}

// featureOptions are the flags that features depend on.
type featureOptions struct {
	dir                 string // of the tiles
	worker              string // this one's name
	commitEvery         time.Duration
	untilEnd, acceptGap bool
	groupOf             func(*experiments.Pipeline) string // the group whose rows read them
}

func (f *runFlags) featureOptions(plan *experiments.Plan, cl *cluster, id string) featureOptions {
	return featureOptions{worker: id, dir: filepath.Join(f.stateDir(cl), "features"), commitEvery: f.commitEvery, untilEnd: f.untilEnd, acceptGap: f.acceptGap,
		groupOf: func(p *experiments.Pipeline) string { return f.groupOf(plan, p) }}
}

// enrichEvery is how often it is asked at least how far features are final.
const enrichEvery = 250 * time.Millisecond

// features opens the tiles of a plan and makes what keeps them; it is empty where
// no experiment has features.
func (c *console) features(ctx context.Context, o featureOptions, plan *experiments.Plan, cl *cluster, letters *letterFiles, inputDone <-chan struct{}) (ft *featuring, err error) {
	ft = &featuring{committed: make(chan struct{}, 1)}
	all := plan.Features()
	if len(all) == 0 {
		return ft, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ft.close())
		}
	}()
	where, err := featureStoreOf(plan)
	if err != nil {
		return nil, err
	}
	if where.IsShared() {
		err = ft.openShared(ctx, where)
	} else {
		err = ft.open(c, o.dir)
	}
	if err != nil {
		return nil, err
	}
	if where.IsShared() {
		ft.gens, err = tiling.SharedGenerations(ctx, ft.store, all, ft.base)
	} else {
		ft.gens, err = tiling.Generations(ctx, ft.store, all)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range plan.Pipelines {
		if len(p.Features) == 0 {
			continue
		}
		n := &rowNeeds{group: o.groupOf(p), main: p.Sources[0].Topic, marginMS: 2 * p.Join.DelayMS}
		n.leastMS.Store(math.MinInt64)
		ft.needs = append(ft.needs, n)
	}
	opts := tiling.Options{CommitEvery: o.commitEvery, UntilEnd: o.untilEnd, InputDone: inputDone, AcceptGap: o.acceptGap, NeedMS: ft.needMS, Committed: ft.tell, Log: c.logger()}
	if letters != nil {
		if opts.Letters, err = ft.lettersOf(ctx, plan, cl, letters); err != nil {
			return nil, err
		}
	}
	if where.IsShared() {
		if err := ft.share(ctx, cl, o, opts); err != nil {
			return nil, err
		}
		return ft, tiling.Reopen(ctx, ft.store, ft.gens)
	}
	if err := tiling.Reopen(ctx, ft.store, ft.gens); err != nil {
		return nil, err
	}
	if ft.log, err = kafka.OpenLog(ctx, cl.Connection, tiling.Topics(ft.gens), featureHoldBytes); err != nil {
		return nil, err
	}
	ft.tiler = tiling.New(ft.log, ft.store, ft.gens, opts)
	return ft, nil
}

// featureStoreOf is where the plan's features are kept: the one place that all
// experiments with features name.
func featureStoreOf(plan *experiments.Plan) (*spec.FeatureStore, error) {
	var first *spec.Experiment
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			switch {
			case len(e.Features) == 0:
			case first == nil:
				first = e
			case !reflect.DeepEqual(first.FeatureStore, e.FeatureStore):
				return nil, fmt.Errorf("%s and %s keep their features in different places: give them one feature_store, or run them apart", first.Path, e.Path)
			}
		}
	}
	return &first.FeatureStore, nil
}

// featureHoldBytes is how much a partition that is paused holds back.
const featureHoldBytes = 4 << 20

// open opens the store. What does not verify is wiped: tiles are a cache of the topics.
func (ft *featuring) open(c *console, dir string) error {
	db, err := pebble.Open(dir, pebble.Options{})
	if errors.Is(err, features.ErrCorrupt) {
		c.logger().Warn("features do not verify and are made anew from the topics", "dir", dir, "err", err)
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("wiping the features in %s: %w", dir, err)
		}
		db, err = pebble.Open(dir, pebble.Options{})
	}
	if err != nil {
		return fmt.Errorf("opening features: %w; choose another directory with --state", err)
	}
	ft.store, ft.closer = db, db
	return nil
}

// enrichment is what reads features for the rows of a pipeline; nil where it has none.
func (ft *featuring) enrichment(ctx context.Context, p *experiments.Pipeline) (experiments.Enrichment, error) {
	if len(p.Features) == 0 {
		return nil, nil
	}
	e, err := tiling.NewEnrichment(ctx, ft.store, ft.gens, p)
	if err != nil {
		return nil, err
	}
	ft.enrichments = append(ft.enrichments, e)
	return e, nil
}

// run keeps tiles up to date until ctx ends.
func (ft *featuring) run(ctx context.Context, conn kafka.Connection, g *errgroup.Group) {
	if ft.store == nil {
		return
	}
	ft.tile(ctx, g)
	g.Go(func() error { return ft.follow(ctx) })
	g.Go(func() error { return ft.followNeeds(ctx, conn) })
}

// tile runs what keeps the tiles.
func (ft *featuring) tile(ctx context.Context, g *errgroup.Group) {
	if ft.tiler != nil {
		g.Go(func() error { return ft.tiler.Run(ctx) })
	}
	for _, one := range ft.shared {
		g.Go(func() error { return one.Run(ctx) })
	}
	if ft.shuffling != nil {
		ft.shuffling.run(ctx, g)
	}
}

// follow has the enrichments learn of every commit.
func (ft *featuring) follow(ctx context.Context) error {
	tick := time.NewTicker(enrichEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ft.committed:
		case <-tick.C:
		}
		for _, e := range ft.enrichments {
			if err := e.Refresh(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (ft *featuring) tell() {
	select {
	case ft.committed <- struct{}{}:
	default:
	}
}

// needsEvery is how often it is asked how far the joins are: what expires is hours
// old, so it is no matter of seconds.
const needsEvery = 10 * time.Second

// followNeeds keeps up how far back rows to come may look: as far as the least
// task of their group, wherever it works, and further for late ones.
func (ft *featuring) followNeeds(ctx context.Context, conn kafka.Connection) error {
	admin, err := kafka.OpenAdmin(ctx, conn)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer admin.Close()
	for {
		for _, n := range ft.needs {
			if ms, err := n.ask(ctx, admin); err == nil {
				n.leastMS.Store(ms)
			}
		}
		select {
		case <-time.After(needsEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *rowNeeds) ask(ctx context.Context, admin *kafka.Admin) (int64, error) {
	group, err := admin.Group(ctx, n.group)
	if err != nil {
		return 0, err
	}
	least := int64(math.MaxInt64)
	for i := range group.Partitions {
		p := &group.Partitions[i]
		if p.Topic != n.main || p.End == 0 {
			continue
		}
		at, err := joiner.ParseMetadata(p.Metadata)
		if err != nil || at.Cursor.TimeMS == joiner.NoTimeMS {
			return math.MinInt64, nil //nolint:nilerr // nothing is known of it yet: everything is kept
		}
		least = min(least, at.Cursor.TimeMS)
	}
	if least == math.MaxInt64 {
		return math.MinInt64, nil
	}
	return least - n.marginMS, nil
}

// needMS is the least over all pipelines.
func (ft *featuring) needMS() int64 {
	least := int64(math.MaxInt64)
	for _, n := range ft.needs {
		least = min(least, n.leastMS.Load())
	}
	if least == math.MaxInt64 {
		return math.MinInt64
	}
	return least
}

// lettersOf makes what sends on the unreadable records of sources that nobody
// joins: of the others their workers tell. There are few, and each is written
// before its offset is committed.
func (ft *featuring) lettersOf(ctx context.Context, plan *experiments.Plan, cl *cluster, files *letterFiles) (func(*mortise.DeadLetter) error, error) {
	joined := map[string]bool{}
	topicOf := map[string]string{} // dead letters' by experiment; empty for a file
	var topics []string
	for _, p := range plan.Pipelines {
		for _, in := range p.Inputs() {
			joined[in] = true
		}
		for _, e := range p.Experiments {
			topic := e.Output.DeadLetter.Topic
			topicOf[e.Name] = topic
			if topic != "" && len(e.Features) > 0 && !slices.Contains(topics, topic) {
				topics = append(topics, topic)
			}
		}
	}
	if !slices.ContainsFunc(tiling.Topics(ft.gens), func(topic string) bool { return !joined[topic] }) {
		return nil, nil
	}
	if len(topics) > 0 {
		var err error
		if ft.letters, err = kafka.OpenPublisher(ctx, kafka.PublisherOptions{Connection: cl.Connection, Topics: topics}); err != nil {
			return nil, err
		}
	}
	return func(dl *mortise.DeadLetter) error {
		if joined[dl.Topic] {
			return nil
		}
		line, topic := experiments.EncodeLetter(dl), topicOf[dl.Experiment]
		if topic == "" {
			return files.write(dl.Experiment, line)
		}
		if err := ft.letters.Publish(topic, nil, line, time.Now().UnixMilli()); err != nil {
			return err
		}
		return ft.letters.Flush(ctx)
	}, nil
}

// close closes what is open.
func (ft *featuring) close() (err error) {
	if ft == nil {
		return nil // a crew that never came as far
	}
	if ft.letters != nil {
		ft.letters.Close()
	}
	for _, one := range ft.shared {
		err = errors.Join(err, one.Close())
	}
	for _, t := range ft.transports {
		err = errors.Join(err, t.Close())
	}
	if ft.log != nil {
		ft.log.Close()
	}
	if ft.closer != nil {
		err = errors.Join(err, ft.closer.Close())
	}
	return err
}

func (ft *featuring) statuses() (all []experiments.FeatureStatus) {
	if ft.tiler != nil {
		return ft.tiler.Status()
	}
	for _, one := range ft.shared {
		all = append(all, one.Status()...)
	}
	return all
}
