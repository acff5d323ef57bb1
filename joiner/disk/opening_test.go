package disk_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// TestFullOnceAnywhere lets each change of the file system fail once, those of
// opening the directory too, the first time and again, syncs included. The error
// says why, comes at all, and does not send anyone to wipe what is sound.
func TestFullOnceAnywhere(t *testing.T) {
	const openings = 4
	for n := int64(1); ; n++ {
		var done atomic.Int64
		full := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && done.Add(1) == n {
				return syscall.ENOSPC
			}
			return nil
		}))
		var err error
		for range openings {
			if err = openAndCommit(full); err != nil {
				break
			}
		}
		if done.Load() < n {
			if n < 100 {
				t.Fatalf("only %d changes of the file system", n)
			}
			return
		}
		if err != nil && (errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), "no space left")) {
			t.Errorf("change %d fails: %v", n, err)
		}
	}
}

func openAndCommit(fs vfs.FS) error {
	db, err := disk.OpenDB("/state", disk.Options{FS: fs, Quiet: true})
	if err != nil {
		return err
	}
	s, err := db.OpenStore(task, historyOptions)
	if err == nil {
		_, err = s.Log(joiner.Labels).Append(&joiner.Entry{TimeMS: 1, Value: []byte("x")})
	}
	if err == nil {
		err = s.Commit([]byte("meta"))
	}
	return errors.Join(err, db.Close())
}
