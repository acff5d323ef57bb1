package experiments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// damagedCheckpoints bring back what turns out damaged when it is read.
type damagedCheckpoints struct {
	simStates
	copies   map[string]*memory.Disk
	damaged  map[string]bool
	restores int
}

func (s *damagedCheckpoints) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	store, err := s.simStates.Open(task, opts)
	if err != nil || !s.damaged[task] {
		return store, err
	}
	return damagedStore{store}, nil
}

func (s *damagedCheckpoints) Reset(task string) error {
	delete(s.damaged, task)
	return s.simStates.Reset(task)
}

func (s *damagedCheckpoints) Restore(_ context.Context, task string, accept func([]byte) bool) (experiments.Restored, error) {
	store, err := s.copies[task].Open(joiner.StoreOptions{})
	if err != nil {
		return experiments.Restored{}, err
	}
	meta := store.Meta()
	if err := store.Close(); err != nil || !accept(meta) {
		return experiments.Restored{}, err
	}
	s.disks[task], s.damaged[task] = s.copies[task], true
	s.restores++
	return experiments.Restored{Meta: meta}, nil
}

func (s *damagedCheckpoints) Capture(string, joiner.Store) (func(context.Context) (experiments.Saved, error), error) {
	return nil, errors.New("there is no room")
}

func (s *damagedCheckpoints) Forget(string) {}

type damagedStore struct{ joiner.Store }

func (s damagedStore) Log(kind joiner.LogKind) joiner.Log { return damagedLog{s.Store.Log(kind)} }

type damagedLog struct{ joiner.Log }

func (damagedLog) Next(int64, *joiner.Entry) (bool, error) {
	return false, fmt.Errorf("block 7: %w", joiner.ErrCorrupt)
}

// TestDamagedCheckpointIsTriedOnce: damage may have been copied before anyone saw
// it. A checkpoint that turns out so when it is read is not brought back again and
// again: the state is rebuilt from the topics.
func TestDamagedCheckpointIsTriedOnce(t *testing.T) {
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate, opts.LateShare, opts.JitterMS = 3, 2000, 2, 0, 600_000
	w := generate(t, opts)
	e := parse(t, "hostile.yaml", hostile)
	b, p := w.broker(1, "request_id"), newPlan(t, e).Pipelines[0]
	run := func(states experiments.States, checkpoints experiments.Checkpoints, steps int) error {
		tr := newSimTransport(b, rand.New(rand.NewPCG(1, 1)), p.Inputs())
		tr.steps, tr.unsure = steps, false
		worker, err := experiments.NewWorker(p, tr, states, "group", experiments.WorkerOptions{UntilEnd: true, PollRecords: 100, CommitEvery: time.Nanosecond,
			ManifestEvery: time.Nanosecond, PollWait: time.Nanosecond, Checkpoints: checkpoints, Go: func(job func()) { job() }, Now: func() time.Time { return time.Now().AddDate(4, 0, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		return worker.Run(context.Background())
	}
	first := &simStates{disks: map[string]*memory.Disk{}}
	if err := run(first, nil, 100); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	states := &damagedCheckpoints{simStates: simStates{disks: map[string]*memory.Disk{}}, copies: first.disks, damaged: map[string]bool{}}
	if err := run(states, states, -1); err != nil {
		t.Fatal(err)
	}
	if states.restores != 1 {
		t.Errorf("the damaged checkpoint was restored %d times", states.restores)
	}
	if got, want := rows(b, "out"), oracle(t, e, w).rows; !slices.Equal(got, want) {
		t.Errorf("%d rows, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
}
