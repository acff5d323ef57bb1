package shuffle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// quick holds impressions for two seconds; its topics are keyed by nothing.
const quick = `
experiment: feed
sources:
  imps:
    topic: imps
    event_time: {field: ts}
    out_of_orderness: 1s
    idle_after: 300ms
    fields: {id: string, ts: int}
  clicks:
    topic: clicks
    event_time: {field: ts}
    out_of_orderness: 1s
    idle_after: 300ms
    fields: {id: string, ts: int}
join:
  main: imps
  key: id
  repartition: true
  partitions: 3
  labels: {click: {source: clicks, within: 2s}}
output:
  topic: {name: out}
`

// stream runs without an end: shufflers of both topics and one worker, each
// begun by the test and stopped by it.
type stream struct {
	*crew
	ctx     context.Context //nolint:containedctx // the test's own, ended by stop
	stop    context.CancelFunc
	through *experiments.Pipeline
	ways    []*experiments.Shuffle
	members map[string]*member
	i       int64 // event times so far
}

func newStream(t *testing.T, seed uint64, text string) *stream {
	t.Helper()
	plan, err := experiments.NewPlan([]*spec.Experiment{parse(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{broker: newBroker(), plan: plan, tasks: 3}
	w.create("imps", 3)
	w.create("clicks", 2)
	s := &stream{crew: &crew{t: t, w: w, rng: rand.New(rand.NewPCG(seed, 13))}, members: map[string]*member{}}
	s.sched = &scheduler{back: make(chan struct{}), now: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.through, s.ways = plan.Pipelines[0].Shuffled("group")
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, way := range s.ways {
		w.create(way.Topic, w.tasks)
	}
	t.Cleanup(s.stopAll)
	return s
}

// publish adds n impressions 10 ms apart and a click for every other, to
// partitions below most.
func (s *stream) publish(n, most int) {
	for range n {
		s.i++
		at := 1_700_000_000_000 + 10*s.i
		s.w.append("imps", s.rng.IntN(most), mortise.Record{Value: fmt.Appendf(nil, `{"id":"k%d","ts":%d}`, s.i, at)})
		if s.i%2 == 0 {
			s.w.append("clicks", s.rng.IntN(most), mortise.Record{Value: fmt.Appendf(nil, `{"id":"k%d","ts":%d}`, s.i, at+500)})
		}
	}
}

func (s *stream) startShufflers() {
	for _, way := range s.ways {
		s.members[way.Source] = s.sched.start(func(m *member) error {
			return s.live(m, way.Group, []string{way.Origin}, nil, func(tr *transport) error {
				sh, err := shuffle.New(tr, shuffle.Options{Way: way, Origins: len(s.w.logs[way.Origin]), Partitions: s.w.tasks, PollRecords: 50, Now: s.now})
				if err != nil {
					return err
				}
				s.shufflers = append(s.shufflers, sh)
				return sh.Run(s.ctx)
			})
		})
	}
}

// startWorker starts a worker without any state, which ctx stops.
func (s *stream) startWorker(ctx context.Context) {
	s.members["worker"] = s.sched.start(func(m *member) error {
		return s.live(m, "group", s.through.Inputs(), nil, func(tr *transport) error {
			w, err := experiments.NewWorker(s.through, tr, &states{disks: map[string]*memory.Disk{}}, "group", experiments.WorkerOptions{
				Partitions: s.w.tasks, PollRecords: 50, Now: s.now, Parallel: 1, Go: func(f func()) { f() }})
			if err != nil {
				return err
			}
			return w.Run(ctx)
		})
	})
}

// until gives turns until cond holds.
func (s *stream) until(what string, cond func() bool) {
	s.t.Helper()
	for turn := 0; !cond(); turn++ {
		if turn == 20_000 {
			s.t.Fatalf("%s: waited in vain; %d rows", what, len(s.w.values("out")))
		}
		s.turn()
	}
}

func (s *stream) turn() {
	s.t.Helper()
	for _, name := range []string{"imps", "clicks", "worker"} {
		m := s.members[name]
		if m == nil || s.rng.IntN(3) == 0 {
			continue
		}
		if s.sched.turn(m); m.ended {
			delete(s.members, name)
			if m.err != nil {
				s.t.Fatalf("%s: %v", name, m.err)
			}
		}
	}
}

func (s *stream) stopAll() {
	s.stop()
	for _, m := range s.members {
		for !m.ended {
			s.sched.turn(m)
		}
	}
}

// read reports whether all that is in the topics has come to the worker, and what
// it made of it is committed.
func (s *stream) read() bool {
	for _, way := range s.ways {
		if !s.w.done(way.Group, way.Origin) || !s.w.done("group", way.Topic) {
			return false
		}
	}
	return true
}

func (s *stream) rows(n int) func() bool {
	return func() bool { return len(s.w.values("out")) >= n }
}

// TestStreamOfOriginsCloses: without an end windows close by the markers as event
// time goes on, an origin without records holds nothing once it is idle, and when
// all are idle wall time closes the last windows. A worker that comes back with
// nothing learns the clocks of origins that have been silent since.
func TestStreamOfOriginsCloses(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			s := newStream(t, seed, quick)
			s.startShufflers()
			ctx, kill := context.WithCancel(s.ctx)
			s.startWorker(ctx)
			s.publish(300, 2) // the third partition of imps has nothing, ever
			s.until("closing by event time", s.rows(50))
			s.publish(300, 2)
			s.until("closing by wall time, all origins being idle", s.rows(600))

			s.i += 1_000_000 // far ahead of wall time
			s.publish(1, 1)
			s.until("reading one more", s.read)
			if len(s.w.values("out")) != 600 {
				t.Fatalf("%d rows: the last one came early", len(s.w.values("out")))
			}
			kill()
			s.until("stopping the worker", func() bool { return s.members["worker"] == nil })
			for range 500 {
				s.turn() // the shufflers fall silent
			}
			s.startWorker(s.ctx)
			s.until("closing what another worker had taken in", s.rows(601))

			s.stop()
			s.until("stopping", func() bool { return len(s.members) == 0 })
			if n := len(s.w.values("out")); n != 601 {
				t.Errorf("%d rows, want 601", n)
			}
		})
	}
}

// TestShufflerGoesOnFromItsCommit: one that comes back knows how far its origins
// had come, though it reads nothing of them.
func TestShufflerGoesOnFromItsCommit(t *testing.T) {
	s := newStream(t, 1, quick)
	s.startShufflers()
	s.publish(20, 1)
	s.until("shuffling", func() bool {
		return s.w.done("group.repartition.imps", "imps") && s.w.done("group.repartition.clicks", "clicks")
	})
	s.stop()
	s.until("stopping", func() bool { return len(s.members) == 0 })
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.shufflers = nil
	s.startShufflers()
	var st experiments.ShuffleStatus
	s.until("owning", func() bool {
		for _, sh := range s.shufflers {
			if now := sh.Status(); now.Source == "imps" {
				st = now
			}
		}
		return len(st.Origins) == 3
	})
	if o := st.Origins[0]; o.MaxTimeMS != 1_700_000_000_200 || o.Next != 20 {
		t.Errorf("it goes on at offset %d and event time %d, want 20 and 1700000000200", o.Next, o.MaxTimeMS)
	}
	if st.Records != 0 || st.Topic != "group.repartition.imps" || st.Group != "group.repartition.imps" || st.Origin != "imps" {
		t.Errorf("%+v", st)
	}
}

// TestStartAtTheLatest: a shuffler begins at the end of its topic, and a worker
// takes all that was shuffled, whenever it begins.
func TestStartAtTheLatest(t *testing.T) {
	s := newStream(t, 1, quick+"kafka: {start_offset: latest}\n")
	s.publish(100, 2)
	s.startShufflers()
	s.until("beginning", func() bool {
		return s.w.done("group.repartition.imps", "imps") && s.w.done("group.repartition.clicks", "clicks")
	})
	s.publish(50, 2)
	s.until("shuffling", func() bool {
		return s.w.done("group.repartition.imps", "imps") && s.w.done("group.repartition.clicks", "clicks")
	})
	s.startWorker(s.ctx)
	s.until("closing", s.rows(50))
	s.stop()
	s.until("stopping", func() bool { return len(s.members) == 0 })
	if rows := s.w.values("out"); len(rows) != 50 || !strings.Contains(rows[0], `"k101"`) {
		t.Errorf("%d rows, want the 50 that were published later; first %s", len(rows), rows[0])
	}
}
