package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	inputfiles "github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// Job is one pipeline over recorded files, from their first line to the close of
// the last window.
type Job struct {
	// Inputs names the files of each source, as paths or globs. A source that
	// is not named is empty.
	Inputs map[string][]string
	// Output takes every row and every dead letter that goes to a topic, in the
	// order in which they are put out. What o refers to is valid during the call.
	Output func(o *experiments.Output) error
	// States keeps the state. The default is memory: what a delay and its labels hold must fit.
	States experiments.States
	// Worker tunes the run; UntilEnd and InputDone are set by Run.
	Worker experiments.WorkerOptions
}

// Run runs the pipeline and returns what it came to, ledgers included. Lines are
// taken in merged by event time, so that the same files give the same rows.
func Run(ctx context.Context, p *experiments.Pipeline, job Job) (experiments.Status, error) {
	merged, topics, err := open(ctx, p, job.Inputs)
	if err != nil {
		return experiments.Status{}, err
	}
	defer merged.Close()
	p = p.FromFiles(func(string) bool { return true })
	if job.States == nil {
		job.States = Memory()
	}
	t := New(merged, topics, p.Inputs(), job.Output)
	job.Worker.UntilEnd, job.Worker.InputDone = true, t.InputDone()
	w, err := experiments.NewWorker(p, t, job.States, p.Name(), job.Worker)
	if err != nil {
		return experiments.Status{}, err
	}
	err = w.Run(ctx)
	if err == nil {
		err = ctx.Err() // a cancelled run ends well, but not at the end
	}
	return w.Status(), err
}

// open opens a stream for each topic that the pipeline reads and inputs has
// files for, in the order of the pipeline's sources.
func open(ctx context.Context, p *experiments.Pipeline, inputs map[string][]string) (*recorded.Merged, []string, error) {
	known := map[string]bool{}
	var streams []recorded.Stream
	var topics []string
	for i := range p.Sources {
		in := &p.Sources[i]
		var patterns []string
		at := -1 // the experiment whose name for the source is used
		for exp, s := range in.Specs {
			if !known[s.Name] && len(inputs[s.Name]) > 0 {
				patterns, at = append(patterns, inputs[s.Name]...), exp
			}
			known[s.Name] = true
		}
		if at < 0 || slices.Contains(topics, in.Topic) {
			continue
		}
		stream, err := openStream(ctx, p, in, at, patterns)
		if err != nil {
			return nil, nil, err
		}
		streams, topics = append(streams, stream), append(topics, in.Topic)
	}
	for name := range inputs {
		if !known[name] {
			return nil, nil, fmt.Errorf("input %s: the pipeline has no source of that name; it has %s", name, strings.Join(sorted(known), ", "))
		}
	}
	merged, err := recorded.Merge(streams...)
	return merged, topics, err
}

func openStream(ctx context.Context, p *experiments.Pipeline, in *experiments.Input, exp int, patterns []string) (recorded.Stream, error) {
	files, err := inputfiles.Open(ctx, in.Specs, patterns...)
	if err != nil {
		return recorded.Stream{}, fmt.Errorf("input %s: %w", in.Specs[exp].Name, err)
	}
	x, err := experiments.NewExtractor(p.Experiments[exp], in.Specs[exp], func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		return recorded.Stream{}, err
	}
	return recorded.Stream{Files: files, Extract: x.Extract}, nil
}

func sorted(names map[string]bool) (all []string) {
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Memory returns an experiments.States that keeps state in memory, for as long
// as it is itself kept.
func Memory() experiments.States { return &states{disks: map[string]*memory.Disk{}} }

type states struct {
	mu    sync.Mutex
	disks map[string]*memory.Disk
}

// Open implements experiments.States.
func (s *states) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disks == nil {
		return nil, errors.New("opening state that has been closed")
	}
	if s.disks[task] == nil {
		s.disks[task] = memory.New()
	}
	return s.disks[task].Open(opts)
}

// Reset implements experiments.States.
func (s *states) Reset(task string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.disks, task)
	return nil
}

// Close implements experiments.States.
func (s *states) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks = nil
	return nil
}
