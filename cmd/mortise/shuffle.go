package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/joiner"
)

// shuffling is the shuffled topics of one pipeline, in this run:
//
//	topic → shuffler → internal topic → the pipeline's worker
//
// Every worker of a pipeline runs shufflers too; the group of each shares the
// topic's partitions out among them.
type shuffling struct {
	conn      kafka.Connection
	ways      []*experiments.Shuffle
	shufflers []*shuffle.Shuffler
	elsewhere atomic.Pointer[[]shuffle.Elsewhere]

	published <-chan struct{} // closed when all that is published is there
	shuffled  chan struct{}   // closed when that has been shuffled; nil without an end
}

// internalTopic describes the topic of a shuffle. Its records carry the time at
// which they were shuffled, so its retention is counted from then: a week for
// outages, beyond what a rebuild of the join's state reads back.
func (cl *cluster) internalTopic(way *experiments.Shuffle, partitions int32) kafka.TopicSpec {
	t := cl.topic(way.Topic, partitions)
	if cl.embedded == "" {
		t.Configs["retention.ms"] = kafka.Retention(4 * way.Experiment.Join.Delay)
	}
	t.Configs["cleanup.policy"] = "delete"
	t.Configs["max.message.bytes"] = fmt.Sprint(kafka.MaxRecordBytes + 1<<20) // whatever the topic takes
	return t
}

// shuffle makes the shufflers of a pipeline whose group is given, and the topics
// that they fill.
func (c *console) shuffle(ctx context.Context, f *runFlags, cr *crew, cl *cluster, ways []*experiments.Shuffle, tasks int32, id string, inputDone <-chan struct{}) (*shuffling, error) {
	s := &shuffling{conn: cl.Connection, ways: ways}
	if len(ways) == 0 {
		return s, nil
	}
	if err := cl.prepareInternal(ctx, ways, tasks); err != nil {
		return nil, err
	}
	for _, way := range ways {
		opts := kafka.Options{Group: way.Group, Inputs: []string{way.Origin}, Outputs: []string{way.Topic},
			ExactlyOnce: way.Experiment.Output.Delivery == "exactly_once", TransactionalID: way.Group + "." + id}
		if cl.embedded != "" {
			opts.TransactionalIDSuffix = kafka.FreshSuffix()
		}
		t, err := cl.join(ctx, opts)
		if err != nil {
			return nil, err
		}
		cr.transports = append(cr.transports, t)
		one, err := shuffle.New(t, shuffle.Options{Way: way, Origins: int(cl.partitions[way.Origin]), Partitions: int(tasks), UntilEnd: f.untilEnd, InputDone: inputDone,
			CommitEvery: f.commitEvery, Elsewhere: s.reached, AcceptGap: f.acceptGap, Log: c.logger()})
		if err != nil {
			return nil, err
		}
		s.shufflers = append(s.shufflers, one)
	}
	return s, nil
}

// prepareInternal makes the internal topics that are missing. One that is there
// must have as many partitions as there are tasks.
func (cl *cluster) prepareInternal(ctx context.Context, ways []*experiments.Shuffle, tasks int32) error {
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	var specs []kafka.TopicSpec
	for _, way := range ways {
		specs = append(specs, cl.internalTopic(way, tasks))
	}
	counts, err := admin.EnsureTopics(ctx, specs)
	if err != nil {
		return err
	}
	for _, way := range ways {
		if n := counts[way.Topic]; n != tasks {
			return fmt.Errorf("the internal topic %s has %d partitions, and the join has %d tasks now: what lies in it was shuffled for another number of them; "+
				"go back to %d (join.partitions, or the topics that are not shuffled), or begin anew with --group NAME and another output topic", way.Topic, n, tasks, n)
		}
	}
	return nil
}

// inputDone says when the inputs of the pipeline's worker are all there: what is
// published, of which published tells, and until the end also its shuffling, by
// whatever workers there are.
func (s *shuffling) inputDone(published <-chan struct{}, untilEnd bool) <-chan struct{} {
	if len(s.ways) == 0 || !untilEnd {
		return published
	}
	s.published, s.shuffled = published, make(chan struct{})
	return s.shuffled
}

// run runs the shufflers in g until ctx ends.
func (s *shuffling) run(ctx context.Context, g *errgroup.Group) {
	if len(s.ways) == 0 {
		return
	}
	for _, one := range s.shufflers {
		g.Go(func() error { return one.Run(ctx) })
	}
	g.Go(func() error { return s.followOthers(ctx) })
	if s.shuffled != nil {
		g.Go(func() error { return s.tellShuffled(ctx) })
	}
}

// tellShuffled closes shuffled when all that is published has been shuffled and
// can be read.
func (s *shuffling) tellShuffled(ctx context.Context) error {
	select {
	case <-s.published:
	case <-ctx.Done():
		return nil
	}
	err := s.awaitShuffled(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the run is stopped, which is no failure of this
	}
	if err != nil {
		return fmt.Errorf("waiting until all is shuffled: %w", err)
	}
	close(s.shuffled)
	return nil
}

const shuffledEvery = 100 * time.Millisecond

func (s *shuffling) awaitShuffled(ctx context.Context) error {
	admin, err := kafka.OpenAdmin(ctx, s.conn)
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, way := range s.ways {
		ends, err := admin.Ends(ctx, way.Origin)
		if err != nil {
			return err
		}
		for {
			group, err := admin.Group(ctx, way.Group)
			if err != nil {
				return err
			}
			if group.HasRead(ends) {
				break
			}
			select {
			case <-time.After(shuffledEvery):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := admin.AwaitSettled(ctx, way.Topic); err != nil {
			return err
		}
	}
	return nil
}

// othersEvery is how often it is asked how far the origins of all shuffles have come.
const othersEvery = 2 * time.Second

// followOthers keeps up how far the pipeline's origins have come in all workers.
// Brokers that cannot be asked now are asked again: only alignment depends on it.
func (s *shuffling) followOthers(ctx context.Context) error {
	admin, err := kafka.OpenAdmin(ctx, s.conn)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer admin.Close()
	for {
		if all, err := s.askOthers(ctx, admin); err == nil {
			s.elsewhere.Store(&all)
		}
		select {
		case <-time.After(othersEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *shuffling) askOthers(ctx context.Context, admin *kafka.Admin) (all []shuffle.Elsewhere, err error) {
	for _, way := range s.ways {
		group, err := admin.Group(ctx, way.Group)
		if err != nil {
			return nil, err
		}
		for i := range group.Partitions {
			p := &group.Partitions[i]
			maxMS, idle, err := shuffle.ParseMetadata(p.Metadata)
			if err == nil && p.Lag > 0 && !idle && maxMS != joiner.NoTimeMS {
				all = append(all, shuffle.Elsewhere{TopicPartition: p.TopicPartition, ReachedMS: maxMS - way.Spec.OutOfOrderness.Milliseconds()})
			}
		}
	}
	return all, nil
}

// reached is what followOthers found last.
func (s *shuffling) reached() []shuffle.Elsewhere {
	if all := s.elsewhere.Load(); all != nil {
		return *all
	}
	return nil
}

func (s *shuffling) statuses() (all []experiments.ShuffleStatus) {
	for _, one := range s.shufflers {
		all = append(all, one.Status())
	}
	return all
}
