package tiling

import (
	"errors"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// Way is the way of one source of a generation through an internal topic, in which
// its events lie where their entities are.
type Way struct {
	*experiments.Shuffle
	gen    *Generation
	source int
}

// Ways are those of the sources whose topics are not keyed by the entities.
func (g *Generation) Ways() (all []*Way) {
	for i, f := range g.feeds {
		if f.way != nil {
			all = append(all, &Way{f.way, g, i})
		}
	}
	return all
}

// Carrier makes parcels of a source's records: it cleans and filters them, and
// sends on what the features read of those that one of them takes. It implements
// the carrier of package shuffle. One goroutine uses it.
type Carrier struct {
	feed    *feed
	parcel  *parcel
	slots   []int // of the parcel's fields in the source's rows
	filter  *features.Filter
	letters func(*mortise.DeadLetter) error
	buf     []byte
}

// NewCarrier makes one. letters takes the records that cannot be read, before they
// are committed as read; it may be nil.
func (w *Way) NewCarrier(letters func(*mortise.DeadLetter) error) *Carrier {
	f := w.gen.feeds[w.source].copy()
	c := &Carrier{feed: f, parcel: f.parcel, letters: letters}
	for _, name := range f.parcel.fields {
		c.slots = append(c.slots, f.source.Slot(0, name))
	}
	c.filter = w.gen.Set.NewFilter(w.source, func(field string) int { return f.source.Slot(0, field) })
	return c
}

// Carry makes of a record what is sent on.
func (c *Carrier) Carry(rec *mortise.Record, nowMS int64, o *experiments.Output) (experiments.Carried, error) {
	out := experiments.Carried{TimeMS: joiner.NoTimeMS}
	timeMS, row, err := c.feed.take(rec, nowMS)
	if err != nil {
		out.Unreadable = true
		return out, c.letter(rec, err)
	}
	out.TimeMS = timeMS
	if row == nil {
		return out, nil
	}
	entity, taken, fault := c.filter.Take(row)
	if fault != nil {
		if err := c.letter(rec, fault); err != nil {
			return out, err
		}
	}
	if !taken {
		return out, nil
	}
	c.buf = c.parcel.append(c.buf[:0], rec.Partition, timeMS, row, c.slots)
	o.Key, o.Value, o.Headers, out.Send = entity, c.buf, nil, true
	return out, nil
}

// letter sends a record that cannot be read to the dead letters. Any other failure
// it returns.
func (c *Carrier) letter(rec *mortise.Record, err error) error {
	if !errors.As(err, new(*mortise.RecordError)) {
		return err
	}
	letter := c.feed.letter(rec, err)
	if letter == nil || c.letters == nil {
		return nil
	}
	if err := c.letters(letter); err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	return nil
}
