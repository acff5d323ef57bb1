package checkpoint_test

import (
	"fmt"
	"testing"

	"github.com/mortise-dev/mortise/joiner/checkpoint/buckettest"
)

// These go through all the moments at which one process can overtake another,
// where the simulation only tries some.

// stage is a bucket with checkpoints of a writer, whose last one stays, and
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
		st.writer.keepMS = 0
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

// saves adds a process that goes on from the newest checkpoint and saves n times.
// Up to its first save nobody comes between.
func (st *stage) saves(name string, seed uint64, n int) {
	var w *worker
	a := st.sched.Go(name, func(a *buckettest.Actor) {
		w, _ = st.process(a, seed)
		w.keepMS = 0
		if w.restore(all) == nil {
			st.t.Error("nothing to restore")
		}
	})
	st.sched.Step(a, -1)
	st.actors[name] = st.sched.Go(name, func(a *buckettest.Actor) {
		w.to = a
		w.relog(&passedOver{s: st.sim})
		for range n {
			w.step()
			st.save(w)
		}
	})
}

// restores adds a process that restores.
func (st *stage) restores(name string) {
	st.actors[name] = st.sched.Go(name, func(a *buckettest.Actor) {
		w, _ := st.process(a, 9)
		if got, err := w.ck.Restore(ctx, taskName, w.db, all); err != nil || got == nil {
			st.t.Errorf("restored %v, %v", got, err)
		} else {
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

// interleave runs for all numbers of calls that are of different effect. run
// returns which of its numbers were too large.
func interleave(t *testing.T, run func(t *testing.T, i, j int) (iEnded, jEnded bool)) {
	n := 0
	stride := 1
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
	for _, first := range []string{"save", "restore"} {
		t.Run(first+" ends first", func(t *testing.T) {
			interleave(t, func(t *testing.T, i, j int) (bool, bool) {
				st := newStage(t, 1)
				st.saves("save", 2, 2)
				st.restores("restore")
				iEnded := st.step("save", i)
				jEnded := st.step("restore", j)
				st.end(first, map[string]string{"save": "restore", "restore": "save"}[first])
				return iEnded, jEnded
			})
		})
	}
}

// TestTwoSavesAgainstRestore stops a save at each call, lets a restore begin, then
// another process save as a whole, and ends the first save before the restore.
func TestTwoSavesAgainstRestore(t *testing.T) {
	interleave(t, func(t *testing.T, i, j int) (bool, bool) {
		st := newStage(t, 1)
		st.saves("x", 2, 1)
		st.saves("y", 3, 2)
		st.restores("restore")
		iEnded := st.step("x", i)
		jEnded := st.step("restore", j)
		st.end("y", "x", "restore")
		return iEnded, jEnded
	})
}

// TestSaveOvertaken stops one save at each call for longer than pins last, lets
// another process begin to save, and ends the one or the other first.
func TestSaveOvertaken(t *testing.T) {
	for _, first := range []string{"x", "y"} {
		t.Run(first+" ends first", func(t *testing.T) {
			interleave(t, func(t *testing.T, i, j int) (bool, bool) {
				st := newStage(t, 1)
				st.saves("x", 2, 1)
				st.saves("y", 3, 2)
				iEnded := st.step("x", i)
				st.sched.Bucket.Advance(2 * simPinFor)
				jEnded := st.step("y", j)
				st.end(first, map[string]string{"x": "y", "y": "x"}[first])
				return iEnded, jEnded
			})
		})
	}
}

// TestRestartOvertaken kills a save at each call that stood still for longer than
// pins last, while another process is clearing away, and starts it again on its
// local state.
func TestRestartOvertaken(t *testing.T) {
	interleave(t, func(t *testing.T, i, j int) (bool, bool) {
		st := newStage(t, 2)
		st.saves("y", 3, 2)
		w := st.writer
		x := st.sched.Go("x", func(a *buckettest.Actor) {
			w.to = a
			w.relog(&passedOver{s: st.sim})
			w.step()
			st.save(w)
		})
		st.actors["x"] = x
		iEnded := st.step("x", i)
		st.sched.Bucket.Advance(2 * simPinFor)
		jEnded := st.step("y", j)
		if !iEnded {
			st.step("x", 3)
		}
		x.Killed = true
		st.step("x", -1)
		st.actors["again"] = st.sched.Go("again", func(a *buckettest.Actor) {
			w.to = a
			w.relog(&passedOver{s: st.sim})
			w.step()
			st.save(w)
		})
		st.end("again", "y")
		return iEnded, jEnded
	})
}
