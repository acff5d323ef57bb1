package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// listing is what a task has in the bucket.
type listing struct {
	manifests map[string]time.Time // when written
	pins      map[string]time.Time
	parts     map[string]int64 // sizes
}

// list lists all objects of the task.
func (t *task) list(ctx context.Context) (*listing, error) {
	l := &listing{manifests: map[string]time.Time{}, pins: map[string]time.Time{}, parts: map[string]int64{}}
	return l, t.listInto(ctx, l, "/")
}

func (t *task) listInto(ctx context.Context, l *listing, below string) error {
	prefix := folder(t.name)
	err := t.c.bucket.List(ctx, prefix+below, func(key string, sizeBytes int64, modified time.Time) error {
		rest := strings.TrimPrefix(key, prefix)
		if name, ok := strings.CutPrefix(rest, manifestFolder); ok {
			if n, ok := sequenceOf(name); ok {
				l.manifests[name] = modified
				t.last = max(t.last, n)
			}
		} else if name, ok := strings.CutPrefix(rest, pinFolder); ok {
			l.pins[name] = modified
		} else if name, ok := strings.CutPrefix(rest, partFolder); ok && uploadOf(name) != "" {
			l.parts[name] = sizeBytes
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", prefix+below, err)
	}
	return nil
}

// names returns the checkpoints, the newest first.
func (l *listing) names() []string {
	names := make([]string, 0, len(l.manifests))
	for name := range l.manifests {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names
}

// doubt says why something that m names may have been cleared away, or may be
// being cleared away; empty when that is impossible.
func (l *listing) doubt(m *Manifest) string {
	if _, ok := l.manifests[m.Name]; !ok {
		return "checkpoint " + m.Name + " is gone"
	}
	if _, ok := l.pins[writePin+m.Upload]; !ok {
		return "pin " + writePin + m.Upload + " is gone"
	}
	if _, ok := l.manifests[m.Base]; m.Base != "" && !ok {
		return "checkpoint " + m.Base + ", which it builds on, is gone"
	}
	for _, o := range m.Objects {
		if size, ok := l.parts[o.Name]; !ok {
			return "object " + o.Name + " is gone"
		} else if size != o.Bytes {
			return fmt.Sprintf("object %s has %d bytes instead of %d", o.Name, size, o.Bytes)
		}
	}
	return ""
}

// load learns the last sequence number, for another process may have had the task
// meanwhile, and finds the checkpoint to go on from, when this one has made and
// restored none yet: the newest that is sure to be whole.
func (t *task) load(ctx context.Context) error {
	if t.loaded {
		return t.listInto(ctx, &listing{manifests: map[string]time.Time{}}, manifestFolder)
	}
	l, err := t.list(ctx)
	if err != nil {
		return err
	}
	for _, name := range l.names() {
		m, err := t.read(ctx, name)
		if err != nil && !isUnreadable(err) {
			return err
		}
		if err == nil && l.doubt(m) == "" {
			t.setBase(m)
			return nil
		}
	}
	t.loaded, t.base = true, nil
	return nil
}

// errGone says that there is no such checkpoint, or no more.
var errGone = errors.New("there is no such checkpoint")

// read reads a manifest. Errors that wrap ErrDamaged, ErrNewer or errGone are
// about this one alone.
func (t *task) read(ctx context.Context, name string) (*Manifest, error) {
	data, err := t.c.read(ctx, manifestKey(t.name, name))
	if isMissing(err) {
		return nil, fmt.Errorf("checkpoint %s of task %q: %w", name, t.name, errGone)
	}
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint %s: %w", name, err)
	}
	m, err := ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s of task %q: %w", name, t.name, err)
	}
	if m.Name != name || m.Task != t.name {
		return nil, fmt.Errorf("checkpoint %s of task %q: it is a copy of checkpoint %s of task %q: %w", name, t.name, m.Name, m.Task, ErrDamaged)
	}
	return m, nil
}

func isUnreadable(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer) || errors.Is(err, errGone)
}

// collect clears away what nobody needs any more. It looks, removes the names by
// which others could come to need something (expired pins, surplus checkpoints),
// looks again, and then removes the parts that it saw at first and that nobody
// has come to need. now is the bucket's time.
func (t *task) collect(ctx context.Context, l *listing, now time.Time) error {
	for _, pin := range slices.Sorted(maps.Keys(l.pins)) { // in order, so that simulations repeat
		if now.Sub(l.pins[pin]) > t.c.opts.PinFor {
			if err := t.c.bucket.Delete(ctx, pinKey(t.name, pin)); err != nil {
				return fmt.Errorf("removing expired pin %s: %w", pin, err)
			}
			delete(l.pins, pin)
		}
	}
	if err := t.removeSurplus(ctx, l); err != nil {
		return err
	}
	// Pins first: an upload's goes when its checkpoint is there. And pins last: a
	// reader's comes while its checkpoint is there.
	again := &listing{manifests: map[string]time.Time{}, pins: map[string]time.Time{}}
	for _, below := range []string{pinFolder, manifestFolder, pinFolder} {
		if err := t.listInto(ctx, again, below); err != nil {
			return err
		}
	}
	needed, uploads, err := t.needed(ctx, again)
	if err != nil {
		return err
	}
	var remove []string
	for object := range l.parts {
		if !needed[object] && !uploads[uploadOf(object)] {
			remove = append(remove, object)
		}
	}
	slices.Sort(remove)
	for name := range t.refs {
		if _, ok := again.manifests[name]; !ok {
			delete(t.refs, name)
		}
	}
	return t.c.each(ctx, len(remove), func(ctx context.Context, i int) error {
		if err := t.c.bucket.Delete(ctx, partKey(t.name, remove[i])); err != nil {
			return fmt.Errorf("removing object %s: %w", remove[i], err)
		}
		return nil
	})
}

// removeSurplus removes the checkpoints beyond Keep that nobody is reading. Those
// of a newer version are left to it.
func (t *task) removeSurplus(ctx context.Context, l *listing) error {
	read := map[string]bool{}
	for pin := range l.pins {
		if name, ok := readBy(pin); ok {
			read[name] = true
		}
	}
	kept := 0
	for _, name := range l.names() {
		// What it names is learnt before it is gone: a reader's pin may come too late to be seen.
		_, err := t.objectsOf(ctx, name)
		if errors.Is(err, errGone) || errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) && kept < t.c.opts.Keep {
			continue
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if kept < t.c.opts.Keep {
			kept++
			continue
		}
		if read[name] {
			continue
		}
		if err := t.c.bucket.Delete(ctx, manifestKey(t.name, name)); err != nil {
			return fmt.Errorf("removing checkpoint %s: %w", name, err)
		}
	}
	return nil
}

// needed returns the objects and the uploads that must stay. When that cannot be
// known, nothing may go.
func (t *task) needed(ctx context.Context, l *listing) (objects, uploads map[string]bool, err error) {
	objects, uploads = map[string]bool{}, map[string]bool{}
	names := map[string]bool{}
	for name := range l.manifests {
		names[name] = true
	}
	for pin := range l.pins {
		if id, ok := strings.CutPrefix(pin, writePin); ok {
			uploads[id] = true
		} else if name, ok := readBy(pin); ok {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		refs, err := t.objectsOf(ctx, name)
		if err != nil {
			return nil, nil, fmt.Errorf("no object can be removed, for it is not known what checkpoint %s needs: %w", name, err)
		}
		for _, object := range refs {
			objects[object] = true
		}
	}
	return objects, uploads, nil
}

func (t *task) objectsOf(ctx context.Context, name string) ([]string, error) {
	if refs, ok := t.refs[name]; ok {
		return refs, nil
	}
	m, err := t.read(ctx, name)
	if err != nil {
		return nil, err
	}
	t.refs[name] = m.objectNames()
	return t.refs[name], nil
}
