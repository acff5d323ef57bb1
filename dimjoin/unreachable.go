package dimjoin

import (
	"context"
	"errors"
	"sync"
)

// ErrUnreachable is wrapped by what a leaf's Open returns where the store does not
// answer, or not yet, unlike one that answers that there is no such table: trying
// again may help.
var ErrUnreachable = errors.New("the store cannot be reached")

// OpenLater is a Table whose store may be down when it is made: until it was opened
// once, each Read tries to, and fails as long as that does.
func OpenLater(open func(context.Context) (Table, error)) Table { return &later{open: open} }

type later struct {
	open  func(context.Context) (Table, error)
	mu    sync.RWMutex
	table Table
	ended bool
}

// Read implements Table.
func (l *later) Read(ctx context.Context, lookups []Lookup) error {
	l.mu.RLock()
	table := l.table
	l.mu.RUnlock()
	if table == nil {
		var err error
		if table, err = l.try(ctx); err != nil {
			return err
		}
	}
	return table.Read(ctx, lookups)
}

func (l *later) try(ctx context.Context) (Table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errors.New("reading a table that was closed")
	}
	if l.table == nil {
		table, err := l.open(ctx)
		if err != nil {
			return nil, err
		}
		l.table = table
	}
	return l.table, nil
}

// Close implements Table.
func (l *later) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.table == nil {
		return nil
	}
	return l.table.Close()
}
