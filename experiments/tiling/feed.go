package tiling

import (
	"errors"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// feed reads the records of one source as features see them: cleaned, filtered,
// with their derived fields.
type feed struct {
	name   string   // in the generation, and of its tasks: Feature.SourceID and, where workers share the tiles, the entity
	topic  string   // that is read
	entity []string // of the features, where workers share the tiles
	spec   *spec.Source
	owner  *spec.Experiment // whose the spec is
	source *clean.Source
	reader *clean.Reader
	event  clean.Event

	way     *experiments.Shuffle // fills topic; nil where that is the source's own
	parcel  *parcel              // of what comes on the way
	row     mortise.Row          // of a parcel
	routed  bool                 // an entity's tiles lie in the task of its partition
	textKey bool                 // the entity is a single text
}

func newFeed(f *experiments.Feature) (*feed, error) {
	s := f.Source
	opts := clean.Options{Name: s.Name, TimeField: s.TimeField, TimeUnit: s.TimeUnit, Strict: true,
		Experiments: []clean.Experiment{{Fields: s.Fields, From: s.From, Where: s.Where}}}
	for _, d := range s.Derive {
		opts.Experiments[0].Derive = append(opts.Experiments[0].Derive, clean.Derived{Name: d.Name, Program: d.Program})
	}
	if s.Clean != "" {
		fn, ok := clean.Lookup(s.Clean)
		if !ok {
			return nil, fmt.Errorf("%s: source %s: clean function %q is not registered", f.Experiment.Path, s.Name, s.Clean)
		}
		opts.Clean = fn
	}
	var err error
	if opts.Format, err = f.Format(); err != nil {
		return nil, fmt.Errorf("%s: source %s: %w", f.Experiment.Path, s.Name, err)
	}
	src, err := clean.New(opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Experiment.Path, err)
	}
	return &feed{name: f.SourceID, topic: s.Topic, spec: s, owner: f.Experiment, source: src, reader: src.NewReader()}, nil
}

// copy is the feed for another goroutine.
func (f *feed) copy() *feed {
	own := *f
	own.reader, own.event = f.source.NewReader(), clean.Event{}
	if f.parcel != nil {
		own.row = make(mortise.Row, len(f.parcel.fields))
	}
	return &own
}

// take reads one record at wall time nowMS. An event too far ahead of it, which
// would make tiles final before their time, is refused, as the join does. Its row is valid until the next call, and nil where the
// source's `where` leaves the record out. The error is a *mortise.RecordError.
func (f *feed) take(rec *mortise.Record, nowMS int64) (timeMS int64, row mortise.Row, err error) {
	if err := f.reader.Intake(rec, &f.event); err != nil {
		return 0, nil, err
	}
	timeMS = f.event.TimeMS
	if ahead := f.spec.MaxAhead; timeMS > nowMS+ahead.Milliseconds() {
		return 0, nil, &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: f.spec.TimeField,
			Detail: fmt.Sprintf("the event lies more than %s ahead of now (max_ahead)", mortise.FormatDuration(ahead))}
	}
	if f.event.Bad != 0 {
		return timeMS, nil, f.reader.Fault(0)
	}
	if f.event.Accept == 0 {
		return timeMS, nil, nil
	}
	row, bad, err := f.reader.Decode(f.event.Value)
	if err == nil && bad != 0 {
		err = f.reader.Fault(0)
	}
	if err != nil {
		return timeMS, nil, err
	}
	return timeMS, row, nil
}

// slot finds a field in the rows that tasks get.
func (f *feed) slot(field string) int {
	if f.parcel != nil {
		return f.parcel.slot(field)
	}
	return f.source.Slot(0, field)
}

// letter is the dead letter of a record that cannot be read; nil where it is no
// fault of the record's.
func (f *feed) letter(rec *mortise.Record, err error) *mortise.DeadLetter {
	why, ok := errors.AsType[*mortise.RecordError](err)
	if !ok || !why.Reason.IsDeadLetter() {
		return nil
	}
	return &mortise.DeadLetter{Experiment: f.owner.Name, Source: f.spec.Name, Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Reason: why.Reason, Detail: why.Error(), Raw: rec.Value}
}
