package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Schedule decides who goes on when. Goroutines of the simulated processes wait
// for their turn in Process.Turn; Step, called by the test's own goroutine, gives
// the turn to one of them or lets something happen that was planned.
type Schedule struct {
	// Rand draws everything that is left to chance. It belongs to whoever has the turn.
	Rand *rand.Rand
	// Trace, where set, is told what happens.
	Trace func(line string)

	settle func() // returns when every goroutine waits

	mu      sync.Mutex
	waiting []*turn
	plans   []plan
	planned int
	began   time.Time
	hash    uint64
}

type turn struct {
	process *Process
	what    string
	after   time.Time
	lagging bool        // for how long is still to be drawn
	sooner  func() bool // it comes sooner when this is true; nil: it does not
	resume  chan struct{}
}

type plan struct {
	at    time.Time
	order int // of two at the same time
	what  string
	do    func()
}

// NewSchedule makes one that draws from seed. settle returns once every other
// goroutine of the simulation waits for something: synctest.Wait.
func NewSchedule(seed uint64, settle func()) *Schedule {
	return &Schedule{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), settle: settle, began: time.Now()}
}

// Tracef tells the trace what happens, if there is one.
func (s *Schedule) Tracef(format string, args ...any) {
	if s.Trace != nil {
		s.Trace(fmt.Sprintf("%12s  ", time.Since(s.began)) + fmt.Sprintf(format, args...))
	}
}

// Plan has something happen after a while.
func (s *Schedule) Plan(in time.Duration, what string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned++
	s.plans = append(s.plans, plan{time.Now().Add(in), s.planned, what, do})
}

// Chance is true once in n times.
func (s *Schedule) Chance(n int) bool { return n > 0 && s.Rand.IntN(n) == 0 }

// Between draws a duration from [from, to].
func (s *Schedule) Between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.Rand.Int64N(int64(to-from)+1))
}

// Hash sums up all turns so far: two runs that have it in common went the same way.
func (s *Schedule) Hash() uint64 { return s.hash }

// longestSleep is how long a Step sleeps when there is nothing to do: workers have
// timers of their own that it does not know.
const longestSleep = time.Minute

// Step does the next thing: what is due of what was planned, else the turn of
// one who waits, else time goes on. When it returns everyone waits again.
//
// A goroutine that something else than its turn has woken, a timer or the end of
// a job, comes as far as its next Turn and no further: until then it must not
// touch what processes share, nor draw.
func (s *Schedule) Step() {
	s.settle()
	now := time.Now()
	if p, ok := s.duePlan(now); ok {
		if p.what != "" {
			s.note("", p.what)
		}
		p.do()
		return
	}
	t, next := s.pick(now)
	pause := next.Sub(now)
	if t != nil {
		s.note(t.process.Name, t.what)
		pause = time.Duration(1+s.Rand.IntN(2_000)) * time.Microsecond // nothing takes no time
		close(t.resume)
		s.settle()
	}
	time.Sleep(max(min(pause, longestSleep), time.Nanosecond))
	s.settle()
}

func (s *Schedule) duePlan(now time.Time) (p plan, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plans) == 0 {
		return p, false
	}
	first := 0
	for i := range s.plans {
		if c := s.plans[i].at.Compare(s.plans[first].at); c < 0 || c == 0 && s.plans[i].order < s.plans[first].order {
			first = i
		}
	}
	if p = s.plans[first]; p.at.After(now) {
		return p, false
	}
	s.plans = slices.Delete(s.plans, first, first+1)
	return p, true
}

// pick takes one of those whose time has come off the list; else it returns when
// the next one's or the next plan's is. The dead go first: they only unwind.
func (s *Schedule) pick(now time.Time) (*turn, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := now.Add(longestSleep)
	for i := range s.plans {
		next = earlier(next, s.plans[i].at)
	}
	// By name: in which order they came here is the machine's.
	slices.SortFunc(s.waiting, func(a, b *turn) int {
		return cmp.Or(cmp.Compare(a.process.Name, b.process.Name), cmp.Compare(a.what, b.what))
	})
	var ready []int
	for i, t := range s.waiting {
		if t.lagging {
			t.after, t.lagging = t.after.Add(t.process.lag()), false
		}
		if t.sooner != nil && t.sooner() {
			t.after, t.sooner = now, nil
		}
		switch at := later(t.after, t.process.stoppedUntil); {
		case t.process.Dead():
			s.waiting = slices.Delete(s.waiting, i, i+1)
			return t, now
		case at.After(now):
			next = earlier(next, at)
		default:
			ready = append(ready, i)
		}
	}
	if len(ready) == 0 {
		return nil, next
	}
	i := ready[s.Rand.IntN(len(ready))]
	t := s.waiting[i]
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return t, now
}

func (s *Schedule) note(who, what string) {
	h := s.hash ^ uint64(time.Since(s.began))
	for _, text := range [2]string{who, what} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 1099511628211
		}
	}
	s.hash = h
	if s.Trace != nil {
		s.Tracef("%s %s", who, what)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
