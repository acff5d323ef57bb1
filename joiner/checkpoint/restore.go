package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// Restored is what came back.
type Restored struct {
	Name     string
	Meta     []byte
	Bytes    int64
	Files    int
	Manifest *Manifest
}

// Restore puts the newest checkpoint of a task into a state directory, of those
// that accept says yes to, told the owner's meta, and that verify. Those that do
// not are logged and passed over. Without one it returns nil, and the directory
// is as it was; so it is after an error. The task must not be open in db. The
// next Save goes on from what was restored.
func (c *Checkpoints) Restore(ctx context.Context, name string, db *disk.DB, accept func(meta []byte) bool) (*Restored, error) {
	t := c.task(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[string]bool{}
	for range restoreLooks {
		got, again, err := t.restoreNewest(ctx, db, accept, seen)
		if err != nil {
			return nil, fmt.Errorf("restoring task %q: %w", name, err)
		}
		if got != nil || !again {
			return got, nil
		}
	}
	return nil, fmt.Errorf("restoring task %q: checkpoints are cleared away faster than they are read: raise how many are kept", name)
}

// restoreLooks is how often the checkpoints are listed, where those that were
// listed are gone when they are read: newer ones took their place.
const restoreLooks = 10

// restoreNewest tries the checkpoints that there are now, but for those seen
// before. again says that some went meanwhile.
func (t *task) restoreNewest(ctx context.Context, db *disk.DB, accept func(meta []byte) bool, seen map[string]bool) (got *Restored, again bool, err error) {
	log := t.c.opts.Log
	l := &listing{manifests: map[string]time.Time{}}
	if err := t.listInto(ctx, l, manifestFolder); err != nil {
		return nil, false, err
	}
	for _, name := range l.names() {
		if seen[name] {
			continue
		}
		seen[name] = true
		got, err := t.restore(ctx, name, db, accept)
		switch {
		case err == nil && got != nil:
			return got, false, nil
		case err == nil:
			log.Info("a checkpoint is of no use here: it is of another definition, or ahead of what was committed", "task", t.name, "checkpoint", name)
		case errors.Is(err, errGone):
			again = true
		case isUnreadable(err) || errors.Is(err, joiner.ErrCorrupt):
			log.Warn("a checkpoint is passed over", "task", t.name, "checkpoint", name, "err", err)
		default:
			return nil, false, err
		}
	}
	return nil, again, nil
}

// RestoreNamed is Restore of one given checkpoint. What keeps it from being
// restored is an error; only that accept says no gives nil.
func (c *Checkpoints) RestoreNamed(ctx context.Context, name, checkpoint string, db *disk.DB, accept func(meta []byte) bool) (*Restored, error) {
	t := c.task(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	got, err := t.restore(ctx, checkpoint, db, accept)
	if err != nil {
		return nil, fmt.Errorf("restoring task %q: %w", name, err)
	}
	return got, nil
}

func (t *task) restore(ctx context.Context, name string, db *disk.DB, accept func(meta []byte) bool) (*Restored, error) {
	m, err := t.read(ctx, name)
	if err != nil {
		return nil, err
	}
	if !accept(m.Meta) {
		return nil, nil
	}
	unpin, err := t.pin(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unpin()
	if err := t.download(ctx, m, db); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", name, err)
	}
	t.setBase(m)
	return &Restored{Name: name, Meta: m.Meta, Bytes: m.TotalBytes(), Files: len(m.Files), Manifest: m}, nil
}

// pin keeps what a checkpoint names until the function it returns is called. The
// error wraps errGone when it came too late.
func (t *task) pin(ctx context.Context, name string) (unpin func(), err error) {
	pin := readPin + t.c.random() + "." + name
	unpin = func() {
		// Also when ctx is done: until it expires it keeps what it keeps.
		if err := t.c.bucket.Delete(context.WithoutCancel(ctx), pinKey(t.name, pin)); err != nil {
			t.c.opts.Log.Warn("a pin is left until it expires", "task", t.name, "pin", pin, "err", err)
		}
	}
	if err := t.c.bucket.Put(ctx, pinKey(t.name, pin), bytes.NewReader(nil)); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// Whoever may only read goes without: should something be cleared away
		// meanwhile, then it does not verify.
		t.c.opts.Log.Warn("a checkpoint is read without a pin", "task", t.name, "checkpoint", name, "err", err)
	}
	r, err := t.c.bucket.Get(ctx, manifestKey(t.name, name), 0, 1)
	if err != nil {
		unpin()
		if isMissing(err) {
			err = errGone
		}
		return nil, fmt.Errorf("checkpoint %s: %w", name, err)
	}
	return unpin, r.Close()
}

// download writes the checkpoint's files and makes them the task's state.
func (t *task) download(ctx context.Context, m *Manifest, db *disk.DB) error {
	rows := make([][]byte, len(m.Files))
	for i := range m.Files {
		rows[i] = m.Files[i].Rows
	}
	r, err := db.RestoreStore(t.name, m.head(), rows)
	if err != nil {
		return err
	}
	for i := range m.Files {
		if m.Files[i].Bytes != r.FileLengthBytes(i) {
			err = errors.Join(err, fmt.Errorf("file %d has %d bytes, its rows say %d: %w", m.Files[i].Number, m.Files[i].Bytes, r.FileLengthBytes(i), ErrDamaged))
		}
	}
	if err == nil {
		err = t.fetch(ctx, wholePlan(m), func(file int) (io.WriterAt, func() error, error) {
			f, err := r.Open(file)
			if err != nil {
				return nil, nil, err
			}
			return f, f.Close, nil
		})
	}
	if err == nil {
		err = r.Commit()
	}
	return errors.Join(err, r.Abort())
}
