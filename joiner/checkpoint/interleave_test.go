package checkpoint_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
)

// These go through all the moments at which one process can overtake another,
// where the simulation only tries some.

// stage is a bucket with checkpoints of a writer, whose last ones stay, and
// processes that are about to do something.
type stage struct {
	*sim
	writer *worker
	actors map[string]*buckettest.Actor
}

func newStage(t *testing.T, keep int) *stage {
	s := newSim(t, 1)
	s.opts.Keep = keep
	st := &stage{sim: s, actors: map[string]*buckettest.Actor{}}
	a := s.sched.Go("writer", func(a *buckettest.Actor) {
		st.writer, _ = s.process(a, 1)
		st.writer.keepMS, st.writer.leapMS = 6000, 0
		st.writer.open()
		for range keep + 1 {
			st.writer.step()
			s.save(st.writer)
		}
	})
	s.sched.Step(a, -1)
	return st
}

func (s *sim) save(w *worker) {
	saved, err := w.ck.Save(ctx, taskName, w.capture())
	if err == nil {
		s.sure[saved.Name] = true
	}
}

// far is so long that nothing of a checkpoint is needed by the next.
const far = 20_000

// saves adds a process that goes on from the newest checkpoint and saves n times,
// leapMS of event time apart. Up to its first save nobody comes between.
func (st *stage) saves(name string, n int, leapMS int64) {
	ready := false
	st.actors[name] = st.sched.Go(name, func(a *buckettest.Actor) {
		w, _ := st.process(a, uint64(len(st.actors)+2))
		w.keepMS, w.leapMS = 6000, leapMS
		if w.restore(all) == nil {
			st.t.Error("nothing to restore")
		}
		ready = true
		for range n {
			w.step()
			st.save(w)
		}
	})
	for !ready && !st.step(name, 0) {
	}
}

// goesOn adds a process that starts again on its local state, and saves.
func (st *stage) goesOn(name string, w *worker) {
	st.actors[name] = st.sched.Go(name, func(a *buckettest.Actor) {
		w.to = a
		w.relog(&passedOver{s: st.sim})
		w.step()
		st.save(w)
	})
}

// restores adds a process that restores the newest checkpoint that accept takes.
func (st *stage) restores(name string, accept func(meta []byte) bool) {
	st.actors[name] = st.sched.Go(name, func(a *buckettest.Actor) {
		w, _ := st.process(a, 99)
		got, err := w.ck.Restore(ctx, taskName, w.db, accept)
		if err != nil {
			st.t.Error(err)
		}
		if got != nil {
			w.check(got)
		}
	})
}

func (st *stage) step(name string, calls int) bool { return st.sched.Step(st.actors[name], calls) }

// end lets all actors end, in the given order, and looks at what is left.
func (st *stage) end(names ...string) {
	for _, name := range names {
		st.step(name, -1)
	}
	st.sched.Run()
	st.checkEnd()
}

// interleave runs for all numbers of calls after which one process may stop and
// another begin. run returns which of its numbers were too large.
func interleave(t *testing.T, run func(t *testing.T, i, j int) (iEnded, jEnded bool)) {
	n, stride := 0, 1
	if testing.Short() {
		stride = 4
	}
	for i, iEnded := 0, false; !iEnded; i += stride {
		for j, jEnded := 0, false; !jEnded; j += stride {
			t.Run(fmt.Sprintf("%d,%d", i, j), func(t *testing.T) { iEnded, jEnded = run(t, i, j) })
			if n++; t.Failed() || n > 5000 {
				t.Fatalf("failed, or does not end, after %d orders", n)
			}
		}
	}
	if n < 50/stride/stride {
		t.Errorf("only %d orders", n)
	}
	t.Logf("%d orders", n)
}

// TestSaveAgainstRestore stops a save at each call, lets a restore begin, and ends
// the one or the other first.
func TestSaveAgainstRestore(t *testing.T) {
	for first, second := range map[string]string{"save": "restore", "restore": "save"} {
		t.Run(first+" ends first", func(t *testing.T) {
			interleave(t, func(t *testing.T, i, j int) (bool, bool) {
				st := newStage(t, 1)
				st.saves("save", 2, far)
				st.restores("restore", all)
				iEnded := st.step("save", i)
				jEnded := st.step("restore", j)
				st.end(first, second)
				return iEnded, jEnded
			})
		})
	}
}

// TestTwoSavesAgainstRestore stops a save at each call. Another is stopped when it
// is about to remove a checkpoint that it saw nobody read; a restore of it begins;
// the second save ends, the first, and then the restore.
func TestTwoSavesAgainstRestore(t *testing.T) {
	interleave(t, func(t *testing.T, i, j int) (bool, bool) {
		st := newStage(t, 2)
		st.sched.Bucket.Advance(2 * simPinFor) // the writer's own pin is no help
		meta := string(st.writer.store.Meta())
		st.saves("x", 1, far)
		st.saves("a", 1, far)
		st.restores("restore", func(m []byte) bool { return string(m) == meta })
		iEnded := st.step("x", i)
		for !strings.HasPrefix(st.actors["a"].Call, "delete "+folder+"/checkpoints/") && !st.step("a", 0) {
		}
		jEnded := st.step("restore", j)
		st.end("a", "x", "restore")
		return iEnded, jEnded
	})
}

// TestSaveAgainstSave stops one save at each call, lets another begin, at once or
// after longer than pins last, and ends the first.
func TestSaveAgainstSave(t *testing.T) {
	for _, c := range []struct {
		name  string
		keep  int
		saves int
		leap  int64 // of the second process
		pause time.Duration
	}{
		{"the base becomes surplus", 1, 1, far, 0},
		{"the pin expires", 2, 1, 0, 2 * simPinFor},
		{"both", 1, 1, far, 2 * simPinFor},
		{"the pin goes", 2, 2, far, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			interleave(t, func(t *testing.T, i, j int) (bool, bool) {
				st := newStage(t, c.keep)
				st.sched.Bucket.Advance(2 * simPinFor) // the writer's own pin is no help
				st.saves("x", c.saves, 0)
				st.saves("a", 1, c.leap)
				iEnded := st.step("x", i)
				st.sched.Bucket.Advance(c.pause)
				jEnded := st.step("a", j)
				st.end("x", "a")
				return iEnded, jEnded
			})
		})
	}
}

// TestRestartAgainstSave stops a save at each call for longer than pins last, lets
// another process clear away, kills the first a few calls later, and starts it
// again on its local state before the other ends.
func TestRestartAgainstSave(t *testing.T) {
	interleave(t, func(t *testing.T, i, j int) (bool, bool) {
		st := newStage(t, 2)
		st.saves("a", 1, 0)
		st.goesOn("writer", st.writer)
		iEnded := st.step("writer", i)
		st.sched.Bucket.Advance(2 * simPinFor)
		jEnded := st.step("a", j)
		if !iEnded {
			st.step("writer", 2)
		}
		st.actors["writer"].Killed = true
		st.step("writer", -1)
		st.goesOn("restarted", st.writer)
		st.end("restarted", "a")
		return iEnded, jEnded
	})
}
