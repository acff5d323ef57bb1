package joiner_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// TestLostRecords rebuilds from topics of which the beginning is gone. Without
// leave that is an error if and only if an impression or a label was lost; with
// it the account says how many impressions, exactly, and adds up to the end.
func TestLostRecords(t *testing.T) {
	whole, short := 0, 0
	for seed := uint64(1); seed <= 400; seed++ {
		w := newWorld(t, seed)
		w.start()
		for range 30 + w.rng.IntN(60) {
			if !w.done() {
				w.step()
			}
		}
		for w.rebuild != nil {
			w.feed(w.rng.IntN(len(w.streams)))
		}
		w.commit()
		first := make([]int64, len(w.streams)) // offsets before it are gone
		for in := range first {
			if first[in] = w.rng.Int64N(w.pos[in] + 1); seed%2 == 0 { // all that is needed is there
				first[in] = w.rng.Int64N(w.committed.Lows[in] + 1)
			}
		}
		lost := int64(0)
		for i, rec := range w.streams[0][:first[0]] {
			at := joiner.Cursor{TimeMS: rec.timeMS, Offset: int64(i)}
			if !at.Less(w.committed.Cursor) {
				lost++
			}
		}
		err := w.rebuildFrom(first, false)
		switch {
		case err == nil && lost == 0:
			whole++
		case err == nil || !errors.Is(err, joiner.ErrLost):
			t.Fatalf("seed %d: %d impressions are lost: %v", seed, lost, err)
		default:
			short++
			if want := fmt.Sprintf("%d impressions were pending", w.committed.Ledgers[0].Impressions.Pending); lost > 0 && !strings.Contains(err.Error(), want) {
				t.Fatalf("seed %d: %v; it should say %q", seed, err, want)
			}
		}
		if err := w.rebuildFrom(first, true); err != nil {
			t.Fatalf("seed %d: with leave: %v", seed, err)
		}
		l := w.task.Ledger(0)
		if got := l.Impressions.Dropped[mortise.ReasonLost]; got != lost {
			t.Fatalf("seed %d: %d impressions counted as lost, want %d", seed, got, lost)
		}
		for !w.done() {
			w.feed(w.rng.IntN(len(w.streams)))
			w.checkLedger()
		}
		w.must(drain(w.task.Finish))
		w.checkLedger()
		if l := w.task.Ledger(0); l.Impressions.Pending != 0 || l.Labels.Pending != 0 || l.Impressions.Dropped[mortise.ReasonLost] != lost {
			t.Fatalf("seed %d: at the end: %+v", seed, l)
		}
	}
	if whole < 20 || short < 100 {
		t.Fatalf("%d rebuilds were whole and %d were not: the test sees one side only", whole, short)
	}
}

// rebuildFrom loses the disk and reads each stream from an offset at the least.
func (w *world) rebuildFrom(first []int64, acceptLost bool) error {
	w.must(w.store.Close())
	w.must(w.disk.wipe())
	store, err := w.disk.open(w.opts.StoreOptions())
	w.must(err)
	w.store = store
	w.task, err = joiner.New(w.opts, store, w.prog)
	w.must(err)
	w.task.BeginRebuild()
	w.rebuild = w.committed
	for in := range w.streams {
		w.pos[in] = max(w.committed.Lows[in], first[in])
		for w.pos[in] < w.committed.Offsets[in] {
			w.add(in)
		}
	}
	err = w.task.FinishRebuild(w.committed, acceptLost)
	w.rebuild = nil
	w.clock.Restart(w.task.WatermarkMS())
	return err
}

// TestSurplus: topics that hold other records than those that were committed are
// refused, whatever is accepted.
func TestSurplus(t *testing.T) {
	w := newWorld(t, 3)
	w.start()
	for range 20 {
		w.feed(0)
	}
	w.commit()
	at := *w.committed
	at.Ledgers = slices.Clone(at.Ledgers)
	at.Ledgers[0].Impressions.Pending -= 2
	at.Ledgers[0].Impressions.In -= 2
	w.committed = &at
	for _, acceptLost := range []bool{false, true} {
		if err := w.rebuildFrom([]int64{0, 0, 0}, acceptLost); !errors.Is(err, joiner.ErrLost) {
			t.Errorf("accepting a loss %t: %v", acceptLost, err)
		}
	}
}

// TestCountLost: what was never read is in, and dropped.
func TestCountLost(t *testing.T) {
	w := newWorld(t, 5)
	w.start()
	for range 20 {
		w.feed(0)
	}
	before := w.task.Ledger(0)
	w.task.CountLost(0, 7)
	w.task.CountLost(1, 3)
	l := w.task.Ledger(0)
	if l.Impressions.In != before.Impressions.In+7 || l.Impressions.Dropped[mortise.ReasonLost] != 7 ||
		l.Labels.In != before.Labels.In+3 || l.Labels.Dropped[mortise.ReasonLost] != 3 {
		t.Errorf("%+v became %+v", before, l)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// TestSettledByTheEnd: what the end of input settled stays settled when a state
// from before it is brought up to what was committed after it.
func TestSettledByTheEnd(t *testing.T) {
	held := 0
	for seed := uint64(1); seed <= 100; seed++ {
		w := newWorld(t, seed)
		w.start()
		for !w.done() {
			w.step()
		}
		w.commit()
		w.must(w.task.Commit(w.committed))
		held += int(w.committed.Labels)
		for in := range w.streams {
			w.clock.End(in)
		}
		w.must(drain(w.task.Finish))
		w.commit()
		want := w.task.Ledger(0)
		w.crash(false)
		w.maybeLive()
		if w.rebuild != nil {
			t.Fatalf("seed %d: there is nothing left to read and it still rebuilds", seed)
		}
		for range 2 {
			if got := w.task.Ledger(0); got != want {
				t.Fatalf("seed %d: account\n%+v\nwant\n%+v", seed, got, want)
			}
			w.must(drain(w.task.Finish))
		}
	}
	if held == 0 {
		t.Fatal("no label was held at the end of any input")
	}
}
