package simulation

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrKilled comes out of every call of a process that was killed: what it still
// does has no effect.
var ErrKilled = errors.New("killed by the simulation")

// Process is one worker's process: it can be killed, or stopped and continued.
type Process struct {
	Name string
	Disk *Disk // what it writes to; after its death, what that left

	schedule     *Schedule
	dead         atomic.Bool
	gone         chan struct{} // closed when it is dead
	stoppedUntil time.Time     // set by whoever has the turn
	slow         time.Duration
	jobs         int // begun
}

// NewProcess makes a process that uses disk. What it asks of the broker takes up
// to slow longer than elsewhere.
func (s *Schedule) NewProcess(name string, disk *Disk, slow time.Duration) *Process {
	return &Process{Name: name, Disk: disk, schedule: s, slow: slow, gone: make(chan struct{})}
}

// Dead reports whether the process was killed.
func (p *Process) Dead() bool { return p.dead.Load() }

// Gone is closed when the process was killed or has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// die reports whether the process was alive.
func (p *Process) die() bool {
	if p.dead.Swap(true) {
		return false
	}
	close(p.gone)
	return true
}

// Kill ends the process: its broker hears nothing more of it and its disk is
// what the loss leaves.
func (p *Process) Kill(loss Loss) {
	if !p.die() {
		return
	}
	p.schedule.Tracef("%s is killed (%v)", p.Name, loss)
	p.Disk = p.Disk.Crash(loss)
}

// End says that the process has ended by itself: nobody hears of it any more.
func (p *Process) End() {
	if p.die() {
		p.Disk.unmounted()
	}
}

// Stop stops the process for a while, as SIGSTOP does, or a machine that hangs.
func (p *Process) Stop(d time.Duration) {
	p.schedule.Tracef("%s is stopped for %v", p.Name, d)
	p.stoppedUntil = later(p.stoppedUntil, time.Now().Add(d))
}

// Stopped reports whether the process stands still now.
func (p *Process) Stopped() bool { return p.stoppedUntil.After(time.Now()) }

// Turn waits for the process's turn, at least for the given time. It returns
// ErrKilled when the process was killed meanwhile. Two goroutines of one process
// may not wait for the same thing.
func (p *Process) Turn(what string, wait time.Duration) error {
	return p.turn(&turn{what: what, after: time.Now().Add(wait)})
}

// Request waits as Turn does, for as long as a request is under way.
func (p *Process) Request(what string) error {
	return p.turn(&turn{what: what, after: time.Now(), lagging: true})
}

// Await waits as Turn does, but not longer than until there is reason not to.
func (p *Process) Await(what string, wait time.Duration, reason func() bool) error {
	return p.turn(&turn{what: what, after: time.Now().Add(wait), sooner: reason})
}

func (p *Process) turn(t *turn) error {
	if p.Dead() {
		return ErrKilled
	}
	s := p.schedule
	t.process, t.resume = p, make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, t)
	s.mu.Unlock()
	<-t.resume
	if p.Dead() {
		return ErrKilled
	}
	return nil
}

// Go runs a worker's job when its turn comes; it is a worker's WorkerOptions.Go.
func (p *Process) Go(job func()) {
	p.jobs++
	name := fmt.Sprintf("job %d", p.jobs)
	go func() {
		_ = p.Turn(name, 0) // a job of the dead has to end too
		job()
	}()
}

// lag is how long a request or a response is under way.
func (p *Process) lag() time.Duration {
	s := p.schedule
	d := s.Between(0, 5*time.Millisecond)
	if p.slow > 0 && s.Chance(4) {
		d += s.Between(0, p.slow)
	}
	return d
}
