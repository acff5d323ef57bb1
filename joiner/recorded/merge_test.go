package recorded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// byNumber takes a line of the form "TIME rest" and the rest as its key.
func byNumber(line []byte) (int64, []byte, bool) {
	number, rest, _ := bytes.Cut(line, []byte(" "))
	ms, err := strconv.ParseInt(string(number), 10, 64)
	return ms, rest, err == nil
}

func stream(t testing.TB, patterns ...string) Stream {
	t.Helper()
	f, err := Open(t.Context(), Options{}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return Stream{Files: f, Extract: byNumber}
}

// merged returns a merge's events as "stream@time key".
func merged(t testing.TB, streams ...Stream) []string {
	t.Helper()
	m, err := Merge(streams...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		e, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d@%d %s", e.Stream, e.TimeMS, e.Key))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if read, total := m.Progress(); read != total {
		t.Errorf("progress at the end: %d of %d", read, total)
	}
	return got
}

func TestMergeByEventTime(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "imps-1", []byte("10 a\n30 c\n30 d\n"))
	write(t, dir, "imps-2", []byte("20 b\n5 disordered\n40 e\n"))
	write(t, dir, "empty", nil)
	clicks := write(t, dir, "clicks", gzipped(t, []byte("10 x\n30 y\n50 z\n")))
	got := merged(t, stream(t, filepath.Join(dir, "imps-*"), filepath.Join(dir, "empty")), stream(t, clicks))
	want := []string{"0@10 a", "1@10 x", "0@20 b", "0@5 disordered", "0@30 c", "0@30 d", "1@30 y", "0@40 e", "1@50 z"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesWithoutTimeKeepTheirPlace(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a", []byte("junk first\n10 a\njunk second\n30 b\n"))
	b := write(t, dir, "b", []byte("20 x\n"))
	got := merged(t, stream(t, a), stream(t, b))
	want := []string{"0@0 first", "0@10 a", "0@10 second", "1@20 x", "0@30 b"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEventsTellWhereTheyComeFrom(t *testing.T) {
	path := write(t, t.TempDir(), "a", []byte("\n10 a\njunk\n"))
	m, err := Merge(stream(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, want := range []Event{{Line: Line{Number: 2}, Timed: true}, {Line: Line{Number: 3}}} {
		e, err := m.Next()
		if err != nil || e.File != path || e.Number != want.Number || e.Timed != want.Timed {
			t.Errorf("got %+v, %v, want line %d, timed %t", e, err, want.Number, want.Timed)
		}
	}
}

// TestMergeIsAStableMerge compares random files, sorted ones and not, with a
// merge that takes the least head at each step.
func TestMergeIsAStableMerge(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		dir := t.TempDir()
		var runs [][]string
		var streams []Stream
		for s := range 1 + rng.IntN(3) {
			var patterns []string
			for f := range 1 + rng.IntN(4) {
				var text []byte
				var run []string
				at := rng.IntN(50)
				for i := range rng.IntN(30) {
					at += rng.IntN(12) - 2
					text = fmt.Appendf(text, "%d f%d-%d\n", at, f, i)
					run = append(run, fmt.Sprintf("%d@%d f%d-%d", s, at, f, i))
				}
				runs = append(runs, run)
				patterns = append(patterns, write(t, dir, fmt.Sprintf("s%d-%d", s, f), text))
			}
			streams = append(streams, stream(t, patterns...))
		}
		if got, want := merged(t, streams...), naive(runs); !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func naive(runs [][]string) (out []string) {
	timeOf := func(s string) int {
		n, _ := strconv.Atoi(s[strings.Index(s, "@")+1 : strings.Index(s, " ")])
		return n
	}
	for {
		best := -1
		for i, run := range runs {
			if len(run) > 0 && (best < 0 || timeOf(run[0]) < timeOf(runs[best][0])) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, runs[best][0])
		runs[best] = runs[best][1:]
	}
}

func TestFilesOneAfterAnotherAreNotOpenTogether(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		write(t, dir, fmt.Sprintf("hour-%02d", i), fmt.Appendf(nil, "%d a\n%d b\n", i*10, i*10+5))
	}
	m, err := Merge(stream(t, filepath.Join(dir, "hour-*")))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for {
		if _, err := m.Next(); err != nil {
			break
		}
		open := 0
		for _, r := range m.heads {
			if r.lines != nil {
				open++
			}
		}
		if open > 1 {
			t.Fatalf("%d files are open, want 1", open)
		}
	}
}

func TestMergeNamesDamage(t *testing.T) {
	dir := t.TempDir()
	var text []byte
	for i := range 20_000 {
		text = fmt.Appendf(text, "%d %x\n", i, i*7919)
	}
	whole := gzipped(t, text)
	path := write(t, dir, "cut", whole[:len(whole)/2])
	m, err := Merge(stream(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for {
		if _, err = m.Next(); err != nil {
			break
		}
	}
	var damage *ReadError
	if !errors.As(err, &damage) || damage.File != path {
		t.Errorf("got %v, want a ReadError that names %s", err, path)
	}
	if _, err := Open(t.Context(), Options{}, write(t, dir, "parquet", []byte("PAR1xxxx"))); err == nil || !strings.Contains(err.Error(), "Parquet") {
		t.Errorf("a foreign file: got %v", err)
	}
	if _, err := Merge(stream(t, "-"), stream(t, "-")); err == nil {
		t.Error("the standard input for two sources: no error")
	}
}

// fakeClock passes time only when somebody sleeps.
type fakeClock struct {
	now   time.Time
	slept []time.Duration
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

func TestPace(t *testing.T) {
	const hour = 3_600_000
	clock := &fakeClock{now: time.Unix(1_000_000, 0)}
	p := Pace(60, clock)
	for _, timeMS := range []int64{hour, hour, 2 * hour, hour + 1, 2*hour + 30, 3 * hour} {
		if err := p.Wait(t.Context(), timeMS); err != nil {
			t.Fatal(err)
		}
	}
	if want := []time.Duration{time.Minute, time.Minute}; !slices.Equal(clock.slept, want) {
		t.Errorf("slept %v, want %v: no sleep for what is due or nearly so", clock.slept, want)
	}
	clock.now = clock.now.Add(time.Hour) // the reader was held up; it makes up for it
	if err := p.Wait(t.Context(), 5*hour); err != nil || len(clock.slept) != 2 {
		t.Errorf("behind: slept %v, %v", clock.slept, err)
	}
	if err := Pace(Max, nil).Wait(t.Context(), hour); err != nil {
		t.Errorf("max: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx, 100*hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if err := (SystemClock{}).Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled by the system's clock: got %v", err)
	}
}

func TestParseSpeed(t *testing.T) {
	for text, want := range map[string]Speed{"60x": 60, "1x": 1, "0.5x": 0.5, "max": Max} {
		if got, err := ParseSpeed(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "60", "x", "0x", "-1x", "infx", "nanx", "MAX", "1e400x"} {
		if got, err := ParseSpeed(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
