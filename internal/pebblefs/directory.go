package pebblefs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Directory is one that holds a Pebble, open, and no other process's. Whatever calls
// the Pebble does so by Do or by what is built on it.
type Directory struct {
	dir   string
	opts  Options
	lock  io.Closer
	watch *Watch
	pdb   *pebble.DB

	frozen func() (*pebble.DB, error)
}

// OpenDirectory opens the Pebble in dir, making it if it is not there. An error that
// wraps opts.Corrupt says that what lies there does not verify.
func OpenDirectory(dir string, opts Options) (*Directory, error) {
	opts.EnsureDefaults()
	d := &Directory{dir: dir, opts: opts}
	d.frozen = sync.OnceValues(d.openFrozen)
	d.watch = NewWatch(WatchOptions{
		What:     opts.What,
		Explain:  d.explain,
		Noted:    d.noted,
		Harmless: func(err error) bool { return errors.Is(err, pebble.ErrClosed) }, // by somebody who is late
	})
	if err := opts.FS.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var err error
	if d.lock, err = opts.FS.Lock(opts.FS.PathJoin(dir, "LOCK")); err != nil {
		return nil, fmt.Errorf("another process may have it open, and only one can: %w", err)
	}
	if err := d.checkDamage(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	return d, nil
}

// explain says what a reason for which Pebble stopped means.
func (d *Directory) explain(why error) error {
	if IsEnvironment(why) {
		return why
	}
	return fmt.Errorf("%w (%s)", d.ReadError(why), d.opts.Again)
}

// noted leaves word of damage.
func (d *Directory) noted(why error) {
	if errors.Is(why, d.opts.Corrupt) {
		NoteDamage(d.opts.FS, d.dir, why)
	}
}

// checkDamage says that damage was found while the directory was in use.
func (d *Directory) checkDamage() error {
	text, err := Damage(d.opts.FS, d.dir)
	if err != nil || text == "" {
		return err
	}
	return fmt.Errorf("%s were found damaged while they were in use (%.300q): %w", d.opts.What, text, d.opts.Corrupt)
}

// open opens Pebble, which gives up on some damage by a panic.
func (d *Directory) open() error {
	opened := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				opened <- fmt.Errorf("%v: %w", p, d.opts.Corrupt)
			}
		}()
		pdb, err := pebble.Open(d.dir, d.pebbleOptions())
		if err == nil {
			d.pdb = pdb
			d.watch.AtWork()
		}
		if err != nil && d.opts.Foreign != nil && strings.Contains(err.Error(), "name from file") { // it has no error of its own
			opened <- fmt.Errorf("%w (%w)", d.opts.Foreign, err)
			return
		}
		opened <- d.ReadError(err)
	}()
	select {
	case err := <-opened:
		return err
	case <-d.watch.Stopped():
		d.watch.Quiesce()
		return d.watch.Failed()
	}
}

// IsEnvironment tells an error of the file system, which another attempt may not
// see, from one about what the files hold. A file that should exist and does not
// is the latter.
func IsEnvironment(err error) bool {
	var path *fs.PathError
	var errno syscall.Errno
	return (errors.As(err, &path) || errors.As(err, &errno)) && !errors.Is(err, fs.ErrNotExist)
}

// ReadError says of an error that is not the file system's that what lies in the
// directory does not verify.
func (d *Directory) ReadError(err error) error {
	if err == nil || errors.Is(err, d.opts.Corrupt) || IsEnvironment(err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, d.opts.Corrupt)
}

// Do calls fn. When Pebble stops it returns the reason, at once, though fn may go on:
// what fn works on is not the caller's any more.
func (d *Directory) Do(fn func(*pebble.DB) error) error {
	return d.watch.Do(func() error { return fn(d.pdb) })
}

// Failed returns why Pebble has stopped, nil while it has not.
func (d *Directory) Failed() error { return d.watch.Failed() }

// DoFrozen calls fn, which only reads, with another Pebble, of what was committed when
// the first one stopped.
func (d *Directory) DoFrozen(fn func(*pebble.DB) error) error {
	pdb, err := d.frozen()
	if err != nil {
		return errors.Join(d.watch.Failed(), err)
	}
	return fn(pdb)
}

// openFrozen opens what a Pebble that has stopped left. From then on nobody changes it.
func (d *Directory) openFrozen() (pdb *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v: %w", p, d.opts.Corrupt)
		}
	}()
	d.watch.Quiesce()
	o := d.pebbleOptions()
	o.FS, o.ReadOnly = NewWatch(WatchOptions{}).FS(d.opts.FS), true // which locks nothing: we have
	pdb, err = pebble.Open(d.dir, o)
	return pdb, d.ReadError(err)
}

// CheckFormat says that the row of key holds another format, where it is there, and
// makes it where it is not.
func (d *Directory) CheckFormat(key []byte, format string) error {
	found, err := d.Get(key)
	switch {
	case err != nil:
		return err
	case found == nil:
		return d.Do(func(pdb *pebble.DB) error { return pdb.Set(key, []byte(format), pebble.Sync) })
	case string(found) != format:
		return fmt.Errorf("it has format %q, and this version reads %q: %s, or use the version that made it", found, format, d.opts.Again)
	}
	return nil
}

// Get returns a copy of a value; nil where there is none.
func (d *Directory) Get(key []byte) ([]byte, error) {
	var value []byte
	err := d.Do(func(pdb *pebble.DB) (err error) {
		value, err = Get(pdb, key)
		return d.ReadError(err)
	})
	if err != nil {
		return nil, err // and value is not ours any more
	}
	return value, nil
}

// Get returns a copy of a value; nil where there is none.
func Get(pdb *pebble.DB, key []byte) ([]byte, error) {
	found, closer, err := pdb.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return append([]byte{}, found...), closer.Close()
}

// Scan calls row for every key from lower to before upper, in order, until the first
// error. Key and value are row's until it returns.
func (d *Directory) Scan(lower, upper []byte, row func(key, value []byte) error) error {
	return d.Do(func(pdb *pebble.DB) error {
		it, err := pdb.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return d.ReadError(err)
		}
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			err = row(it.Key(), it.Value())
		}
		return errors.Join(err, d.ReadError(it.Close()))
	})
}

// NewBatch returns a batch for Commit.
func (d *Directory) NewBatch() *pebble.Batch { return d.pdb.NewBatch() }

// NewBatchWithSize returns one with room for that many bytes.
func (d *Directory) NewBatchWithSize(bytes int) *pebble.Batch { return d.pdb.NewBatchWithSize(bytes) }

// Commit writes a batch, all of it or none. After an error nothing can be written
// until the directory is opened again, whether the batch was is unknown, and it is
// not the caller's any more.
func (d *Directory) Commit(batch *pebble.Batch) error {
	return d.watch.Do(func() error { return batch.Commit(pebble.Sync) })
}

// Flush writes what was committed to tables.
func (d *Directory) Flush() error { return d.watch.Do(func() error { return d.pdb.Flush() }) }

// DiskBytes is what the directory takes on disk; 0 once Pebble has stopped.
func (d *Directory) DiskBytes() int64 {
	var bytes int64
	if d.Do(func(pdb *pebble.DB) error { bytes = int64(pdb.Metrics().DiskSpaceUsage()); return nil }) != nil {
		return 0
	}
	return bytes
}

// Close closes the directory.
func (d *Directory) Close() (err error) {
	if d.watch.Failed() == nil { // otherwise Pebble stands still for ever
		err = d.watch.Do(d.pdb.Close)
	}
	if d.watch.Failed() != nil {
		d.watch.Quiesce()
		if frozen, err := d.frozen(); err == nil {
			_ = frozen.Close() // it only let go of memory
		}
	}
	return errors.Join(err, d.lock.Close())
}
