package dimjoin

import (
	"context"
	"errors"
	"testing"
)

type emptyTable struct{ closed int }

func (e *emptyTable) Read(context.Context, []Lookup) error { return nil }
func (e *emptyTable) Close() error                         { e.closed++; return nil }

func TestOpenLater(t *testing.T) {
	tries, up := 0, false
	inner := &emptyTable{}
	table := OpenLater(func(context.Context) (Table, error) {
		if tries++; !up {
			return nil, ErrUnreachable
		}
		return inner, nil
	})
	for range 2 {
		if err := table.Read(context.Background(), nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("a read of a store that is down: %v", err)
		}
	}
	up = true
	for range 2 {
		if err := table.Read(context.Background(), nil); err != nil {
			t.Error(err)
		}
	}
	if err := table.Close(); err != nil || tries != 3 || inner.closed != 1 {
		t.Errorf("opened %d times, closed %d times, %v", tries, inner.closed, err)
	}
	unopened := OpenLater(func(context.Context) (Table, error) { return inner, nil })
	if err := unopened.Close(); err != nil {
		t.Error(err)
	}
	if err := unopened.Read(context.Background(), nil); err == nil {
		t.Error("a table that was closed is read")
	}
}
