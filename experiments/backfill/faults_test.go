package backfill_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/instances/dataset"
)

var errDied = errors.New("the process has died")

// fuse lets so many operations pass, and fails all that follow: to what is outside
// a process that was killed, or a store that is gone, look alike.
type fuse struct {
	mu   sync.Mutex
	left int
	rng  *rand.Rand
}

// burn reports whether the operation fails, and whether it happens all the same.
func (f *fuse) burn() (fails, happens bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	return f.left < 0, f.left == -1 && f.rng.IntN(2) == 0
}

// failingBucket is a bucket behind a fuse.
type failingBucket struct {
	dataset.Bucket
	fuse *fuse
}

func (b failingBucket) Create(ctx context.Context, key string, body io.Reader) error {
	fails, happens := b.fuse.burn()
	if happens {
		return errors.Join(errDied, b.Bucket.Create(ctx, key, body))
	}
	if fails {
		return errDied
	}
	return b.Bucket.Create(ctx, key, body)
}

func (b failingBucket) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if fails, _ := b.fuse.burn(); fails {
		return nil, errDied
	}
	return b.Bucket.Get(ctx, key, off, n)
}

func (b failingBucket) List(ctx context.Context, prefix string, each func(string, int64, time.Time) error) error {
	if fails, _ := b.fuse.burn(); fails {
		return errDied
	}
	return b.Bucket.List(ctx, prefix, each)
}

// failingFS is a scratch folder behind a fuse.
type failingFS struct {
	backfill.FS
	fuse *fuse
}

func (f failingFS) Create(name string) (io.WriteCloser, error) {
	if fails, _ := f.fuse.burn(); fails {
		return nil, errDied
	}
	w, err := f.FS.Create(name)
	return failingFile{w, f.fuse}, err
}

func (f failingFS) Open(name string) (extsort.File, int64, error) {
	if fails, _ := f.fuse.burn(); fails {
		return nil, 0, errDied
	}
	return f.FS.Open(name)
}

func (f failingFS) Rename(from, to string) error {
	fails, happens := f.fuse.burn()
	if happens {
		return errors.Join(errDied, f.FS.Rename(from, to))
	}
	if fails {
		return errDied
	}
	return f.FS.Rename(from, to)
}

func (f failingFS) Remove(name string) error {
	if fails, _ := f.fuse.burn(); fails {
		return errDied
	}
	return f.FS.Remove(name)
}

type failingFile struct {
	io.WriteCloser
	fuse *fuse
}

func (f failingFile) Write(b []byte) (int, error) {
	if fails, happens := f.fuse.burn(); fails {
		if happens {
			n, err := f.WriteCloser.Write(b[:len(b)/2])
			return n, errors.Join(errDied, err)
		}
		return 0, errDied
	}
	return f.WriteCloser.Write(b)
}
