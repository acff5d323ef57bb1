package dataset_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"testing"

	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
)

var (
	simSeed  = flag.Int64("dataset.seed", 0, "the one seed to simulate")
	simSeeds = flag.Int64("dataset.seeds", 40, "how many seeds to simulate")
)

// TestSimulation lets processes take turns at each call of the bucket; see
// DESIGN.md for what holds.
func TestSimulation(t *testing.T) {
	first, last := int64(1), *simSeeds
	if testing.Short() {
		last = min(last, 15)
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
				t.Logf("repeat with -dataset.seed=%d", seed)
			}
		})
	}
	t.Logf("%+v", total)
	if *simSeed == 0 && (total.published == 0 || total.failed == 0 || total.taken == 0 || total.redone == 0 || total.retried == 0 || total.killed == 0 || total.completed == 0) {
		t.Errorf("the simulation sees one side only: %+v", total)
	}
}

// counts tell whether the simulation meets what it is about.
type counts struct{ published, failed, taken, redone, retried, killed, completed int }

func (c *counts) add(o *counts) {
	c.published += o.published
	c.failed += o.failed
	c.taken += o.taken
	c.redone += o.redone
	c.retried += o.retried
	c.killed += o.killed
	c.completed += o.completed
}

// sim is a dataset with several origins, whose rows several processes publish,
// each believing that it alone does.
type sim struct {
	t     *testing.T
	r     *rand.Rand
	sched *buckettest.Scheduler
	opts  dataset.Options
	ends  map[string]int64 // rows of each origin
	counts
}

func newSim(t *testing.T, seed int64) *sim {
	s := &sim{t: t, r: rand.New(rand.NewSource(seed)), sched: buckettest.NewScheduler(uint64(seed)), ends: map[string]int64{}}
	switch seed % 4 {
	case 1: // only the order varies
	case 2:
		s.sched.Faults = buckettest.Faults{Fail: 30, Kill: 10}
	case 3:
		s.sched.Faults = buckettest.Faults{Unknown: 60, Late: 60}
	default:
		s.sched.Faults = buckettest.Faults{Fail: 20, Unknown: 40, Late: 40, Kill: 10}
	}
	s.opts = options(t)
	s.opts.MemoryBytes = []int64{1, 1 << 20}[s.r.Intn(2)]
	for i := range 1 + s.r.Intn(3) {
		s.ends[dataset.Partition(int32(i))] = int64(1 + s.r.Intn(60))
	}
	if seed%5 == 0 {
		s.opts.Kind, s.opts.Plan, s.opts.Splits = dataset.Batch, "a1", len(s.ends)
	}
	return s
}

func (s *sim) run() {
	for i := range 3 {
		r := rand.New(rand.NewSource(s.r.Int63()))
		s.sched.Go(fmt.Sprint("writer ", i), func(a *buckettest.Actor) { s.writer(a, r, 40) })
	}
	s.sched.Run()
	s.sched.ApplyLate()
	s.sched.Faults = buckettest.Faults{}
	r := rand.New(rand.NewSource(s.r.Int63()))
	s.sched.Go("last", func(a *buckettest.Actor) {
		if !s.writer(a, r, 1000) {
			s.t.Error("without faults the dataset is not finished")
		}
	})
	s.sched.Run()
	s.checkEnd()
}

// writer is a process that publishes what is left of any origin, again and again,
// and reports whether it has come to the end of all.
func (s *sim) writer(a *buckettest.Actor, r *rand.Rand, tries int) (finished bool) {
	for range tries {
		a.Killed = false
		d, err := dataset.Open(ctx, a, s.opts)
		if err != nil {
			s.note(a, err)
			continue
		}
		for !a.Killed {
			left, err := s.work(a, d, r)
			if err != nil {
				s.note(a, err)
				if r.Intn(2) == 0 {
					break // begin anew
				}
			}
			if err == nil && left == 0 {
				if s.complete(a, d) {
					return true
				}
				break
			}
		}
	}
	return false
}

func (s *sim) note(a *buckettest.Actor, err error) {
	if a.Killed {
		s.killed++
		return
	}
	var taken *dataset.TakenError
	if errors.As(err, &taken) {
		s.taken++
		return
	}
	s.failed++
	var changed *dataset.ChangedError
	var mismatch *dataset.MismatchError
	if errors.As(err, &changed) || errors.As(err, &mismatch) {
		s.t.Errorf("%s: %v", a.Name, err)
	}
}

// work publishes a part of each origin that is not at its end, and returns how
// many there were.
func (s *sim) work(a *buckettest.Actor, d *dataset.Dataset, r *rand.Rand) (left int, err error) {
	origins := s.origins()
	r.Shuffle(len(origins), func(i, j int) { origins[i], origins[j] = origins[j], origins[i] })
	for _, origin := range origins {
		pos, err := d.Next(ctx, origin)
		if err != nil {
			return 0, err
		}
		end := s.ends[origin]
		if pos.Next > end || pos.Redo != nil && (pos.Redo.From != pos.Next || pos.Redo.To > end) {
			s.t.Errorf("%s is at %+v of %d rows", origin, pos, end)
		}
		if pos.Next == end && pos.Redo == nil {
			if s.opts.Kind == dataset.Batch && !pos.Finished {
				if err := d.Finish(ctx, origin, end); err != nil {
					return 0, err
				}
			}
			continue
		}
		left++
		if err := s.part(a, d, r, origin, pos, end); err != nil {
			return 0, err
		}
	}
	return left, nil
}

func (s *sim) part(a *buckettest.Actor, d *dataset.Dataset, r *rand.Rand, origin string, pos dataset.Position, end int64) error {
	to := min(pos.Next+1+r.Int63n(25), end)
	if pos.Redo != nil {
		to = pos.Redo.To
		s.redone++
	}
	w := d.NewPart(origin, pos.Next)
	defer func() {
		if err := w.Abort(); err != nil {
			s.t.Error(err)
		}
	}()
	for offset := pos.Next; offset < to; offset++ {
		if err := w.Append(rowAt(origin, offset)); err != nil {
			s.t.Error(err)
		}
	}
	for {
		info, err := w.Publish(ctx, to)
		var taken *dataset.TakenError
		switch {
		case err == nil:
			s.published++
			s.checkPart(info)
			return nil
		case a.Killed || errors.As(err, &taken) || r.Intn(2) == 0:
			return err
		}
		s.retried++
	}
}

// checkPart checks that what Publish says is published is there.
func (s *sim) checkPart(p dataset.PartInfo) {
	rows := int64(0)
	for _, f := range p.Files {
		rows += f.Rows
		if got := int64(len(s.sched.Bucket.Data(f.Key))); got != f.Bytes {
			s.t.Errorf("%s has %d bytes, want %d", f.Key, got, f.Bytes)
		}
	}
	if rows != p.To-p.From || rows != p.Rows {
		s.t.Errorf("%+v has %d rows", p, rows)
	}
}

// complete writes _SUCCESS everywhere. When it is there, so are the rows.
func (s *sim) complete(a *buckettest.Actor, d *dataset.Dataset) bool {
	at, err := d.Incomplete(ctx, startMS+1000*hourMS)
	if err == nil {
		err = d.Complete(ctx, at...)
	}
	if err != nil {
		s.note(a, err)
		return false
	}
	s.completed++
	checkRows(s.t, s.sched.Bucket, s.spanMS(), s.ends)
	return true
}

func (s *sim) spanMS() int64 {
	if len(s.opts.Partition) == 1 {
		return 24 * hourMS
	}
	return hourMS
}

func (s *sim) origins() (origins []string) {
	for origin := range s.ends {
		origins = append(origins, origin)
	}
	slices.Sort(origins)
	return origins
}

// checkEnd checks that everything is there once, and nothing is left behind.
func (s *sim) checkEnd() {
	checkRows(s.t, s.sched.Bucket, s.spanMS(), s.ends)
	d := open(s.t, s.sched.Bucket, s.opts)
	next := map[string]int64{}
	err := d.Parts(ctx, func(p dataset.PartInfo, done bool) error {
		if !done || p.From != next[p.Origin] {
			s.t.Errorf("part %+v, done %v, follows %d", p, done, next[p.Origin])
		}
		next[p.Origin] = p.To
		s.checkPart(p)
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
	for origin, end := range s.ends {
		if next[origin] != end {
			s.t.Errorf("%s ends at %d, want %d", origin, next[origin], end)
		}
	}
	if left, err := os.ReadDir(s.opts.TempDir); err != nil || len(left) > 0 {
		s.t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// TestInterleavings goes through all pairs of calls at which one writer may stop,
// another begin and stop, and the first go on: both are at the same part, which
// they end alike or not.
func TestInterleavings(t *testing.T) {
	const opening = 6 // calls, which the simulation has in any order
	total := 0
	for _, by := range []int64{5, 3} {
		for i, last := opening, false; !last; i++ {
			for j, last2 := opening-2, false; !last2; j++ {
				last, last2 = interleave(t, by, i, j)
				if total++; t.Failed() {
					t.Fatalf("a stops at its call %d, b at %d", i, j)
				}
			}
		}
	}
	t.Logf("%d interleavings", total)
}

// interleave lets a make i calls, b make j, and then each go on to its end; it
// reports which of them had ended before.
func interleave(t *testing.T, by int64, i, j int) (aEnded, bEnded bool) {
	const rows = 7
	s := &sim{t: t, sched: buckettest.NewScheduler(1), opts: options(t), ends: map[string]int64{"p00000": rows}}
	s.opts.Partition = []string{"dt"}
	writer := func(name string, by int64) *buckettest.Actor {
		return s.sched.Go(name, func(a *buckettest.Actor) {
			d := open(t, a, s.opts)
			for {
				pos := next(t, d, "p00000")
				if pos.Next == rows {
					return
				}
				to := min(pos.Next+by, rows)
				if pos.Redo != nil {
					to = pos.Redo.To
				}
				_, err := fill(t, d, "p00000", pos.Next, to).Publish(ctx, to)
				var taken *dataset.TakenError
				if err != nil && !errors.As(err, &taken) {
					t.Error(err)
				}
			}
		})
	}
	a, b := writer("a", 5), writer("b", by)
	aEnded = s.sched.Step(a, i)
	bEnded = s.sched.Step(b, j)
	s.sched.Step(a, -1)
	s.sched.Step(b, -1)
	s.checkEnd()
	return aEnded, bEnded
}
