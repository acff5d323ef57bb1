package dimjoin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	mortise "github.com/mortise-dev/mortise"
)

// Why a key could not be read although the table was not at fault alone.
var (
	errTimeout   = errors.New("the store did not answer in time")
	errOpen      = errors.New("the store has failed too often of late: its breaker is open")
	errAbandoned = errors.New("too many requests to the store never returned")
)

// call is one request to the table, which any number of reads wait for.
type call struct {
	keys    []string      // of the lookups
	lookups []Lookup      // the table's while it is under way; afterwards anyone's to read unless err is set
	done    chan struct{} // closed when it has ended
	err     error         // valid once done is closed
	started time.Time
	sentMS  int64

	// Under the reader's mutex.
	state   callState
	holds   bool  // a slot
	fault   error // of the last request that failed and is made again
	sharing bool  // its keys are in Reader.asked
}

type callState uint8

const (
	callUnderWay callState = iota
	callEnded
	callAbandoned // past its deadline: whatever comes back serves the cache alone
)

// place is where the answer of a key is: a call and the index of the lookup in it.
type place struct {
	call  *call
	index int
}

// outcome is why the call has no answers, or nil.
func (c *call) outcome() error {
	select {
	case <-c.done:
		return c.err
	default:
		return errTimeout
	}
}

// start begins the call, unless the store is not to be asked.
func (r *Reader) start(c *call) {
	c.started = r.opts.Now()
	refuse := func(err error) {
		r.count.refused.Add(1)
		r.finish(c, callEnded, err)
	}
	switch {
	case r.life.Err() != nil:
		refuse(r.life.Err())
	case r.tooManyGone():
		refuse(errAbandoned)
	case !r.opts.Breaker.Allow():
		refuse(errOpen)
	default:
		go r.run(c)
	}
}

func (r *Reader) tooManyGone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone >= r.opts.MaxAbandoned
}

// run makes the call. Whether or not the table returns, the call ends at its deadline.
func (r *Reader) run(c *call) {
	ctx, cancel := context.WithTimeout(r.life, r.opts.Deadline)
	defer cancel()
	abandon := func() {
		if r.finish(c, callAbandoned, r.late(c)) {
			r.report(c)
		}
	}
	stop := context.AfterFunc(ctx, abandon)
	defer stop()
	if r.send(ctx, c) {
		r.returned(ctx, c, r.read(ctx, c))
	} else {
		abandon() // stop may be in time to prevent the other one
	}
}

// How long a reader that insists pauses between two requests.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// read asks the table, once or until it answers.
func (r *Reader) read(ctx context.Context, c *call) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := r.table.Read(ctx, c.lookups)
		if err == nil || !r.opts.Insist || ctx.Err() != nil {
			return err
		}
		r.mu.Lock()
		c.fault = err
		r.mu.Unlock()
		r.count.failed.Add(1)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		for i := range c.lookups {
			l := &c.lookups[i]
			l.Row, l.FromMS, l.ToMS, l.Err = nil, 0, 0, nil
		}
		r.count.requests.Add(1)
	}
}

// send waits for a slot, and reports whether there was one in time.
func (r *Reader) send(ctx context.Context, c *call) bool {
	if !c.holds {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
	}
	c.sentMS = r.opts.Now().UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.state != callUnderWay {
		if c.holds {
			r.gone--
		} else {
			<-r.slots
		}
		return false
	}
	c.holds = true
	r.count.requests.Add(1)
	r.count.keys.Add(int64(len(c.lookups)))
	return true
}

// returned takes what the table says. Nobody else looks at the answers yet.
func (r *Reader) returned(ctx context.Context, c *call, err error) {
	if err == nil && r.opts.Cache != nil {
		r.keep(c)
	}
	if err != nil && ctx.Err() != nil {
		err = r.late(c)
	}
	if r.finish(c, callEnded, err) {
		r.report(c)
		return
	}
	r.mu.Lock()
	r.gone--
	r.mu.Unlock()
}

// late is why a call whose context is done has no answers.
func (r *Reader) late(c *call) error {
	if err := r.life.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.fault != nil {
		return fmt.Errorf("%w, and has failed before: %w", errTimeout, c.fault)
	}
	return errTimeout
}

// finish ends a call that has not ended, and tells everyone.
func (r *Reader) finish(c *call, state callState, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.state != callUnderWay {
		return false
	}
	c.state, c.err = state, err
	if c.holds {
		<-r.slots
		if state == callAbandoned {
			r.gone++
		}
	}
	if c.sharing {
		for _, key := range c.keys {
			delete(r.asked, key)
		}
	}
	close(c.done)
	return true
}

// report counts how a call that was made ended, and tells the breaker.
func (r *Reader) report(c *call) {
	took := r.opts.Now().Sub(c.started)
	switch {
	case errors.Is(c.err, errTimeout):
		r.count.timedOut.Add(1)
	case c.err != nil && !errors.Is(c.err, context.Canceled):
		r.count.failed.Add(1)
	}
	r.count.took.Observe(took)
	r.opts.Breaker.Report(took, c.err)
}

// keep puts the answers into the cache.
func (r *Reader) keep(c *call) {
	nowMS := r.opts.Now().UnixMilli()
	for i := range c.lookups {
		l, key := &c.lookups[i], c.keys[i]
		r.cache.Put(key, r.cache.Get(l.Key).with(key, r.newVersion(l, key, c.sentMS), nowMS))
	}
}

// add puts a's key and time into the call, in memory of their own: the call may
// outlive a.
func (c *call) add(a *Answer) place {
	l := Lookup{Key: append(make([]byte, 0, len(a.Key)), a.Key...), AsOfMS: a.AsOfMS, Values: make(mortise.Row, len(a.Values))}
	for i, v := range a.Values {
		if v.Kind == mortise.String {
			v = mortise.TextValue(slices.Clone(v.Text()))
		}
		l.Values[i] = v
	}
	c.keys = append(c.keys, unsafe.String(unsafe.SliceData(l.Key), len(l.Key))) // nobody changes it
	c.lookups = append(c.lookups, l)
	return place{c, len(c.lookups) - 1}
}
