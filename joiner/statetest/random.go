package statetest

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

var seedFlag = flag.Uint64("statetest.seed", 0, "the one seed to run the random test of joiner stores with")

var lowest = joiner.Cursor{TimeMS: math.MinInt64, Partition: math.MinInt32, Offset: math.MinInt64}

// testRandom drives a store and the model with the same random calls.
func testRandom(t *testing.T, open func(t *testing.T) Opener) {
	first, last := uint64(1), uint64(12)
	if testing.Short() {
		last = 5
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			Random(t, open(t), seed)
		})
	}
}

// Random runs one random history, with crashes, against opener's store.
func Random(t *testing.T, opener Opener, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &walk{r: r, opener: opener, opts: joiner.StoreOptions{BucketMS: []int64{10, 50, 1000}[r.IntN(3)], BlockBytes: []int{1, 300, 2000}[r.IntN(3)], BufferBytes: 1 + r.IntN(5000)}}
	for kind := range w.saved {
		w.saved[kind] = model{bucketMS: w.opts.BucketMS}
	}
	if err := w.reopen(); err != nil {
		t.Fatal(err)
	}
	for step := range 400 {
		if err := w.step(); err != nil {
			t.Fatalf("step %d, to be repeated with -statetest.seed=%d: %v", step, seed, err)
		}
	}
	opener.Crash()
}

// walk is a random history under way: the store, and what it should hold.
type walk struct {
	r      *rand.Rand
	opener Opener
	opts   joiner.StoreOptions
	store  joiner.Store
	now    [joiner.NumLogs]model
	saved  [joiner.NumLogs]model // as of the last commit
	meta   []byte
	nowMS  int64
	offset int64
}

func (w *walk) step() error {
	kind := joiner.LogKind(w.r.IntN(int(joiner.NumLogs)))
	log, m := w.store.Log(kind), &w.now[kind]
	w.nowMS += w.r.Int64N(40)
	switch n := w.r.IntN(100); {
	case n < 50:
		return w.append(log, m)
	case n < 75:
		return w.scan(log, m)
	case n < 83:
		return w.read(log, m)
	case n < 87:
		c := joiner.Cursor{TimeMS: w.someTime(), Partition: int32(w.r.IntN(3)), Offset: w.r.Int64N(w.offset + 1)}
		m.seek(c)
		return log.Seek(c)
	case n < 91:
		timeMS := w.nowMS - w.r.Int64N(600)
		m.dropBefore(timeMS)
		return log.DropBefore(timeMS)
	case n < 93:
		return m.check(log)
	case n < 97:
		return w.commit()
	case n < 98:
		if err := w.store.Close(); err != nil {
			return err
		}
	}
	return w.reopen()
}

// someTime is an event time around now, seldom far from it.
func (w *walk) someTime() int64 {
	if w.r.IntN(50) == 0 {
		return w.r.Int64() - w.r.Int64()
	}
	return w.nowMS + w.r.Int64N(400) - 200
}

func (w *walk) append(log joiner.Log, m *model) error {
	for range w.r.IntN(20) {
		w.offset++
		e := joiner.Entry{
			TimeMS: w.someTime(), Partition: int32(w.r.IntN(3)), Offset: w.offset,
			Source: uint16(w.r.IntN(3)), Flags: uint16(w.r.Uint32()), Accept: w.r.Uint32(),
			Key: bytes.Repeat([]byte{byte(w.r.Uint32())}, w.r.IntN(20)), Value: make([]byte, w.r.IntN(200)),
		}
		for i := range e.Value {
			e.Value[i] = byte(w.r.IntN(4))
		}
		if n := len(m.entries); n > 0 && w.r.IntN(10) == 0 { // at the position of another
			twin := &m.entries[w.r.IntN(n)]
			e.TimeMS, e.Partition, e.Offset = twin.TimeMS, twin.Partition, twin.Offset
		}
		ref, err := log.Append(&e)
		if err != nil {
			return err
		}
		m.append(e, ref)
	}
	return nil
}

func (w *walk) scan(log joiner.Log, m *model) error {
	beforeMS := w.someTime()
	for range w.r.IntN(30) {
		var e joiner.Entry
		ok, err := log.Next(beforeMS, &e)
		if err != nil {
			return err
		}
		want := m.next(beforeMS)
		if want == nil && ok {
			return fmt.Errorf("Next before %d: %s, want none", beforeMS, describe(&e))
		}
		if want == nil {
			return nil
		}
		if !ok {
			return fmt.Errorf("Next before %d: none, want %s", beforeMS, describe(want))
		}
		if !equal(&e, want) {
			return fmt.Errorf("Next before %d: %s, want %s", beforeMS, describe(&e), describe(want))
		}
	}
	return nil
}

func (w *walk) read(log joiner.Log, m *model) error {
	for range min(10, len(m.entries)) {
		want := &m.entries[w.r.IntN(len(m.entries))]
		var e joiner.Entry
		if err := log.Read(want.ref, &e); err != nil {
			return err
		}
		if !equal(&e, &want.Entry) {
			return fmt.Errorf("Read at %+v: %s, want %s", want.ref, describe(&e), describe(&want.Entry))
		}
	}
	return nil
}

func (w *walk) commit() error {
	w.meta = fmt.Append(nil, "meta ", w.offset)
	for kind := range w.now {
		w.saved[kind] = w.now[kind].clone()
	}
	return w.store.Commit(w.meta)
}

// reopen crashes and opens the store, and expects it to be as of the last commit.
func (w *walk) reopen() (err error) {
	w.opener.Crash()
	if w.store, err = w.opener.Open(w.opts); err != nil {
		return err
	}
	if got := w.store.Meta(); !bytes.Equal(got, w.meta) {
		return fmt.Errorf("Meta: %q, want %q", got, w.meta)
	}
	for kind := range w.now {
		w.now[kind] = w.saved[kind].clone()
		if err := w.now[kind].check(w.store.Log(joiner.LogKind(kind))); err != nil {
			return fmt.Errorf("log %d after reopening: %w", kind, err)
		}
	}
	return nil
}
