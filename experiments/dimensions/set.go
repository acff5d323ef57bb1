package dimensions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions/changing"
)

// Options are what the tables of a plan are opened with. Zero fields take their
// defaults.
type Options struct {
	// Patient waits for stores as long as it takes, within reason: for a backfill, that
	// nobody waits for. The default is what the experiment file says.
	Patient bool
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Log is told of what changes. The default discards.
	Log *slog.Logger
	// Open opens a table. The default opens the store that the definition names. Its
	// error wraps dimjoin.ErrUnreachable where the store does not answer, and may later.
	Open func(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error)
	// OpenWriter opens a store that workers share for writing what a change stream
	// brings. The default opens the store that the definition names.
	OpenWriter func(ctx context.Context, def *dimjoin.Definition) (dimjoin.Writer, error)
	// Keep says that change streams keep tables up to date: whoever opens the set
	// runs what its streams need. Without it tables are read as they are.
	Keep bool
	// Recorded are topics of change streams whose records will be added to the set's
	// Filler: their tables are made of them, in Scratch, and nothing else is read.
	Recorded map[string]bool
	Scratch  string
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Open == nil {
		o.Open = o.open
	}
	if o.OpenWriter == nil {
		o.OpenWriter = openWriter
	}
}

// Set is the tables of a plan's dimensions, each open once. Its methods may be
// called by several goroutines at once.
type Set struct {
	tables []*table
	byID   map[string]place
}

// place is where a dimension is read: a table, and a part of its rows, nil for all.
type place struct {
	*table
	part *dimjoin.Part
}

// table is one dimension, whichever experiments declare it, or several that are read
// as one.
type table struct {
	dimension experiments.Dimension
	users     []string // experiments, by their names
	rows      dimjoin.Table
	union     dimjoin.Table // of several, what reads rows; nil of one
	reader    *dimjoin.Reader

	closeBreaker func()

	writer dimjoin.Writer   // of what changes; nil where nothing is written, or it is the table
	stream *changing.Stream // nil where nothing keeps the rows up to date
}

// Open opens all tables that rows of the plan need. An error names the experiment
// file and the dimension.
func Open(ctx context.Context, plan *experiments.Plan, o Options) (_ *Set, err error) {
	o.EnsureDefaults()
	s := &Set{byID: map[string]place{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, g := range grouped(plan.Dimensions()) {
		d := g.dimension()
		t := &table{dimension: d, users: g.users(plan)}
		def := &d.Definition.Definition
		rows, err := s.open(ctx, t, &o)
		if err != nil {
			return nil, fmt.Errorf("%s: dimension %s: %w", d.Experiment.Path, def.Name, err)
		}
		if g.union != nil {
			rows = g.union.Table(rows, func(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error) {
				return o.openSoon(ctx, def, &d.Definition.Read)
			})
			t.union = rows
		}
		ro, closeBreaker, err := o.readerOptions(d.Definition)
		if err != nil {
			return nil, fmt.Errorf("%s: dimension %s: %w", d.Experiment.Path, def.Name, err)
		}
		t.reader, t.closeBreaker = dimjoin.NewReader(def, rows, ro), closeBreaker
		for i := range g.members {
			s.byID[g.members[i].ID] = place{t, g.part(i)}
		}
	}
	return s, nil
}

// For is what rows of a pipeline of the plan read; nil where they have no
// dimensions.
func (s *Set) For(p *experiments.Pipeline) experiments.Dimensions {
	if len(p.Dimensions) == 0 {
		return nil
	}
	var r reader
	var awaited []*changing.Stream
	for i := range p.Dimensions {
		at := s.byID[p.Dimensions[i].ID]
		r.add(i, at)
		if at.stream != nil && p.Dimensions[i].Definition.AsOf == dimjoin.AsOfEventTime {
			awaited = append(awaited, at.stream)
		}
	}
	if len(awaited) > 0 {
		return &awaiting{r, awaited}
	}
	return r
}

// Close closes all stores.
func (s *Set) Close() (err error) {
	if s == nil {
		return nil
	}
	for _, t := range s.tables {
		if t.reader != nil {
			t.reader.Close()
			t.closeBreaker()
		}
		cerr := t.rows.Close()
		if t.union != nil {
			cerr = errors.Join(cerr, t.union.Close())
		}
		if t.writer != nil {
			cerr = errors.Join(cerr, t.writer.Close())
		}
		if cerr != nil {
			err = errors.Join(err, fmt.Errorf("closing the dimension %s: %w", t.dimension.Definition.Name, cerr))
		}
	}
	s.tables = nil
	return err
}
