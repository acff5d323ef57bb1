package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// input is the recorded files of one source, as --input names them.
type input struct {
	name     string
	patterns []string
}

// parseInputs reads --input NAME=GLOB…; a name that comes again adds files.
func parseInputs(args []string) ([]input, error) {
	var all []input
	for _, arg := range args {
		name, glob, ok := strings.Cut(arg, "=")
		if !ok || name == "" || glob == "" {
			return nil, usageError{fmt.Errorf("--input %q: write SOURCE=FILES, such as clicks=clicks.jsonl.gz", arg)}
		}
		i := slices.IndexFunc(all, func(in input) bool { return in.name == name })
		if i < 0 {
			all = append(all, input{name: name})
			i = len(all) - 1
		}
		all[i].patterns = append(all[i].patterns, glob)
	}
	return all, nil
}

// recording is the inputs of a run, opened: a stream per topic.
type recording struct {
	merged *recorded.Merged
	topics []string // per stream
	files  []*recorded.Files
	plan   *experiments.Plan
	reads  []*spec.Source // per stream; nil for changes of dimensions
	lines  atomic.Int64
	misfit misfits

	journal *published                   // of the embedded broker; nil for real ones
	resume  map[string][]kafka.Published // by topic, what is there already
}

// ends returns what the workers wait for before they take an input's silence,
// or its end, for what it is: published, which is closed when all is there. A
// pipe is as live as a topic: unless its end is waited for, its silence counts.
func (rec *recording) ends(published <-chan struct{}, untilEnd bool) <-chan struct{} {
	live := rec != nil && slices.ContainsFunc(rec.files, (*recorded.Files).FromStdin)
	if live && !untilEnd {
		return nil
	}
	return published
}

// publishAll publishes the recording, if there is one, and closes published when
// all is there. Being stopped is no error: the next run goes on.
func (rec *recording) publishAll(ctx context.Context, cl *cluster, published chan<- struct{}) error {
	if rec == nil {
		close(published)
		return nil
	}
	defer rec.merged.Close()
	_, err := rec.publish(ctx, cl.Connection, recorded.Max)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("publishing the inputs: %w", err)
	}
	if err := rec.finish(); err != nil {
		return err
	}
	close(published)
	return nil
}

// openInputs finds each input's source among the experiments and opens its files.
func openInputs(ctx context.Context, plan *experiments.Plan, named []input) (*recording, error) {
	rec := &recording{plan: plan}
	var streams []recorded.Stream
	for _, in := range named {
		found := false
		for _, p := range plan.Pipelines {
			for _, e := range p.Experiments {
				for i := range e.Sources {
					s := &e.Sources[i]
					if s.Name != in.name {
						continue
					}
					found = true
					if slices.Contains(rec.topics, s.Topic) {
						continue
					}
					stream, err := openStream(ctx, plan, e, s, in.patterns)
					if err != nil {
						return nil, fmt.Errorf("--input %s: %w", in.name, err)
					}
					streams = append(streams, stream)
					rec.topics, rec.files, rec.reads = append(rec.topics, s.Topic), append(rec.files, stream.Files), append(rec.reads, s)
				}
			}
		}
		if d := changesOf(plan, in.name); d != nil && !found {
			stream, err := openChanges(ctx, d, in.patterns)
			if err != nil {
				return nil, fmt.Errorf("--input %s: %w", in.name, err)
			}
			streams, found = append(streams, stream), true
			rec.topics, rec.files, rec.reads = append(rec.topics, in.name), append(rec.files, stream.Files), append(rec.reads, nil)
		}
		if !found {
			return nil, usageError{fmt.Errorf("--input %s: no experiment has a source of that name; there are %s", in.name, strings.Join(inputNames(plan), ", "))}
		}
	}
	merged, err := recorded.Merge(streams...)
	if err != nil {
		return nil, err
	}
	rec.merged = merged
	return rec, nil
}

func openStream(ctx context.Context, plan *experiments.Plan, e *spec.Experiment, s *spec.Source, patterns []string) (recorded.Stream, error) {
	files, err := inputs.Open(ctx, readersOf(plan, s.Topic), patterns...)
	if err != nil {
		return recorded.Stream{}, err
	}
	x, err := experiments.NewPublishExtractor(e, s, func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		return recorded.Stream{}, err
	}
	return recorded.Stream{Files: files, Extract: x.Extract}, nil
}

// readersOf returns how each experiment declares what is in a topic.
func readersOf(plan *experiments.Plan, topic string) (all []*spec.Source) {
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			for i := range e.Sources {
				if e.Sources[i].Topic == topic {
					all = append(all, &e.Sources[i])
				}
			}
		}
	}
	return all
}

func sourceNames(plan *experiments.Plan) (names []string) {
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			for i := range e.Sources {
				if n := e.Sources[i].Name; !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	return names
}

// publish writes the recording to its topics, merged by event time, at speed.
// A truncated file fails it after what could be read was published.
func (rec *recording) publish(ctx context.Context, conn kafka.Connection, speed recorded.Speed) (counts map[string]int64, err error) {
	pub, err := kafka.OpenPublisher(ctx, kafka.PublisherOptions{Connection: conn, Topics: rec.topics, Resume: rec.resume})
	if err != nil {
		return nil, err
	}
	defer pub.Close()
	encoders, err := rec.encoders(ctx)
	if err != nil {
		return nil, err
	}
	pace := recorded.Pace(speed, recorded.SystemClock{})
	var failed error
	for failed == nil {
		ev, err := rec.merged.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			failed = err
			break
		}
		if ev.Timed {
			failed = pace.Wait(ctx, ev.TimeMS)
		} else {
			failed = ctx.Err()
		}
		if failed == nil {
			value := rec.encode(encoders[ev.Stream], ev)
			if failed = pub.Publish(rec.topics[ev.Stream], ev.Key, value, ev.TimeMS); failed != nil {
				failed = fmt.Errorf("%s: %w", ev.Where(), failed)
			}
			rec.lines.Add(1)
		}
	}
	if err := pub.Flush(context.WithoutCancel(ctx)); failed == nil {
		failed = err
	}
	if failed == nil {
		failed = pub.Resumed()
	}
	if errors.Is(failed, kafka.ErrPublishedOther) {
		failed = fmt.Errorf("%w; start anew with another --embedded directory, or publish everything again with --republish", failed)
	}
	return pub.Counts(), failed
}
