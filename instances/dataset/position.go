package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	// Begun says that there is a part, done or to redo.
	Begun bool
	// Redo, where set, is a part that has been begun and must be published before
	// any other: exactly its rows, in their order. Its From is Next.
	Redo *Range
	// Finished says that a batch's split has all its rows.
	Finished bool
}

// Next says how far an origin is published, by what lies in the folder. An error
// leaves it unknown.
func (d *Dataset) Next(ctx context.Context, origin string) (pos Position, err error) {
	if !originPattern.MatchString(origin) {
		return Position{}, fmt.Errorf("dataset: %q is no origin: use a-z, 0-9, - and _", origin)
	}
	next, known := d.known(origin)
	if known {
		pos, known, err = d.follow(ctx, origin, next)
	}
	if err == nil && !known {
		pos, err = d.newest(ctx, origin)
	}
	if err == nil && d.opts.Kind == Batch {
		pos.Finished, err = d.exists(ctx, endKey(origin))
	}
	if err != nil {
		return Position{}, err
	}
	d.setNext(origin, pos.Next)
	return pos, nil
}

// newest finds an origin's newest part, which is listed first.
func (d *Dataset) newest(ctx context.Context, origin string) (Position, error) {
	found := errors.New("found")
	var at marker
	key := ""
	err := d.bucket.List(ctx, originFolder(origin), func(k string, _ int64, _ time.Time) error {
		m, ok := parseMarker(k)
		if !ok || m.suffix == endName {
			return nil
		}
		at, key = m, k
		return found
	})
	if key == "" {
		return Position{}, err
	}
	if !errors.Is(err, found) {
		return Position{}, err
	}
	m, err := d.manifestAt(ctx, key, at)
	if err != nil {
		return Position{}, err
	}
	if at.suffix == doneSuffix {
		return Position{Next: m.To, Begun: true}, nil
	}
	return Position{Next: m.From, Begun: true, Redo: &Range{m.From, m.To}}, nil
}

// maxSteps is up to how many parts of others are followed.
const maxSteps = 3

// follow goes on from where parts are known to be done. It does not know where
// others have published a lot since.
func (d *Dataset) follow(ctx context.Context, origin string, next int64) (pos Position, known bool, err error) {
	for range maxSteps {
		m, err := d.manifestAt(ctx, intentKey(origin, next), marker{origin: origin, from: next})
		if errors.Is(err, fs.ErrNotExist) {
			return Position{Next: next, Begun: next > 0}, true, nil
		}
		if err != nil {
			return Position{}, false, err
		}
		done, err := d.exists(ctx, doneKey(origin, next))
		if err != nil {
			return Position{}, false, err
		}
		if !done {
			return Position{Next: m.From, Begun: true, Redo: &Range{m.From, m.To}}, true, nil
		}
		next = m.To
	}
	return Position{}, false, nil
}

func (d *Dataset) manifestAt(ctx context.Context, key string, at marker) (*manifest, error) {
	data, err := d.get(ctx, key)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(data, at)
	if err != nil {
		return nil, d.damaged(key, err)
	}
	return m, nil
}

func (d *Dataset) exists(ctx context.Context, key string) (bool, error) {
	_, err := d.get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
