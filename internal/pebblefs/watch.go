package pebblefs

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Watch keeps failed writes from a Pebble that works in the background.
//
// Pebble does not expect that a write fails. It ends the process then, by way of
// its logger or by a panic on a goroutine of its own, where nobody can catch it;
// a flush or a compaction that fails it tries again at once, for ever. So it does
// not get to see such a failure: the goroutine that meets one notes it and stands
// still from there on, whatever it holds. What may wait for that is called by way
// of Do, which returns as soon as something is noted.
type Watch struct {
	opts    WatchOptions
	why     atomic.Pointer[error]
	stopped chan struct{} // closed when why is set
	atWork  atomic.Bool   // Pebble works in the background

	changing sync.RWMutex // held by who changes Pebble's files
}

// WatchOptions say what a Watch is of. Zero fields take their defaults.
type WatchOptions struct {
	// What Pebble holds, for errors, such as "the manifest".
	What string
	// Explain, where set, says what a reason means to the user, or what to do.
	Explain func(why error) error
	// Noted, where set, is called once, with the reason for which Pebble stopped,
	// before anybody else learns of it.
	Noted func(why error)
	// Harmless, where set, tells of an error by which Pebble panics that it says
	// nothing of the directory. It is the error of what was called.
	Harmless func(err error) bool
	// Gone, in simulations, is closed when the process that uses the directory has
	// ended, so that what stands still can end too. The default, nil, is never.
	Gone <-chan struct{}
}

// NewWatch makes one for one opening of a directory.
func NewWatch(opts WatchOptions) *Watch { return &Watch{opts: opts, stopped: make(chan struct{})} }

// FS is the file system that Pebble is to use.
func (w *Watch) FS(fs vfs.FS) vfs.FS { return watchedFS{manifestFirst{fs}, w} }

// AtWork says that Pebble is open, and works in the background. Until then it gets
// errors as they are: who opens it is told.
func (w *Watch) AtWork() { w.atWork.Store(true) }

// Stop notes why Pebble cannot go on. The first reason stays.
func (w *Watch) Stop(why error) {
	if w.opts.Explain != nil {
		why = w.opts.Explain(why)
	}
	if !w.why.CompareAndSwap(nil, &why) {
		return
	}
	if w.opts.Noted != nil {
		w.opts.Noted(why)
	}
	close(w.stopped)
}

// Stand is Stop on a goroutine that must not go on. It returns in simulations
// only, when nothing that is done any more has an effect.
func (w *Watch) Stand(why error) {
	w.Stop(why)
	<-w.opts.Gone
}

// Failed returns why Pebble has stopped, nil while it has not.
func (w *Watch) Failed() error {
	if why := w.why.Load(); why != nil {
		return *why
	}
	return nil
}

// Stopped is closed when Failed has a reason.
func (w *Watch) Stopped() <-chan struct{} { return w.stopped }

// Quiesce returns when nothing is being changed any more, after Stop.
func (w *Watch) Quiesce() {
	w.changing.Lock()
	w.changing.Unlock() //nolint:staticcheck,gocritic // from here on whoever would change something sees that it has stopped
}

// Do calls fn, which calls Pebble. When Pebble stops it returns the reason, and
// what fn works on is not the caller's any more.
func (w *Watch) Do(fn func() error) error {
	if err := w.Failed(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case error:
				if w.opts.Harmless != nil && w.opts.Harmless(p) {
					done <- p
					return
				}
				w.Stop(p)
			default:
				w.Stop(fmt.Errorf("%v", p))
			}
		}()
		done <- fn()
	}()
	select {
	case err := <-done:
		return errors.Join(err, w.Failed())
	case <-w.stopped:
		return w.Failed()
	}
}

// Fatal is a reason to stop, as Pebble tells it to its logger's Fatalf. By default
// Pebble would end the process.
func Fatal(format string, args ...any) error {
	failed := fatalError{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			failed.cause = cause
		}
	}
	return failed
}

// fatalError is what Pebble gave up for.
type fatalError struct {
	text  string
	cause error
}

func (e fatalError) Error() string { return e.text }
func (e fatalError) Unwrap() error { return e.cause }
