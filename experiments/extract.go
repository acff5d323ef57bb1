package experiments

import (
	"errors"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Extractor reads the event time and the partition key of one source's raw
// lines, for publishing them. One goroutine uses it.
type Extractor struct {
	reader  *clean.Reader
	record  mortise.Record
	event   clean.Event
	nowMS   func() int64 // nil: any time will do
	aheadMS int64
	fatal   error
}

// NewExtractor makes one for the lines of files in place of a source of e, which
// are JSON whatever the format of its topic; a clean function that it names must
// be registered. Times that lie further ahead of nowMS than the source allows are
// not readable; a nil nowMS allows all. Keys are those by which records join.
func NewExtractor(e *spec.Experiment, s *spec.Source, nowMS func() int64) (*Extractor, error) {
	return newExtractor(e, s, PartitionFields(e, s), nil, nowMS)
}

// NewPublishExtractor is NewExtractor, but keys are those of the source's topic.
func NewPublishExtractor(e *spec.Experiment, s *spec.Source, nowMS func() int64) (*Extractor, error) {
	return newExtractor(e, s, TopicKey(e, s), nil, nowMS)
}

// NewExtractor makes one for the records of a source, in its topic's format, or
// as the pipeline reads files in its place.
func (p *Pipeline) NewExtractor(s *spec.Source, nowMS func() int64) (*Extractor, error) {
	format, err := p.format(s)
	if err != nil {
		return nil, fmt.Errorf("%s: source %s: %w", p.Experiments[0].Path, s.Name, err)
	}
	return newExtractor(p.Experiments[0], s, PartitionFields(p.Experiments[0], s), format, nowMS)
}

// NewExtractor makes one for the records that are shuffled.
func (sh *Shuffle) NewExtractor(nowMS func() int64) (*Extractor, error) {
	format, err := formatOf(sh.Spec, sh.registry)
	if err != nil {
		return nil, fmt.Errorf("%s: source %s: %w", sh.Experiment.Path, sh.Spec.Name, err)
	}
	return newExtractor(sh.Experiment, sh.Spec, sh.By, format, nowMS)
}

func newExtractor(e *spec.Experiment, s *spec.Source, by []string, format clean.Format, nowMS func() int64) (*Extractor, error) {
	opts := clean.Options{Name: s.Name, TimeField: s.TimeField, TimeUnit: s.TimeUnit, PartitionBy: by,
		Format: format, Experiments: []clean.Experiment{{Fields: s.Fields, From: s.From}}}
	for _, d := range s.Derive {
		opts.Experiments[0].Derive = append(opts.Experiments[0].Derive, clean.Derived{Name: d.Name, Program: d.Program})
	}
	if s.Clean != "" {
		fn, ok := clean.Lookup(s.Clean)
		if !ok {
			return nil, fmt.Errorf("%s: source %s: clean function %q is not registered", e.Path, s.Name, s.Clean)
		}
		opts.Clean = fn
	}
	c, err := clean.New(opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	return &Extractor{reader: c.NewReader(), record: mortise.Record{Topic: s.Topic}, nowMS: nowMS, aheadMS: s.MaxAhead.Milliseconds()}, nil
}

// Extract returns the line's event time and, if it has one, the key that its
// topic is partitioned by; false when the line has no readable time. The key is
// valid until the next call.
func (x *Extractor) Extract(line []byte) (timeMS int64, key []byte, ok bool) {
	x.record.Value = line
	return x.Read(&x.record)
}

// Read is Extract for a record, which a clean function may look at as a whole. A
// record that cannot be read for reasons that are not its own makes Err tell.
func (x *Extractor) Read(rec *mortise.Record) (timeMS int64, key []byte, ok bool) {
	err := x.reader.Intake(rec, &x.event)
	if x.nowMS != nil && x.event.TimeMS > x.nowMS()+x.aheadMS {
		return 0, nil, false
	}
	if err == nil {
		return x.event.TimeMS, x.event.PartitionKey, true
	}
	var why *mortise.RecordError
	switch isFault := errors.As(err, &why); {
	case !isFault:
		x.fatal = err
	case why.Reason == mortise.ReasonMissingKey:
		return x.event.TimeMS, nil, true
	}
	return 0, nil, false
}

// Err returns why a record could not be read, when that was no fault of its own
// and may be over another time, such as a schema registry that does not answer.
func (x *Extractor) Err() error { return x.fatal }

// PartitionFields names the source's own fields that its topic is keyed by:
// partition_by as the main stream names it, through a label's `on` where it
// says otherwise.
func PartitionFields(e *spec.Experiment, s *spec.Source) []string {
	by := e.Join.PartitionBy
	if s.Name == e.Join.Main {
		return by
	}
	for i := range e.Join.Labels {
		l := &e.Join.Labels[i]
		if l.Source != s.Name {
			continue
		}
		var own []string
		for _, name := range by {
			for _, pair := range l.On {
				if pair.Main == name {
					own = append(own, pair.Label)
					break
				}
			}
		}
		if len(own) == len(by) {
			return own
		}
	}
	var declared []string
	for _, name := range by {
		if s.Fields.Index(name) >= 0 {
			declared = append(declared, name)
		}
	}
	return declared
}

// TopicKey names the source's own fields that its topic is keyed by: its
// partition_by, otherwise the join's.
func TopicKey(e *spec.Experiment, s *spec.Source) []string {
	if len(s.PartitionBy) > 0 {
		return s.PartitionBy
	}
	return PartitionFields(e, s)
}
