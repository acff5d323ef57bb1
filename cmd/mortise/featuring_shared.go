package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features/redis"
)

// openShared opens the store that workers share.
func (ft *featuring) openShared(ctx context.Context, where *spec.FeatureStore) error {
	secure, err := where.TLS.Config()
	if err != nil {
		return fmt.Errorf("feature_store: %w", err)
	}
	if !where.TLS.Enabled {
		secure = nil
	}
	store, err := redis.Open(ctx, redis.Options{Addrs: where.Addrs, Username: where.Username, Password: where.Password, DB: where.DB, Prefix: where.Prefix, TLS: secure})
	if err != nil {
		return fmt.Errorf("opening the feature store: %w", err)
	}
	ft.store, ft.closer, ft.base = store, store, sharedBase(where)+store.ID()
	return nil
}

// sharedBase begins the names of what workers who share a store have on the brokers.
// The store's ID follows: one that was emptied is shuffled for anew, from the start.
func sharedBase(where *spec.FeatureStore) string { return where.Prefix + ".features." }

// share has the sources shuffled whose topics are not keyed by their features'
// entities, and joins, for each topic that tasks read, the group that shares its
// partitions out. The groups are the store's: whoever shares its tiles shares the work.
func (ft *featuring) share(ctx context.Context, cl *cluster, o featureOptions, opts tiling.Options) error {
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	counts, err := admin.Partitions(ctx, tiling.Topics(ft.gens)...)
	if err != nil {
		return err
	}
	if err := ft.makeInternal(ctx, admin, cl, counts); err != nil {
		return err
	}
	ft.shuffling = &shuffling{conn: cl.Connection}
	origins := map[string]*tiling.Way{} // by internal topic
	for _, g := range ft.gens {
		if err := g.SpreadOver(ctx, ft.store, counts); err != nil {
			return err
		}
		for _, way := range g.Ways() {
			if err := ft.shuffle(ctx, cl, o, opts, way, counts); err != nil {
				return err
			}
			origins[way.Topic] = way
		}
	}
	shuffled := ft.shuffling.inputDone(opts.InputDone, o.untilEnd)
	for _, topic := range tiling.TaskTopics(ft.gens) {
		group := experiments.TilesGroup(ft.base, topic)
		t, err := cl.join(ctx, kafka.Options{Group: group, Inputs: []string{topic}, TransactionalID: group + "." + o.worker, BufferBytes: 1})
		if err != nil {
			return err
		}
		own := opts
		way := origins[topic]
		if way != nil {
			own.InputDone = shuffled
		}
		own.SinceMS = func(ctx context.Context, partition int32) (int64, error) {
			return sinceMS(ctx, cl.Connection, experiments.TopicPartition{Topic: topic, Partition: partition}, way)
		}
		ft.shared = append(ft.shared, tiling.NewShared(t, ft.store, ft.gens, topic, own))
	}
	return nil
}

// makeInternal makes the internal topics that are missing, with as many partitions as
// the sources' have now, and adds how many each has to counts.
func (ft *featuring) makeInternal(ctx context.Context, admin *kafka.Admin, cl *cluster, counts map[string]int32) error {
	var specs []kafka.TopicSpec
	for _, g := range ft.gens {
		for _, way := range g.Ways() {
			specs = append(specs, cl.internalTopic(way.Shuffle, counts[way.Origin]))
		}
	}
	made, err := admin.EnsureTopics(ctx, specs)
	if err != nil {
		return err
	}
	for topic, n := range made {
		counts[topic] = n
	}
	return nil
}

// shuffle makes what fills one internal topic.
func (ft *featuring) shuffle(ctx context.Context, cl *cluster, o featureOptions, opts tiling.Options, way *tiling.Way, counts map[string]int32) error {
	ko := kafka.Options{Group: way.Group, Inputs: []string{way.Origin}, Outputs: []string{way.Topic}, ExactlyOnce: true, TransactionalID: way.Group + "." + o.worker}
	if cl.embedded != "" {
		ko.TransactionalIDSuffix = kafka.FreshSuffix()
	}
	t, err := cl.join(ctx, ko)
	if err != nil {
		return err
	}
	ft.transports = append(ft.transports, t)
	s := ft.shuffling
	one, err := shuffle.New(t, shuffle.Options{Way: way.Shuffle, Carrier: way.NewCarrier(opts.Letters), FromStart: true, Origins: int(counts[way.Origin]), Partitions: int(counts[way.Topic]),
		UntilEnd: opts.UntilEnd, InputDone: opts.InputDone, CommitEvery: opts.CommitEvery, Elsewhere: s.reached, AcceptGap: opts.AcceptGap, Log: opts.Log})
	if err != nil {
		return err
	}
	s.ways, s.shufflers = append(s.ways, way.Shuffle), append(s.shufflers, one)
	return nil
}

// sinceMS is the time from which on a task that begins with a partition gets every
// event, by the brokers' times of its records: those that its source's topic held
// when it was shuffled, and of which the internal topic has lost none since.
func sinceMS(ctx context.Context, conn kafka.Connection, tp experiments.TopicPartition, way *tiling.Way) (int64, error) {
	admin, err := kafka.OpenAdmin(ctx, conn)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	since, err := admin.HoldsSince(ctx, tp.Topic, tp.Partition)
	if err != nil || way == nil {
		return since, err
	}
	origin, err := admin.HoldsSince(ctx, way.Origin)
	return max(since, origin), err
}

// shuffleStatuses tell what the shufflers of this process do.
func (ft *featuring) shuffleStatuses() []experiments.ShuffleStatus {
	if ft.shuffling == nil {
		return nil
	}
	return slices.Clip(ft.shuffling.statuses())
}
