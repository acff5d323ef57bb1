package hystrix

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

var errDown = errors.New("connection refused")

// eventually waits for what hystrix's own goroutines bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not within 10 seconds", what)
		}
	}
}

// ask makes one request that takes no time and ends with err.
func ask(b *Breaker, err error) bool {
	if !b.Allow() {
		return false
	}
	b.Report(0, err)
	return true
}

func is(b *Breaker, s dimjoin.BreakerState) func() bool {
	return func() bool { return b.State() == s }
}

func TestBreakerOpensTriesAndCloses(t *testing.T) {
	b := New("items", Options{MinRequests: 4, FailedPercent: 50, Sleep: 20 * time.Millisecond})
	defer b.Close()
	for _, err := range []error{nil, errDown, errDown} {
		if !ask(b, err) {
			t.Fatal("a closed breaker let nothing pass")
		}
	}
	staysClosed(t, "three requests of at least four", b)
	ask(b, errDown)
	eventually(t, "it opens", is(b, dimjoin.BreakerOpen))

	eventually(t, "it lets one pass", b.Allow)
	if got := b.State(); got != dimjoin.BreakerHalfOpen {
		t.Errorf("while that is under way it is %s", got)
	}
	if b.Allow() {
		t.Error("it lets two pass at once")
	}
	b.Report(0, errDown)
	if got := b.State(); got != dimjoin.BreakerOpen {
		t.Errorf("after that failed it is %s", got)
	}
	eventually(t, "it lets another one pass", b.Allow)
	b.Report(0, nil)
	if got := b.State(); got != dimjoin.BreakerClosed {
		t.Errorf("after that succeeded it is %s", got)
	}
	for range 100 {
		if !ask(b, nil) {
			t.Fatal("it did not stay closed")
		}
	}
}

// staysClosed looks for as long as hystrix may take to count.
func staysClosed(t *testing.T, what string, b *Breaker) {
	t.Helper()
	for range 50 {
		<-time.After(time.Millisecond)
		if b.State() != dimjoin.BreakerClosed {
			t.Fatalf("%s opened it", what)
		}
	}
}

// TestFewFailuresDoNotOpen has a third of the requests fail. hystrix adds up requests
// and failures one after the other while it counts others: none may be judged before
// all failures that there will be are too few.
func TestFewFailuresDoNotOpen(t *testing.T) {
	b := New("items", Options{MinRequests: 200, FailedPercent: 90})
	defer b.Close()
	for i := range 300 {
		var err error
		if i%3 == 0 {
			err = errDown
		}
		if !ask(b, err) {
			t.Fatalf("open after %d requests, a third of them failed", i)
		}
	}
	staysClosed(t, "a third of the requests", b)
}

func TestWhatBeganBeforeItOpenedDoesNotClose(t *testing.T) {
	b := New("items", Options{MinRequests: 2, Sleep: time.Hour})
	defer b.Close()
	for range 4 {
		ask(b, errDown)
	}
	eventually(t, "it opens", is(b, dimjoin.BreakerOpen))
	b.Report(time.Minute, nil)
	if got := b.State(); got != dimjoin.BreakerOpen {
		t.Errorf("an old request's success made it %s", got)
	}
}

func TestRequestsThatTheirCallersGaveUpSayNothing(t *testing.T) {
	b := New("items", Options{MinRequests: 10})
	defer b.Close()
	for range 50 {
		ask(b, context.Canceled)
	}
	for range 5 {
		ask(b, errDown)
	}
	staysClosed(t, "five requests of at least ten, and those given up,", b)
}

func TestBreakersOfOneNameAreTwo(t *testing.T) {
	a, b := New("items", Options{MinRequests: 1}), New("items", Options{})
	defer a.Close()
	defer b.Close()
	ask(a, errDown)
	eventually(t, "a opens", is(a, dimjoin.BreakerOpen))
	if b.State() != dimjoin.BreakerClosed {
		t.Error("b opened with a")
	}
}

func TestCircuitsAreUsedAgain(t *testing.T) {
	var p pool
	first := p.take("items", Options{MinRequests: 1, FailedPercent: 1, Sleep: time.Hour})
	for !first.IsOpen() {
		_ = first.ReportEvent([]string{"failure"}, time.Now(), 0)
		runtime.Gosched()
	}
	p.put(first)
	if first.IsOpen() {
		t.Error("a circuit that is put back is open")
	}
	if p.take("others", Options{}) == first {
		t.Error("a circuit is used again while it remembers its last store")
	}
	p.spare[0].since = time.Now().Add(-2 * forgets)
	if p.take("others", Options{}) != first {
		t.Error("a circuit that has forgotten is not used again")
	}
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	for _, o := range []Options{{MinRequests: -1}, {FailedPercent: 101}, {Sleep: time.Microsecond}} {
		if o.Validate() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// store hangs, fails or answers.
type store struct {
	mu       sync.Mutex
	err      error
	hang     bool
	requests int
}

func (s *store) Close() error { return nil }

func (s *store) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	s.mu.Lock()
	s.requests++
	hang, err := s.hang, s.err
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	for i := range lookups {
		lookups[i].Row = mortise.Row{mortise.StringValue("row")}
	}
	return err
}

func (s *store) set(hang bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang, s.err = hang, err
}

// TestAReaderLeavesAStoreAloneThatHangs goes through the Reader, with real time.
func TestAReaderLeavesAStoreAloneThatHangs(t *testing.T) {
	b := New("items", Options{MinRequests: 3, Sleep: 20 * time.Millisecond})
	defer b.Close()
	s := &store{hang: true}
	def := &dimjoin.Definition{Name: "item", Key: []string{"id"}, AsOf: dimjoin.AsOfEmission, Missing: dimjoin.MissingNull,
		Fields: mortise.Schema{{Name: "brand", Type: mortise.Type{Kind: mortise.String}}}}
	r := dimjoin.NewReader(def, s, dimjoin.Options{Breaker: b, Deadline: 10 * time.Millisecond})
	defer r.Close()
	read := func() dimjoin.Served {
		answers := []dimjoin.Answer{{Key: []byte("a"), AsOfMS: dimjoin.Latest}}
		r.Read(t.Context(), answers)
		return answers[0].Served
	}
	for _, down := range []struct {
		hang bool
		err  error
	}{{true, nil}, {false, errDown}} {
		s.set(down.hang, down.err)
		eventually(t, "it opens", func() bool { read(); return r.Stats().Breaker == dimjoin.BreakerOpen })
		before := r.Stats()
		for range 1000 {
			read()
		}
		after := r.Stats()
		if asked, refused := after.Requests-before.Requests, after.Refused-before.Refused; asked > 500 || refused < 500 {
			t.Errorf("%+v: of 1,000 requests %d were made, %d refused", down, asked, refused)
		}
		s.set(false, nil)
		// Failures that hystrix counts late may open it once more.
		eventually(t, "the store is asked again, and the breaker closed", func() bool {
			return read() == dimjoin.ServedStore && b.State() == dimjoin.BreakerClosed
		})
	}
}

func TestGoroutinesDoNotGrowWithRequests(t *testing.T) {
	b := New("items", Options{})
	defer b.Close()
	ask(b, nil)
	before := runtime.NumGoroutine()
	for range 3000 {
		ask(b, nil)
	}
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
}

// BenchmarkRequest is what a breaker costs a request, which is a batch of keys.
func BenchmarkRequest(b *testing.B) {
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("goroutines=%d", n), func(b *testing.B) {
			br := New("items", Options{})
			defer br.Close()
			b.ReportAllocs()
			b.SetParallelism(n)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ask(br, nil)
				}
			})
		})
	}
}
