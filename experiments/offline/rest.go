package offline

import (
	"context"
	"time"
)

// restMost is how long Rest takes at most: a batch that is read of an embedded store
// is back in about that time.
const restMost = 200 * time.Microsecond

// Rest is what a Poll does that is asked to wait for records and knows that no more
// come: the worker has rows away, whose features are being read on another
// goroutine, and would ask again at once. It takes wait at most.
func Rest(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(min(wait, restMost))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
