package dimjoin_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

var errDown = errors.New("connection refused")

// bubble runs a test in fake time, with a table and a reader that keeps all.
func bubble(t *testing.T, def *dimjoin.Definition, opts dimjoin.Options, f func(t *testing.T, b *table, r *dimjoin.Reader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newTable()
		b.history = def.AsOf == dimjoin.AsOfEventTime
		opts.Cache = newRows()
		r := dimjoin.NewReader(def, b, opts)
		defer r.Close()
		f(t, b, r)
	})
}

func TestVersionsAreReadAsOfTheirMillisecond(t *testing.T) {
	opts := dimjoin.Options{RefreshAhead: -1}
	bubble(t, define(dimjoin.AsOfEventTime, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		now := time.Now().UnixMilli()
		from, to, end := now-3000, now-2000, now-1000
		b.set("a", from, "old")
		b.set("a", to, "new")
		b.set("a", end, "")
		for _, c := range []struct {
			asOf int64
			want string
		}{
			{from - 1, "missing: null absent"}, {from, "store: old"}, {from + 1, "hit: old"}, {to - 1, "hit: old"},
			{to, "store: new"}, {to + 1, "hit: new"}, {end - 1, "hit: new"}, {end, "missing: null absent"},
			{from - 1, "missing: null absent"}, {from, "hit: old"}, {to, "hit: new"}, {now - 1, "missing: null absent"},
		} {
			expect(t, fmt.Sprintf("as of %+d ms", c.asOf-now), read(t, r, "a", c.asOf), c.want)
		}
		if n := b.requests(); n != 4 {
			t.Errorf("%d requests for 4 spans of time", n)
		}
	})
}

func TestEventTimesAfterTheReadAreReadAgain(t *testing.T) {
	opts := dimjoin.Options{Lag: 5 * time.Millisecond, RefreshAhead: -1}
	bubble(t, define(dimjoin.AsOfEventTime, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		begin := time.Now().UnixMilli()
		b.set("a", begin-100, "old")
		expect(t, "first", read(t, r, "a", begin-50), "store: old")
		expect(t, "what had surely arrived when it was read", read(t, r, "a", begin-6), "hit: old")
		expect(t, "what might not have", read(t, r, "a", begin-5), "store: old")
		pass(10 * time.Millisecond)
		b.set("a", begin+2, "new")
		expect(t, "before the change", read(t, r, "a", begin-6), "hit: old")
		expect(t, "after it", read(t, r, "a", begin+2), "store: new")
		expect(t, "before it, once more", read(t, r, "a", begin+1), "store: old")
	})
}

func TestRowsCountForTheirTTLAndThenWhileTheStoreIsAway(t *testing.T) {
	opts := dimjoin.Options{TTL: time.Minute, NegativeTTL: time.Second, StaleFor: time.Hour, Jitter: -1, RefreshAhead: -1}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingDefault), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		get := func(key string) string { return read(t, r, key, dimjoin.Latest) }
		expect(t, "first", get("a"), "store: A")
		expect(t, "unknown key", get("b"), "default:  absent")
		b.set("b", 0, "B")
		pass(time.Second - time.Millisecond)
		expect(t, "a known absence's last millisecond", get("b"), "default:  absent")
		pass(time.Millisecond)
		expect(t, "after it", get("b"), "store: B")
		b.set("a", 0, "A2")
		pass(59*time.Second - time.Millisecond)
		expect(t, "the last millisecond", get("a"), "hit: A")
		b.befall(func(int) fault { return fault{err: errDown} })
		pass(time.Millisecond)
		expect(t, "without the store", get("a"), "stale: A")
		expect(t, "what never was there", get("c"), "default: ")
		pass(time.Hour - time.Millisecond)
		expect(t, "the last stale millisecond", get("a"), "stale: A")
		pass(time.Millisecond)
		expect(t, "after it", get("a"), "default: ")
		b.befall(nil)
		expect(t, "the store is back", get("a"), "store: A2")
		s := r.Stats()
		if s.Absent != 2 || s.Unavailable != 2 || s.Served[dimjoin.ServedStale] != 2 || s.Failed != 4 || s.Served[dimjoin.ServedHit] != 1 || s.Served[dimjoin.ServedStore] != 3 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestJitterSpreadsExpiry(t *testing.T) {
	opts := dimjoin.Options{TTL: 100 * time.Second, Jitter: 0.2, RefreshAhead: -1}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		var answers []dimjoin.Answer
		for i := range 1000 {
			key := fmt.Sprint("k", i)
			b.set(key, 0, key)
			answers = append(answers, ask(key, dimjoin.Latest))
		}
		r.Read(t.Context(), answers)
		pass(80*time.Second - time.Millisecond)
		r.Read(t.Context(), answers)
		if s := r.Stats(); s.Served[dimjoin.ServedHit] != 1000 {
			t.Fatalf("rows expired before their time: %+v", s)
		}
		for step := 1; step <= 4; step++ {
			before := b.keys()
			pass(5 * time.Second)
			r.Read(t.Context(), answers)
			if n := b.keys() - before; n < 180 || n > 320 {
				t.Errorf("%d of 1000 rows expired in the jitter's quarter %d", n, step)
			}
		}
	})
}

func TestReadAheadKeepsRowsFromWaiting(t *testing.T) {
	opts := dimjoin.Options{TTL: 100 * time.Second, Jitter: -1, RefreshAhead: 0.2}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		b.befall(func(int) fault { return fault{took: 10 * time.Millisecond} })
		read(t, r, "a", dimjoin.Latest)
		b.set("a", 0, "A2")
		pass(79 * time.Second)
		expect(t, "before the last fifth", read(t, r, "a", dimjoin.Latest), "hit: A")
		synctest.Wait()
		if b.requests() != 1 {
			t.Error("it was read again too early")
		}
		pass(2 * time.Second)
		at := time.Now()
		for range 5 {
			expect(t, "in the last fifth", read(t, r, "a", dimjoin.Latest), "hit: A")
		}
		if waited := time.Since(at); waited != 0 {
			t.Errorf("a row waited %v for what is read ahead", waited)
		}
		pass(20 * time.Millisecond)
		if n := b.requests(); n != 2 {
			t.Errorf("%d requests for one row ahead", n-1)
		}
		expect(t, "after it", read(t, r, "a", dimjoin.Latest), "hit: A2")
	})
}

func TestAHerdAsksOnce(t *testing.T) {
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), dimjoin.Options{}, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		b.befall(func(int) fault { return fault{took: 5 * time.Millisecond} })
		var herd sync.WaitGroup
		for i := range 64 {
			herd.Go(func() {
				answers := []dimjoin.Answer{ask("a", dimjoin.Latest), ask("nobody", dimjoin.Latest), ask("a", dimjoin.Latest)}
				r.Read(t.Context(), answers)
				if got := show(&answers[2]); got != "store: A" || show(&answers[1]) != "missing: null absent" {
					t.Errorf("%d: %s", i, got)
				}
			})
		}
		herd.Wait()
		if b.requests() != 1 || b.keys() != 2 {
			t.Errorf("%d requests, %d keys", b.requests(), b.keys())
		}
		if s := r.Stats(); s.Shared != 63*2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBatchesAreSplitAndBounded(t *testing.T) {
	opts := dimjoin.Options{MaxBatch: 10, Concurrency: 3}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.befall(func(int) fault { return fault{took: time.Millisecond} })
		var answers []dimjoin.Answer
		for i := range 95 {
			b.set(fmt.Sprint(i), 0, fmt.Sprint("row ", i))
			answers = append(answers, ask(fmt.Sprint(i), dimjoin.Latest), ask(fmt.Sprint(i), dimjoin.Latest))
		}
		at := time.Now()
		r.Read(t.Context(), answers)
		for i := range answers {
			expect(t, fmt.Sprint(i), show(&answers[i]), fmt.Sprint("store: row ", i/2))
		}
		if b.requests() != 10 || b.keys() != 95 || b.most != 3 || time.Since(at) != 4*time.Millisecond {
			t.Errorf("%d requests, %d keys, %d at once, in %v", b.requests(), b.keys(), b.most, time.Since(at))
		}
	})
}

func TestManyTimesOfAKeyAreFewLookups(t *testing.T) {
	bubble(t, define(dimjoin.AsOfEventTime, dimjoin.MissingNull), dimjoin.Options{}, func(t *testing.T, b *table, r *dimjoin.Reader) {
		now := time.Now().UnixMilli()
		b.set("a", now-10_000, "old")
		b.set("a", now-5_000, "new")
		var answers []dimjoin.Answer
		for ms := now - 9000; ms < now-1000; ms += 10 {
			answers = append(answers, ask("a", ms))
		}
		r.Read(t.Context(), answers)
		for i := range answers {
			want := "store: old"
			if answers[i].AsOfMS >= now-5000 {
				want = "store: new"
			}
			expect(t, fmt.Sprint(answers[i].AsOfMS-now), show(&answers[i]), want)
		}
		if b.keys() != 2 {
			t.Errorf("%d lookups of two versions", b.keys())
		}
	})
}

func TestEveryTimeIsAnsweredHoweverOftenARowChanges(t *testing.T) {
	bubble(t, define(dimjoin.AsOfEventTime, dimjoin.MissingNull), dimjoin.Options{}, func(t *testing.T, b *table, r *dimjoin.Reader) {
		now := time.Now().UnixMilli()
		var answers []dimjoin.Answer
		for i := range int64(50) {
			b.set("a", now-1000+10*i, fmt.Sprint(i))
			answers = append(answers, ask("a", now-1000+10*i+i%10), ask("a", now-1000+10*i+i%10))
		}
		r.Read(t.Context(), answers)
		for i := range answers {
			expect(t, fmt.Sprint(i), show(&answers[i]), fmt.Sprint("store: ", i/2))
		}
		if b.requests() != 3 || b.keys() != 50 {
			t.Errorf("%d requests, %d keys", b.requests(), b.keys())
		}
	})
}

func TestAHangingStoreHoldsUpNobodyForLong(t *testing.T) {
	opts := dimjoin.Options{Deadline: 100 * time.Millisecond, Concurrency: 2, MaxAbandoned: 5}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		hang := make(chan struct{})
		b.befall(func(int) fault { return fault{deaf: true, unless: hang} })
		b.set("k0", 0, "row")
		before := runtime.NumGoroutine()
		for i := range 20 {
			at := time.Now()
			key := fmt.Sprint("k", i)
			expect(t, key, read(t, r, key, dimjoin.Latest), "missing: null")
			if took := time.Since(at); took > 100*time.Millisecond || i >= 5 && took != 0 {
				t.Errorf("read %d took %v", i, took)
			}
			synctest.Wait()
		}
		if n := runtime.NumGoroutine() - before; n > 5 {
			t.Errorf("%d goroutines hang", n)
		}
		if s := r.Stats(); s.Abandoned != 5 || s.TimedOut != 5 || s.Refused != 15 {
			t.Errorf("%+v", s)
		}
		close(hang)
		synctest.Wait()
		if s := r.Stats(); s.Abandoned != 0 {
			t.Errorf("%d have returned, and are not forgotten", s.Abandoned)
		}
		b.befall(nil)
		expect(t, "what came too late serves the next", read(t, r, "k0", dimjoin.Latest), "hit: row")
	})
}

func TestCallsThatWaitForTheirTurnLeaveNothingBehind(t *testing.T) {
	opts := dimjoin.Options{Deadline: time.Millisecond, Concurrency: 1, MaxAbandoned: 1 << 20, MaxBatch: 1}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.befall(func(int) fault { return fault{took: time.Hour} })
		for i := range 500 {
			var answers []dimjoin.Answer
			for j := range 20 {
				answers = append(answers, ask(fmt.Sprint(i, j), dimjoin.Latest))
			}
			r.Read(t.Context(), answers)
			synctest.Wait()
			if keys, slots := r.UnderWay(); keys != 0 || slots != 0 {
				t.Fatalf("after read %d %d keys and %d slots are taken", i, keys, slots)
			}
		}
	})
}

func TestAReadEndsWithItsContext(t *testing.T) {
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), dimjoin.Options{}, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		b.befall(func(int) fault { return fault{took: 50 * time.Millisecond} })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		answers := []dimjoin.Answer{ask("a", dimjoin.Latest)}
		at := time.Now()
		r.Read(ctx, answers)
		expect(t, "given up", show(&answers[0]), "missing: null")
		if took := time.Since(at); took != 10*time.Millisecond {
			t.Errorf("took %v", took)
		}
		answers[0].Key[0] = 'x' // the caller's again, whatever the table still does
		expect(t, "who joins the request", read(t, r, "a", dimjoin.Latest), "store: A")
		if b.requests() != 1 {
			t.Error("a request that goes on was made again")
		}
	})
}

func TestAClosedReaderStillAnswers(t *testing.T) {
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), dimjoin.Options{TTL: time.Minute}, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		read(t, r, "a", dimjoin.Latest)
		r.Close()
		expect(t, "kept", read(t, r, "a", dimjoin.Latest), "hit: A")
		expect(t, "not kept", read(t, r, "b", dimjoin.Latest), "missing: null")
		pass(2 * time.Minute)
		expect(t, "old", read(t, r, "a", dimjoin.Latest), "stale: A")
	})
}

func TestRowsWithoutAnAnswerFallBackAsDeclared(t *testing.T) {
	for missing, want := range map[string][4]string{
		dimjoin.MissingNull:    {"missing: null", "missing: null absent", "missing: null", "missing: null"},
		dimjoin.MissingDefault: {"default: ", "default:  absent", "default: ", "default: "},
		dimjoin.MissingWait:    {"missing: null", "missing: null absent", "missing: null", "missing: null"},
		dimjoin.MissingDeadLetter: {
			"missing: null rejected (a part of its key is null)", `missing: null absent rejected (no row of key "none")`,
			`missing: null rejected (the row of key "bad" cannot be used: brand is a number)`,
			`missing: null rejected (the row of key "a" could not be read: connection refused)`},
	} {
		opts := dimjoin.Options{NegativeTTL: time.Minute}
		bubble(t, define(dimjoin.AsOfEmission, missing), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
			b.rows["bad"] = []change{{row: mortise.Row{mortise.IntValue(1)}, err: errors.New("brand is a number")}}
			answers := []dimjoin.Answer{{AsOfMS: dimjoin.Latest}, ask("none", dimjoin.Latest), ask("bad", dimjoin.Latest)}
			r.Read(t.Context(), answers)
			b.befall(func(int) fault { return fault{err: errDown} })
			answers = append(answers, ask("a", dimjoin.Latest))
			r.Read(t.Context(), answers[3:])
			for i := range answers {
				expect(t, missing, show(&answers[i]), want[i])
			}
			r.Read(t.Context(), answers[1:3])
			if got := show(&answers[2]); !strings.HasPrefix(want[2], strings.TrimSuffix(got, ")")) || b.requests() != 2 {
				t.Errorf("%s: kept as %s, after %d requests", missing, got, b.requests())
			}
		})
	}
}

// breaker is one that a test throws.
type breaker struct {
	open    bool
	reports []error
}

func (b *breaker) Allow() bool                       { return !b.open }
func (b *breaker) Report(_ time.Duration, err error) { b.reports = append(b.reports, err) }
func (b *breaker) State() dimjoin.BreakerState {
	return map[bool]dimjoin.BreakerState{true: dimjoin.BreakerOpen}[b.open]
}

func TestABreakerIsAskedAndToldOncePerRequest(t *testing.T) {
	br := &breaker{}
	opts := dimjoin.Options{Breaker: br, TTL: time.Minute, Jitter: -1, RefreshAhead: -1, Deadline: 50 * time.Millisecond, MaxBatch: 2}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingNull), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		r.Read(t.Context(), []dimjoin.Answer{ask("a", dimjoin.Latest), ask("b", dimjoin.Latest), ask("c", dimjoin.Latest)})
		b.befall(func(int) fault { return fault{err: errDown} })
		read(t, r, "d", dimjoin.Latest)
		b.befall(func(int) fault { return fault{took: time.Second} })
		read(t, r, "e", dimjoin.Latest)
		synctest.Wait()
		if len(br.reports) != 4 || br.reports[0] != nil || br.reports[1] != nil || !errors.Is(br.reports[2], errDown) || br.reports[3] == nil {
			t.Errorf("told %v", br.reports)
		}
		br.open = true
		n := b.requests()
		expect(t, "open", read(t, r, "f", dimjoin.Latest), "missing: null")
		pass(time.Minute)
		expect(t, "open, and there is an old row", read(t, r, "a", dimjoin.Latest), "stale: A")
		if s := r.Stats(); b.requests() != n || s.Refused != 2 || s.Breaker != dimjoin.BreakerOpen || len(br.reports) != 4 {
			t.Errorf("%+v, told %v", s, br.reports)
		}
	})
}

func TestAReaderThatInsistsAsksUntilItsDeadline(t *testing.T) {
	opts := dimjoin.Options{Insist: true, Deadline: 10 * time.Second, NegativeTTL: time.Millisecond}
	bubble(t, define(dimjoin.AsOfEmission, dimjoin.MissingDeadLetter), opts, func(t *testing.T, b *table, r *dimjoin.Reader) {
		b.set("a", 0, "A")
		b.fault = func(n int) fault {
			if n < 4 {
				return fault{err: errDown}
			}
			return fault{}
		}
		at := time.Now()
		expect(t, "a blip", read(t, r, "a", dimjoin.Latest), "store: A")
		if took := time.Since(at); took != (20+40+80+160)*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		b.befall(func(int) fault { return fault{err: errDown} })
		at = time.Now()
		read(t, r, "b", dimjoin.Latest)
		if took := time.Since(at); took != 10*time.Second {
			t.Errorf("it gave up after %v", took)
		}
		b.befall(func(int) fault { return fault{took: time.Second, err: errDown} })
		at = time.Now()
		answers := []dimjoin.Answer{ask("c", dimjoin.Latest)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.Read(ctx, answers)
		if took := time.Since(at); took != time.Second || answers[0].Reject == nil {
			t.Errorf("it gave up %v after its context", took)
		}
		synctest.Wait()
		if s := r.Stats(); s.Requests < 10 || s.Failed < s.Requests-3 || s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	o := dimjoin.Options{TTL: -1, Jitter: 1, MaxBatch: -1}
	err := o.Validate()
	for _, name := range []string{"TTL", "Jitter", "MaxBatch"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in: %v", name, err)
		}
	}
	if err := (&dimjoin.Options{}).Validate(); err != nil {
		t.Error(err)
	}
}
