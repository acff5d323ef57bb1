package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Listed is one checkpoint of a bucket.
type Listed struct {
	Name     string
	Manifest *Manifest // nil when it can't be read
	Err      error     // why; wraps ErrDamaged or ErrNewer
}

// Tasks returns the names of the tasks that have checkpoints, in order.
func (c *Checkpoints) Tasks(ctx context.Context) ([]string, error) {
	var tasks []string
	err := c.bucket.List(ctx, "", func(key string, _ int64, _ time.Time) error {
		name, rest, _ := strings.Cut(key, "/")
		if task, ok := unescape(name); ok && strings.HasPrefix("/"+rest, manifestFolder) && !slices.Contains(tasks, task) {
			tasks = append(tasks, task)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing checkpoints: %w", err)
	}
	slices.Sort(tasks)
	return tasks, nil
}

// List returns the checkpoints of a task, the newest first.
func (c *Checkpoints) List(ctx context.Context, name string) ([]Listed, error) {
	t := &task{c: c, name: name}
	l := &listing{manifests: map[string]time.Time{}}
	if err := t.listInto(ctx, l, manifestFolder); err != nil {
		return nil, err
	}
	var all []Listed
	for _, n := range l.names() {
		m, err := t.read(ctx, n)
		if errors.Is(err, errGone) {
			continue // cleared away meanwhile
		}
		if err != nil && !isUnreadable(err) {
			return nil, err
		}
		all = append(all, Listed{n, m, err})
	}
	return all, nil
}

// Fault is something that does not verify.
type Fault struct {
	Checkpoints []string // that are harmed
	Err         error    // names the object
}

// Verified is what Verify read.
type Verified struct {
	Checkpoints int
	Parts       int
	Bytes       int64
	Faults      []Fault
}

// Verify reads all that a task's checkpoints consist of and checks it against
// their checksums. What several have in common is read once.
func (c *Checkpoints) Verify(ctx context.Context, name string) (*Verified, error) {
	all, err := c.List(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &task{c: c, name: name}
	v := &Verified{Checkpoints: len(all)}
	var unpins []func()
	defer func() {
		for _, unpin := range unpins {
			unpin()
		}
	}()
	users := map[wanted][]string{}
	for i := range all {
		m := all[i].Manifest
		if m == nil {
			v.Faults = append(v.Faults, Fault{[]string{all[i].Name}, all[i].Err})
			continue
		}
		unpin, err := t.pin(ctx, m.Name)
		if errors.Is(err, errGone) {
			v.Checkpoints--
			continue
		}
		if err != nil {
			return nil, err
		}
		unpins = append(unpins, unpin)
		for _, w := range wholePlan(m) {
			w.file, w.from = 0, 0
			users[w] = append(users[w], m.Name)
		}
	}
	if err := t.verify(ctx, users, v); err != nil {
		return nil, err
	}
	return v, nil
}

func (t *task) verify(ctx context.Context, users map[wanted][]string, v *Verified) error {
	parts := make([]wanted, 0, len(users))
	for w := range users {
		parts = append(parts, w)
		v.Bytes += w.bytes
	}
	v.Parts = len(parts)
	runs := requests(parts)
	var mu sync.Mutex
	err := t.c.each(ctx, len(runs), func(ctx context.Context, i int) error {
		err := t.fetchRun(ctx, runs[i], nil)
		if err == nil || !errors.Is(err, ErrDamaged) {
			return err
		}
		// One by one, to name each.
		for j := range runs[i] {
			err := t.fetchRun(ctx, runs[i][j:j+1], nil)
			if errors.Is(err, ErrDamaged) {
				mu.Lock()
				v.Faults = append(v.Faults, Fault{users[runs[i][j]], err})
				mu.Unlock()
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(v.Faults, func(a, b Fault) int { return strings.Compare(a.Err.Error(), b.Err.Error()) })
	return err
}
