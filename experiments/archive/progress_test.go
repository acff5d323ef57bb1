package archive

import (
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// at is a task that has closed all before an event time, with some impressions pending.
func at(p int32, closedMS, pending int64, offsets ...int64) Task {
	l := mortise.Ledger{}
	l.Impressions.In, l.Impressions.Pending = pending, pending
	return Task{Partition: p, Committed: &joiner.Snapshot{Offsets: offsets, Cursor: joiner.Cursor{TimeMS: closedMS}, Ledgers: []mortise.Ledger{l}}}
}

func behind(t Task) Task {
	t.Behind = true
	return t
}

const none = int64(joiner.NoTimeMS)

func TestBoundIsTheLeastCursor(t *testing.T) {
	for _, c := range []struct {
		what  string
		tasks []Task
		want  int64 // none: not known
	}{
		{"the least of those that hold impressions", []Task{at(0, 500, 1), at(1, 300, 2), at(2, 400, 1)}, 300},
		{"one that has committed nothing", []Task{at(0, 500, 1), {Partition: 1}}, none},
		{"one that has closed nothing yet", []Task{at(0, 500, 1), at(1, none, 3)}, none},
		{"one that is drained holds it too, at first", []Task{at(0, 500, 1), at(1, 100, 0)}, 100},
		{"an empty one that has just come", []Task{at(0, 500, 1), at(1, none, 0)}, none},
		{"one that lags", []Task{at(0, 500, 1), behind(at(1, 100, 0))}, 100},
		{"no task", nil, none},
	} {
		closing := closing{idleAfter: time.Minute}
		got, ok := closing.bound(c.tasks, time.Unix(1000, 0))
		if ok != (c.want != none) || ok && got != c.want {
			t.Errorf("%s: %d, %t; want %d", c.what, got, ok, c.want)
		}
	}
}

// An idle task holds nothing back once it has been so for idle_after; one that
// moves begins anew.
func TestIdleTasksDoNotHold(t *testing.T) {
	now := time.Unix(1000, 0)
	closing := closing{idleAfter: time.Minute}
	expect := func(after time.Duration, want int64, tasks ...Task) {
		t.Helper()
		now = now.Add(after)
		got, ok := closing.bound(tasks, now)
		if ok != (want != none) || ok && got != want {
			t.Errorf("at %s: %d, %t; want %d", now.Sub(time.Unix(1000, 0)), got, ok, want)
		}
	}
	expect(0, none, at(0, 500, 1), at(1, none, 0, 7, 7))
	expect(59*time.Second, none, at(0, 500, 1), at(1, none, 0, 7, 7))
	expect(time.Second, 500, at(0, 500, 1), at(1, none, 0, 7, 7))
	expect(time.Second, none, at(0, 500, 1), at(1, none, 0, 7, 8)) // it has read something
	expect(time.Minute, 500, at(0, 500, 1), at(1, none, 0, 7, 8))
	expect(time.Second, 450, at(0, 500, 1), at(1, 450, 2, 9, 8)) // it holds impressions
	expect(time.Second, 450, at(0, 500, 1), at(1, 450, 0, 9, 8))
	expect(time.Minute, 600, at(0, 600, 1), at(1, 450, 0, 9, 8))
	expect(time.Second, 450, at(0, 600, 1), behind(at(1, 450, 0, 9, 8)))
	expect(time.Minute, 450, at(0, 600, 1), at(1, 450, 0, 9, 8))
	// All are idle: the furthest counts.
	expect(time.Hour, 600, at(0, 600, 0, 5), at(1, 450, 0, 9, 8)) // task 0 has only just drained
	expect(time.Second, 400, at(0, 400, 0, 6), at(1, 450, 0, 9, 8), at(2, 450, 1))
	expect(time.Second, 400, at(0, 400, 0, 7), at(1, 450, 0, 9, 8))
	expect(time.Minute, 450, at(0, 400, 0, 7), at(1, 450, 0, 9, 8))
	expect(time.Second, 600, at(0, 600, 0, 5), at(1, 450, 0, 9, 8))
	expect(time.Minute, 600, at(0, 600, 0, 5), at(1, 450, 0, 9, 8))
	expect(time.Minute, 700, at(0, 700, 0, 5), at(1, 450, 0, 9, 8)) // and goes on with the clock
	// Without idle_after no task is ever idle.
	closing.idleAfter = 0
	expect(24*time.Hour, 450, at(0, 700, 0, 5), at(1, 450, 0, 9, 8))
}

func TestAllDrained(t *testing.T) {
	for _, c := range []struct {
		tasks []Task
		want  bool
	}{
		{nil, false},
		{[]Task{at(0, 1, 0)}, true},
		{[]Task{at(0, none, 0), at(1, 5, 0)}, true},
		{[]Task{at(0, 1, 0), at(1, 1, 1)}, false},
		{[]Task{at(0, 1, 0), behind(at(1, 1, 0))}, false},
		{[]Task{at(0, 1, 0), {Partition: 1}}, false},
	} {
		if got := allDrained(c.tasks); got != c.want {
			t.Errorf("%+v: %t", c.tasks, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	for _, ms := range []int64{none, 0, -5, 1_700_000_000_000} {
		if got, err := ParseMetadata(metadata(ms)); err != nil || got != ms {
			t.Errorf("%d: %d, %v", ms, got, err)
		}
	}
	if ms, err := ParseMetadata(""); err != nil || ms != none {
		t.Errorf("set by hand: %d, %v", ms, err)
	}
	for _, text := range []string{"mortise1:AAAA", "mortise-parquet1:x", "x"} {
		if _, err := ParseMetadata(text); err == nil {
			t.Errorf("%q is taken for an archiver's", text)
		}
	}
}

// The oldest record that is not archived waits since it was first seen.
func TestLag(t *testing.T) {
	var l lag
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	expect := func(s float64, end, archived int64, want time.Duration) {
		t.Helper()
		l.sight(end, archived, at(s))
		if got := l.waiting(at(s)); got != want {
			t.Errorf("at %v s, end %d, archived %d: %v, want %v", s, end, archived, got, want)
		}
	}
	expect(0, 100, 100, 0)
	expect(1, 110, 100, 0)
	expect(2, 120, 100, time.Second)
	expect(60, 200, 100, 59*time.Second)
	expect(61, 200, 110, 59*time.Second) // what came at 2 s is the oldest now
	expect(62, 210, 150, 2*time.Second)
	expect(63, 210, 210, 0)
	// Thousands of sightings are thinned out, and the oldest stays.
	for i := range 5000 {
		l.sight(int64(300+i), 210, at(100+2*float64(i)))
	}
	if len(l.seen) > maxSights {
		t.Errorf("%d sightings are kept", len(l.seen))
	}
	if got := l.waiting(at(100 + 2*5000)); got != 10_000*time.Second {
		t.Errorf("the oldest of 5000 waits for %v", got)
	}
	l.sight(6000, 300+2500, at(10_100))
	if got := l.waiting(at(10_100)); got < 4900*time.Second || got > 5000*time.Second {
		t.Errorf("the record of 5,100 s waits for %v", got)
	}
}
