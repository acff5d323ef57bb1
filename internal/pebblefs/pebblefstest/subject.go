package pebblefstest

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Subject is a user of Pebble under test. It writes a history, of which write n
// follows write n-1 and can be told from every other.
type Subject struct {
	// Dir is where Pebble lies.
	Dir string
	// Open opens it for writing, in fs, with small memtables.
	Open func(fs vfs.FS, sync bool) (Writer, error)
	// Check opens what is left in fs, and returns the write that it is at: nothing of
	// a later one is there, and all of the earlier ones.
	Check func(fs vfs.FS) (at int, err error)
	// Corrupt tells an error about what the files hold from one of the file system.
	Corrupt func(error) bool
}

// Writer is a Subject that is open.
type Writer interface {
	// Write makes write n, counted from 1.
	Write(n int) error
	// Use uses what has stopped in every other way, and returns an error where that
	// does what it should not.
	Use() error
	Close() error
}

// Within fails the test when fn hangs.
func Within(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// writeMuch writes until something fails, or so often that Pebble has flushed and
// compacted several times. It returns the last write that went well.
func writeMuch(w Writer, last, most int) (int, error) {
	for n := last + 1; n <= last+most; n++ {
		if err := w.Write(n); err != nil {
			return n - 1, err
		}
	}
	return last + most, nil
}
