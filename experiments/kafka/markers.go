package kafka

import (
	"context"
	"strings"
	"time"
)

// A broker answers that a transaction is ended when that is decided; the markers
// that end it in each partition follow. Until they are written read_committed
// readers see nothing of it, and the offsets of the next transaction are
// refused, which the client takes for a failure of that one.

// awaitMarkers waits until the transaction that was ended last is ended in every
// partition, or ctx is. A broker that can't tell is not waited for.
func (t *Transport) awaitMarkers(ctx context.Context) {
	if !t.marking {
		return
	}
	id := t.opts.TransactionalID + t.opts.TransactionalIDSuffix
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		described, err := t.admin.adm.DescribeTransactions(ctx, id)
		if d := described[id]; err != nil || d.Err != nil || !strings.HasPrefix(d.State, "Prepare") {
			t.marking = false
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
