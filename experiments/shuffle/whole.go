package shuffle

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// Carrier makes of records what is sent on. One goroutine uses it.
type Carrier interface {
	// Carry fills in o's key, value and headers, valid until the next call, and says
	// what becomes of the record. The error is of what is no fault of the record's.
	Carry(rec *mortise.Record, nowMS int64, o *experiments.Output) (experiments.Carried, error)
}

// whole sends records on as they are, keyed by their partition_by, behind a header
// that says where they lay. What has no key, or can't be read, goes where the others
// of its origin go: a task makes a dead letter of it.
type whole struct {
	extract    *experiments.Extractor
	aheadMS    int64
	origin     []byte           // the header that is being sent
	unreadable map[int32][]byte // keys, by origin
}

func newWhole(way *experiments.Shuffle) (*whole, error) {
	// Whether an event time lies too far ahead is for tasks to judge.
	x, err := way.NewExtractor(nil)
	if err != nil {
		return nil, err
	}
	return &whole{extract: x, aheadMS: way.Spec.MaxAhead.Milliseconds(), unreadable: map[int32][]byte{}}, nil
}

// Carry implements Carrier.
func (w *whole) Carry(rec *mortise.Record, nowMS int64, o *experiments.Output) (experiments.Carried, error) {
	c := experiments.Carried{TimeMS: joiner.NoTimeMS, Send: true}
	timeMS, key, ok := w.extract.Read(rec)
	if err := w.extract.Err(); err != nil {
		return c, err
	}
	switch {
	case !ok || key == nil:
		key, c.Unreadable = w.unreadableKey(rec.Partition), true
	case timeMS <= nowMS+w.aheadMS:
		c.TimeMS = timeMS
	}
	w.origin = experiments.AppendOrigin(w.origin[:0], rec, key)
	o.Key, o.Value = key, rec.Value
	o.Headers = append(append(o.Headers[:0], experiments.Header{Key: experiments.OriginHeader, Value: w.origin}), rec.Headers...)
	return c, nil
}

func (w *whole) unreadableKey(origin int32) []byte {
	if w.unreadable[origin] == nil {
		w.unreadable[origin] = fmt.Appendf(nil, "unreadable-%d", origin)
	}
	return w.unreadable[origin]
}
