package checkpoint_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
)

var (
	simSeed  = flag.Uint64("checkpoint.seed", 0, "the one seed to simulate")
	simSeeds = flag.Uint64("checkpoint.seeds", 150, "how many seeds to simulate")
)

// TestSimulation lets processes take turns at each call of the bucket; see
// DESIGN.md for what holds.
func TestSimulation(t *testing.T) {
	first, last := uint64(1), *simSeeds
	if testing.Short() {
		last = min(last, 40)
	}
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	total := counts{}
	for seed := first; seed <= last && !t.Failed(); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := newSim(t, seed)
			s.run()
			total.add(&s.counts)
			if t.Failed() {
				t.Logf("repeat with -checkpoint.seed=%d", seed)
			}
		})
	}
	t.Logf("%+v", total)
	if *simSeed == 0 && (total.saved == 0 || total.failed == 0 || total.restored == 0 || total.overtaken == 0 || total.killed == 0 || total.cleared == 0) {
		t.Errorf("the simulation sees one side only: %+v", total)
	}
}

// counts tell whether the simulation meets what it is about.
type counts struct{ saved, failed, restored, overtaken, unpinned, killed, cleared int }

func (c *counts) add(o *counts) {
	c.saved += o.saved
	c.failed += o.failed
	c.restored += o.restored
	c.overtaken += o.overtaken
	c.unpinned += o.unpinned
	c.killed += o.killed
	c.cleared += o.cleared
}

type sim struct {
	t     *testing.T
	seed  uint64
	r     *rand.Rand
	sched *buckettest.Scheduler
	world *world
	sure  map[string]bool // checkpoints that Save returned
	opts  checkpoint.Options
	counts
}

const simPinFor = time.Hour

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 3)), sched: buckettest.NewScheduler(seed), world: newWorld(), sure: map[string]bool{}}
	s.sched.JumpBy = simPinFor + time.Minute
	switch seed % 4 {
	case 1: // only the order varies
	case 2:
		s.sched.Faults = buckettest.Faults{Jump: 10}
	case 3:
		s.sched.Faults = buckettest.Faults{Fail: 10, Unknown: 10, Late: 10, Kill: 2}
	default:
		s.sched.Faults = buckettest.Faults{Fail: 20, Unknown: 20, Late: 20, Kill: 5, Jump: 5}
	}
	s.opts = small
	s.opts.Parallel, s.opts.PinFor, s.opts.Keep = 1, simPinFor, 1+s.r.IntN(3)
	return s
}

func (s *sim) run() {
	for i := range 2 {
		s.sched.Go(fmt.Sprint("writer ", i), func(a *buckettest.Actor) { s.writer(a, uint64(i)) })
	}
	for i := range 3 {
		s.sched.Go(fmt.Sprint("reader ", i), func(a *buckettest.Actor) { s.reader(a, uint64(10+i)) })
	}
	s.sched.Run()
	s.checkEnd()
}

// process makes a worker whose bucket is the actor's.
func (s *sim) process(a *buckettest.Actor, seed uint64) (*worker, *passedOver) {
	log := &passedOver{s: s}
	opts := s.opts
	opts.Writer = a.Name
	w := s.world.worker(s.t, s.seed*100+seed, a, opts)
	w.keepMS, w.leapMS = []int64{0, 1000, 6000}[s.r.IntN(3)], []int64{0, 0, 9000}[s.r.IntN(3)]
	w.relog(log)
	return w, log
}

// writer restores what there is, saves several times while others do so too, and
// when it is killed starts again on its local state.
func (s *sim) writer(a *buckettest.Actor, seed uint64) {
	w, log := s.process(a, seed)
	log.jumps = s.sched.Jumps
	got, err := w.ck.Restore(ctx, taskName, w.db, all)
	if err != nil {
		s.failed++
	}
	if got != nil {
		s.restored++
		w.check(got)
	} else {
		w.open()
	}
	for range 7 {
		for range s.r.IntN(3) {
			w.step()
		}
		w.step()
		saved, err := w.ck.Save(ctx, taskName, w.capture())
		if err != nil {
			s.failed++
			if strings.Contains(err.Error(), "cleared away") {
				s.overtaken++
			}
		} else {
			s.saved++
			s.sure[saved.Name] = true
		}
		if a.Killed {
			s.killed++
			a.Killed = false
			w.relog(log)
		}
	}
}

// reader restores again and again.
func (s *sim) reader(a *buckettest.Actor, seed uint64) {
	w, log := s.process(a, seed)
	for range 6 {
		log.jumps, log.excused = s.sched.Jumps, false
		got, err := w.ck.Restore(ctx, taskName, w.db, all)
		if err != nil {
			s.failed++
		}
		if got != nil {
			s.restored++
			w.check(got)
			w.close()
		}
		if a.Killed {
			a.Killed = false
		}
	}
}

// passedOver is a log that knows which checkpoints must not be passed over: those
// that are sure, unless the reader had no pin or stood still for too long.
type passedOver struct {
	s       *sim
	jumps   int
	excused bool
}

func (*passedOver) Enabled(context.Context, slog.Level) bool { return true }
func (p *passedOver) WithAttrs([]slog.Attr) slog.Handler     { return p }
func (p *passedOver) WithGroup(string) slog.Handler          { return p }

func (p *passedOver) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	switch r.Message {
	case "a checkpoint is read without a pin":
		p.excused = true
		p.s.unpinned++
	case "a checkpoint is made anew":
		p.s.overtaken++
	case "a checkpoint is passed over":
		if name := attrs["checkpoint"]; p.s.sure[name] && !p.excused && p.jumps == p.s.sched.Jumps {
			p.s.t.Errorf("%s is sure, and is passed over: %s", name, attrs["err"])
		}
	}
	return nil
}

// checkEnd lets everything settle and looks at what is left.
func (s *sim) checkEnd() {
	s.sched.ApplyLate()
	bucket := s.sched.Bucket
	w := s.world.worker(s.t, s.seed*100+99, bucket, s.opts)
	s.checkSure(w)
	bucket.Advance(simPinFor + time.Minute)
	if got := w.restore(all); got == nil {
		w.open()
	}
	for range s.opts.Keep + 3 {
		w.step()
		s.sure[w.save().Name] = true
	}
	s.checkSure(w)
	needed := map[string]bool{}
	found, err := w.ck.List(ctx, taskName)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found) != s.opts.Keep {
		s.t.Errorf("%d checkpoints are left, want %d", len(found), s.opts.Keep)
	}
	for _, l := range found {
		for _, o := range l.Manifest.Objects {
			needed[folder+"/parts/"+o.Name] = true
		}
	}
	for _, key := range bucket.Keys(folder + "/parts/") {
		if !needed[key] {
			s.t.Errorf("%s is left, and nothing names it", key)
		}
	}
	if pins := bucket.Keys(folder + "/pins/"); len(pins) != 1 {
		s.t.Errorf("pins are left: %q", pins)
	}
	s.cleared += len(s.sched.Ever) - len(bucket.Keys(""))
}

// checkSure checks that every sure checkpoint is whole, or gone with Keep newer
// ones in its place.
func (s *sim) checkSure(w *worker) {
	s.t.Helper()
	v, err := w.ck.Verify(ctx, taskName)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range v.Faults {
		for _, name := range f.Checkpoints {
			if s.sure[name] {
				s.t.Errorf("%s is sure, and is not whole: %v", name, f.Err)
			}
		}
	}
	there := s.sched.Bucket.Keys(folder + "/checkpoints/")
	for name := range s.sure {
		key := folder + "/checkpoints/" + name
		if slices.Contains(there, key) {
			continue
		}
		newer := 0
		for other := range s.sched.Ever {
			if strings.HasPrefix(other, folder+"/checkpoints/") && other > key {
				newer++
			}
		}
		for other := range s.sure {
			if other > name {
				newer++ // those of checkEnd
			}
		}
		if newer < s.opts.Keep {
			s.t.Errorf("%s is sure, and is gone with %d newer ones, of %d to keep", name, newer, s.opts.Keep)
		}
	}
}
