package dimensions

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"reflect"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions/changing"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// open opens a dimension's table, with its stream where something keeps it up to
// date, and returns what its rows are read of.
func (s *Set) open(ctx context.Context, t *table, o *Options) (rows dimjoin.Table, err error) {
	d := t.dimension.Definition
	if other := s.sameTable(d); other != nil {
		if !reflect.DeepEqual(madeOf(d), madeOf(other.dimension.Definition)) {
			return nil, fmt.Errorf("%s: dimension %s has the same table with another key, other fields or other changes: declare them alike, or give each a table of its own", other.dimension.Experiment.Path, other.dimension.Definition.Name)
		}
		t.rows, t.stream = lent{other.rows}, other.stream
		s.tables = append(s.tables, t)
		return t.view(), nil
	}
	def := d.Definition
	c := d.Changes
	recorded := c != nil && o.Recorded[c.Topic]
	switch {
	case recorded:
		def.Store = dimjoin.Store{Kind: "pebble", Path: filepath.Join(o.Scratch, "dimension-"+t.dimension.ID)}
		t.rows, err = openKept(ctx, &def)
	case c != nil && o.Keep && def.Store.Kind == "pebble":
		t.rows, err = openKept(ctx, &def)
	default:
		t.rows, err = o.openSoon(ctx, &def, &d.Read)
	}
	if err != nil {
		return nil, err
	}
	s.tables = append(s.tables, t)
	if recorded || c != nil && o.Keep {
		if err := t.keep(ctx, &def, o); err != nil {
			return nil, err
		}
	}
	return t.view(), nil
}

// openKept opens a table that a change stream fills, and makes it if need be.
func openKept(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error) {
	db, err := pebble.Open(ctx, def, pebble.Options{Create: true})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// keep makes the stream that keeps a table.
func (t *table) keep(ctx context.Context, def *dimjoin.Definition, o *Options) (err error) {
	d, name := t.dimension.Definition, t.dimension.Experiment.Name
	if journal, ok := t.rows.(dimjoin.Journal); ok {
		t.stream, err = changing.NewJournaled(d, name, journal)
		return err
	}
	if t.writer, err = o.OpenWriter(ctx, def); err != nil {
		return err
	}
	t.stream, err = changing.NewWritten(d, name, t.rows, t.writer)
	return err
}

// view is what rows are read of.
func (t *table) view() dimjoin.Table {
	if t.stream != nil {
		return t.stream.View()
	}
	return t.rows
}

// sameTable finds who has opened the directory of an embedded table.
func (s *Set) sameTable(d *spec.Dimension) *table {
	for _, t := range s.tables {
		if d.Store.Kind == "pebble" && t.dimension.Definition.Store.Kind == "pebble" && filepath.Clean(t.dimension.Definition.Store.Path) == filepath.Clean(d.Store.Path) {
			return t
		}
	}
	return nil
}

// madeOf is what users of one table have to agree on.
func madeOf(d *spec.Dimension) []any {
	return []any{d.KeyTypes, d.Fields, d.History, d.Changes}
}

// lent is a table that somebody else closes.
type lent struct{ dimjoin.Table }

func (lent) Close() error { return nil }

// Kept are the streams of tables that are this process's own, each once: a
// changing.Keeper runs them.
func (s *Set) Kept() (all []*changing.Stream) {
	if s == nil {
		return nil
	}
	for _, t := range s.tables {
		if _, isLent := t.rows.(lent); t.stream != nil && t.writer == nil && !isLent {
			all = append(all, t.stream)
		}
	}
	return all
}

// Written is the stream of a table that workers share: a changing.Shared runs it,
// in the group whose members all write into that table.
type Written struct {
	*changing.Stream
	Group string
}

// Written are the streams of tables that workers share.
func (s *Set) Written() (all []Written) {
	if s == nil {
		return nil
	}
	for _, t := range s.tables {
		if t.stream != nil && t.writer != nil {
			d := t.dimension.Definition
			all = append(all, Written{t.stream, "mortise.changes." + d.Changes.Topic + "." + experiments.StoreID(&d.Store)})
		}
	}
	return all
}

// Filler fills the tables of recorded streams.
func (s *Set) Filler(ctx context.Context, letters func(*mortise.DeadLetter) error) (*changing.Filler, error) {
	return changing.NewFiller(ctx, s.Kept(), changing.Options{Letters: letters})
}

// ChangeTopics are the topics of the change streams of a plan's dimensions.
func ChangeTopics(plan *experiments.Plan) (topics []string) {
	known := map[string]bool{}
	for _, d := range plan.Dimensions() {
		if c := d.Definition.Changes; c != nil && !known[c.Topic] {
			known[c.Topic] = true
			topics = append(topics, c.Topic)
		}
	}
	return topics
}

// awaiting is a reader whose rows wait for streams.
type awaiting struct {
	reader
	streams []*changing.Stream
}

// FinalMS implements experiments.Awaited.
func (a *awaiting) FinalMS() int64 {
	final := int64(math.MaxInt64)
	for _, s := range a.streams {
		final = min(final, s.FinalMS())
	}
	return final
}
