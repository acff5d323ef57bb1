package dimensions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
)

// Options are what the tables of a plan are opened with. Zero fields take their
// defaults.
type Options struct {
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Log is told of what changes. The default discards.
	Log *slog.Logger
	// Open opens a table. The default opens the store that the definition names.
	Open func(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error)
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
		o.Open = func(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error) {
			return openTable(ctx, def, o)
		}
	}
}

// Set is the tables of a plan's dimensions, each open once. Its methods may be
// called by several goroutines at once.
type Set struct {
	tables []*table
	byID   map[string]*table
}

// table is one dimension, whichever experiments declare it.
type table struct {
	dimension experiments.Dimension
	users     []string // experiments, by their names
	rows      dimjoin.Table
	reader    *dimjoin.Reader
}

// Open opens all tables that rows of the plan need. An error names the experiment
// file and the dimension.
func Open(ctx context.Context, plan *experiments.Plan, o Options) (_ *Set, err error) {
	o.EnsureDefaults()
	s := &Set{byID: map[string]*table{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, d := range plan.Dimensions() {
		t := &table{dimension: d, users: plan.DimensionUsers(d.ID)}
		def := &d.Definition.Definition
		if t.rows, err = o.Open(ctx, def); err != nil {
			return nil, fmt.Errorf("%s: dimension %s: %w", d.Experiment.Path, def.Name, err)
		}
		s.tables = append(s.tables, t)
		ro := readerOptions(d.Definition, &o)
		if err := ro.Validate(); err != nil {
			return nil, fmt.Errorf("%s: dimension %s: %w", d.Experiment.Path, def.Name, err)
		}
		t.reader = dimjoin.NewReader(def, t.rows, ro)
		s.byID[d.ID] = t
	}
	return s, nil
}

// For is what rows of a pipeline of the plan read; nil where they have no
// dimensions.
func (s *Set) For(p *experiments.Pipeline) experiments.Dimensions {
	if len(p.Dimensions) == 0 {
		return nil
	}
	r := make(reader, len(p.Dimensions))
	for i := range p.Dimensions {
		r[i] = s.byID[p.Dimensions[i].ID].reader
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
		}
		if cerr := t.rows.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("closing the dimension %s: %w", t.dimension.Definition.Name, cerr))
		}
	}
	s.tables = nil
	return err
}

// reader reads the dimensions of one pipeline, in their order.
type reader []*dimjoin.Reader

// Read implements experiments.Dimensions: all dimensions at the same time.
func (r reader) Read(ctx context.Context, lookups [][]dimjoin.Answer) error {
	var last int
	for i := range lookups {
		if len(lookups[i]) > 0 {
			last = i
		}
	}
	var wg sync.WaitGroup
	for i := range lookups[:last] {
		if len(lookups[i]) > 0 {
			wg.Go(func() { r[i].Read(ctx, lookups[i]) })
		}
	}
	r[last].Read(ctx, lookups[last])
	wg.Wait()
	return nil
}
