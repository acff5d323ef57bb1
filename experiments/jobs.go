package experiments

import (
	"context"
	"sync"
	"time"
)

// jobs are what runs beside the tasks that are at work. What is to follow on
// the end of one is done on the worker's own goroutine, so that nothing of the
// worker is shared.
type jobs struct {
	running int // started and neither collected nor discarded; the worker's own
	mu      sync.Mutex
	ended   []outcome
	wake    chan struct{} // holds one when something ended
}

// outcome is what a job leaves: done goes on with it, or drop lets go of it. Both
// may be nil.
type outcome struct {
	done func() error
	drop func()
}

func (j *jobs) start(spawn func(func()), work func() outcome) {
	if j.wake == nil {
		j.wake = make(chan struct{}, 1)
	}
	j.running++
	spawn(func() {
		o := work()
		j.mu.Lock()
		defer j.mu.Unlock()
		j.ended = append(j.ended, o)
		select {
		case j.wake <- struct{}{}:
		default:
		}
	})
}

func (j *jobs) take() []outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	ended := j.ended
	j.ended = nil
	j.running -= len(ended)
	return ended
}

// collect goes on with what has ended. After an error the rest is dropped.
func (j *jobs) collect() (err error) {
	for _, o := range j.take() {
		switch {
		case err == nil && o.done != nil:
			err = o.done()
		case err != nil && o.drop != nil:
			o.drop()
		}
	}
	return err
}

// discard waits for all that runs and drops it.
func (j *jobs) discard() {
	for {
		for _, o := range j.take() {
			if o.drop != nil {
				o.drop()
			}
		}
		if j.running == 0 {
			return
		}
		<-j.wake
	}
}

// await waits until something ends, at most that long.
func (j *jobs) await(ctx context.Context, most time.Duration) {
	if j.running == 0 {
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-j.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}
