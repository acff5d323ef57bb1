package dataset

import (
	"context"
	"fmt"
	"time"
)

// Range are the offsets [From, To) of an origin.
type Range struct{ From, To int64 }

// Position is how far an origin is published.
type Position struct {
	// Next is the offset that the next part begins with: where the one before ends,
	// and 0 when there is none. A topic whose log begins later makes no difference:
	// the part says which offsets it covers, whether they hold rows or not.
	Next int64
	// Parts is how many parts there are, the one to redo among them.
	Parts int
	// Redo, where set, is a part that has been begun and must be published before
	// any other: exactly its rows, in their order. Its From is Next.
	Redo *Range
	// Finished says that a batch's split has all its rows.
	Finished bool
}

// Next says how far an origin is published, by what lies in the folder. An error
// leaves it unknown.
func (d *Dataset) Next(ctx context.Context, origin string) (Position, error) {
	if !originPattern.MatchString(origin) {
		return Position{}, fmt.Errorf("dataset: %q is no origin: use a-z, 0-9, - and _", origin)
	}
	var pos Position
	var begun, done marker
	err := d.bucket.List(ctx, originFolder(origin), func(key string, _ int64, _ time.Time) error {
		m, ok := parseMarker(key)
		switch {
		case !ok:
		case m.suffix == endName:
			pos.Finished = true
		case m.suffix == doneSuffix:
			done = m
		default: // in order, an intent after the done marker of its part
			pos.Parts++
			begun = m
		}
		return nil
	})
	if err != nil || pos.Parts == 0 {
		d.setNextIf(err == nil, origin, 0)
		return pos, err
	}
	key := intentKey(origin, begun.from)
	data, err := d.get(ctx, key)
	if err != nil {
		return Position{}, err
	}
	m, err := parseManifest(data, begun)
	if err != nil {
		return Position{}, d.damaged(key, err)
	}
	pos.Next = m.To
	if done.suffix == "" || done.from != begun.from {
		pos.Next, pos.Redo = m.From, &Range{m.From, m.To}
	}
	d.setNext(origin, pos.Next)
	return pos, nil
}

func (d *Dataset) setNextIf(known bool, origin string, next int64) {
	if known {
		d.setNext(origin, next)
	}
}
