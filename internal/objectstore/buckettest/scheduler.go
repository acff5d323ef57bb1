package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Faults says how often things go wrong, in parts of 1,000 calls.
type Faults struct {
	Fail    int // a call fails and did nothing
	Unknown int // a Put or Delete takes effect and fails
	Late    int // a Put or Delete fails and takes effect some time later
	Kill    int // the actor that calls is killed
	Jump    int // the bucket's clock jumps
}

// Scheduler runs actors that share a bucket, one at a time, and switches between
// them at every call of the bucket, as its seed says. A list switches between its
// pages too, so it sees each key at another moment.
type Scheduler struct {
	Bucket *Memory
	Faults Faults
	JumpBy time.Duration
	Jumps  int                 // of the clock so far
	Ever   map[string]struct{} // all keys that there ever were

	r      *rand.Rand
	actors []*Actor
	late   []func()
	turns  int
	parked chan struct{} // an actor waits or has ended
}

// NewScheduler returns a scheduler of an empty bucket.
func NewScheduler(seed uint64) *Scheduler {
	return &Scheduler{Bucket: NewMemory(), Ever: map[string]struct{}{}, r: rand.New(rand.NewPCG(seed, 77)), parked: make(chan struct{})}
}

// Actor is one process: the bucket as it sees it.
type Actor struct {
	Name   string
	Killed bool
	Call   string // that it is about to make, such as "delete a/b"
	s      *Scheduler
	ended  bool
	weight int
	resume chan struct{}
}

// Go adds an actor. It begins when Run lets it, or at once when Run is under way
// and the scheduler's turn comes.
func (s *Scheduler) Go(name string, work func(a *Actor)) *Actor {
	a := &Actor{Name: name, s: s, resume: make(chan struct{})}
	s.actors = append(s.actors, a)
	go func() {
		defer func() { // also when a test's Fatal ends the goroutine
			a.ended = true
			s.parked <- struct{}{}
		}()
		<-a.resume
		work(a)
	}()
	return a
}

// Run lets the actors work until all have ended.
func (s *Scheduler) Run() {
	for {
		var ready []*Actor
		for _, a := range s.actors {
			if !a.ended {
				ready = append(ready, a)
			}
		}
		if len(ready) == 0 {
			return
		}
		s.Bucket.Advance(time.Second)
		if s.chance(s.Faults.Jump) {
			s.Jumps++
			s.Bucket.Advance(s.JumpBy)
		}
		if len(s.late) > 0 && s.chance(50) {
			s.applyLate(s.r.IntN(len(s.late)))
		}
		a := s.next(ready)
		a.resume <- struct{}{}
		<-s.parked
	}
}

// Step lets one actor make that many calls, or all that it makes when calls is
// negative, and reports whether it has ended. Nothing happens in between.
func (s *Scheduler) Step(a *Actor, calls int) (ended bool) {
	for n := 0; !a.ended && (calls < 0 || n <= calls); n++ { // the first turn leads up to the first call
		a.resume <- struct{}{}
		<-s.parked
	}
	return a.ended
}

// next chooses an actor. How fast each is compared to the others changes now and
// then: one may stand nearly still while another does all its work.
func (s *Scheduler) next(ready []*Actor) *Actor {
	if s.turns++; s.turns%40 == 1 {
		for _, a := range s.actors {
			a.weight = []int{0, 1, 5, 50}[s.r.IntN(4)]
		}
	}
	total := 0
	for _, a := range ready {
		total += a.weight
	}
	if total == 0 {
		return ready[s.r.IntN(len(ready))]
	}
	n := s.r.IntN(total)
	for _, a := range ready {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	return ready[0]
}

// ApplyLate lets everything take effect that was to do so late.
func (s *Scheduler) ApplyLate() {
	for len(s.late) > 0 {
		s.applyLate(0)
	}
}

func (s *Scheduler) applyLate(i int) {
	s.late[i]()
	s.late = append(s.late[:i], s.late[i+1:]...)
}

func (s *Scheduler) chance(perMille int) bool { return s.r.IntN(1000) < perMille }

var (
	errKilled = errors.New("this process was killed")
	errFault  = errors.New("injected fault")
)

// turn waits for the actor's turn.
func (a *Actor) turn(ctx context.Context, call, key string) error {
	if a.Killed {
		return errKilled
	}
	a.Call = call + " " + key
	a.s.parked <- struct{}{}
	<-a.resume
	if a.s.chance(a.s.Faults.Kill) {
		a.Killed = true
		return errKilled
	}
	if a.s.chance(a.s.Faults.Fail) {
		return fmt.Errorf("%w before", errFault)
	}
	return ctx.Err()
}

// change lets a change take effect now, or later, and says which is not known.
func (a *Actor) change(apply func()) error {
	if a.s.chance(a.s.Faults.Late) {
		a.s.late = append(a.s.late, apply)
		return fmt.Errorf("%w: result unknown", errFault)
	}
	apply()
	if a.s.chance(a.s.Faults.Unknown) {
		return fmt.Errorf("%w: result unknown", errFault)
	}
	return nil
}

// Put implements Bucket.
func (a *Actor) Put(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := a.turn(ctx, "put", key); err != nil {
		return err
	}
	return a.change(func() {
		a.s.Ever[key] = struct{}{}
		a.s.Bucket.Set(key, append([]byte{}, data...))
	})
}

// Create implements Bucket. That an object is there is always told, and told at
// once: so a client that tries again finds what it has created itself.
func (a *Actor) Create(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := a.turn(ctx, "create", key); err != nil {
		return err
	}
	create := func() error {
		err := a.s.Bucket.Create(context.Background(), key, bytes.NewReader(data))
		if err == nil {
			a.s.Ever[key] = struct{}{}
		}
		return err
	}
	if a.s.chance(a.s.Faults.Late) {
		a.s.late = append(a.s.late, func() { _ = create() })
		return fmt.Errorf("%w: result unknown", errFault)
	}
	if err := create(); err != nil {
		return err
	}
	if a.s.chance(a.s.Faults.Unknown) {
		return fmt.Errorf("%w: result unknown", errFault)
	}
	return nil
}

// String implements Bucket.
func (a *Actor) String() string { return "simulation" }

// Get implements Bucket.
func (a *Actor) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	if err := a.turn(ctx, "get", key); err != nil {
		return nil, err
	}
	r, err := a.s.Bucket.Get(ctx, key, off, lengthBytes)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(data)), errors.Join(err, r.Close())
}

// pageKeys is how many keys a list sees at once.
const pageKeys = 3

// List implements Bucket.
func (a *Actor) List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	last := ""
	for {
		if err := a.turn(ctx, "list", prefix); err != nil {
			return err
		}
		n := 0
		for _, key := range a.s.Bucket.Keys(prefix) {
			if strings.Compare(key, last) <= 0 || n == pageKeys {
				continue
			}
			n++
			last = key
			size, modified := a.s.Bucket.stat(key)
			if err := each(key, size, modified); err != nil {
				return err
			}
		}
		if n < pageKeys {
			return nil
		}
	}
}

// Delete implements Bucket.
func (a *Actor) Delete(ctx context.Context, key string) error {
	if err := a.turn(ctx, "delete", key); err != nil {
		return err
	}
	return a.change(func() { a.s.Bucket.Set(key, nil) })
}

func (m *Memory) stat(key string) (int64, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.objects[key]
	return int64(len(o.data)), o.modified
}

var (
	_ Bucket = (*Actor)(nil)
	_ Bucket = (*Memory)(nil)
)
