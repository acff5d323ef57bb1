package backfill

import (
	"sync/atomic"
	"testing"
)

// TestNothingIsReadBeforeStart: until a task is there, what is read would be lost.
func TestNothingIsReadBeforeStart(t *testing.T) {
	f := newFeed(nil, []lane{{topic: "t"}}, nil, false, nil, new(atomic.Int64)) // without records: it would panic
	if got, err := f.Poll(t.Context(), 10, 0); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
