package backfill

import (
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
)

// lane is one stream of records, read for one or more inputs of the pipeline:
// those of one topic whose time and partition key are read alike.
type lane struct {
	topic  string // as the pipeline's copy calls it
	origin string // the topic of the experiment file
	inputs []int  // of Pipeline.Sources
	names  []string
	spec   *spec.Source
	main   bool

	// What is read, by event time: [fromMS, toMS).
	fromMS, toMS int64
}

// always is the range of all event times.
var always = Range{math.MinInt64, math.MaxInt64}

// Range is the event times [FromMS, ToMS), ms UTC.
type Range struct{ FromMS, ToMS int64 }

// newLanes divides the pipeline's inputs into lanes, the main stream's first, and
// returns the pipeline as it reads them.
func newLanes(p *experiments.Pipeline, r Range) (*experiments.Pipeline, []lane) {
	through := *p
	through.Sources = slices.Clone(p.Sources)
	through.Join.FromMS = r.FromMS
	if r.ToMS != always.ToMS {
		through.Join.ToMS = r.ToMS
	}
	var lanes []lane
	ways := map[string]int{}
	topics := map[string]int{}
	for i := range through.Sources {
		in := &through.Sources[i]
		s := in.Specs[0]
		way := wayOf(p.Experiments[0], s)
		at, ok := ways[way]
		if !ok {
			at = len(lanes)
			ways[way] = at
			l := lane{topic: s.Topic, origin: s.Topic, spec: s, fromMS: math.MaxInt64, toMS: math.MinInt64}
			if topics[s.Topic]++; topics[s.Topic] > 1 {
				l.topic = fmt.Sprintf("%s#%d", s.Topic, topics[s.Topic])
			}
			lanes = append(lanes, l)
		}
		l := &lanes[at]
		in.Topic = l.topic
		l.inputs = append(l.inputs, i)
		for _, s := range in.Specs {
			if !slices.Contains(l.names, s.Name) {
				l.names = append(l.names, s.Name)
			}
		}
		l.main = l.main || i == through.Join.Main
		l.widen(readRange(&through.Join, i, r))
	}
	return &through, lanes
}

// Reads says which event times have to be read of each source for the impressions
// of a range.
func Reads(p *experiments.Pipeline, r Range) map[string]Range {
	all := map[string]Range{}
	_, lanes := newLanes(p, r)
	for i := range lanes {
		for _, name := range lanes[i].names {
			all[name] = Range{lanes[i].fromMS, lanes[i].toMS}
		}
	}
	return all
}

// wayOf spells how a source's records are read: those of equal ways have equal
// times and keys.
func wayOf(e *spec.Experiment, s *spec.Source) string {
	by := experiments.PartitionFields(e, s)
	way := fmt.Sprintf("%q %q %q %q %q %q %s", s.Topic, s.Format, s.TimeField, s.TimeUnit, s.Clean, by, s.MaxAhead)
	row := s.Row()
	for _, name := range by {
		if i := row.Index(name); i >= 0 {
			way += " " + row[i].Type.String()
		}
	}
	for _, d := range s.Derive {
		way += fmt.Sprintf(" %s=%q", d.Name, d.Program.Source())
	}
	return way
}

func (l *lane) widen(r Range) { l.fromMS, l.toMS = min(l.fromMS, r.FromMS), max(l.toMS, r.ToMS) }

// readRange is what has to be read of an input for the impressions of r: of the
// main stream what dedup looks back at, of labels what lies in their windows.
func readRange(o *joiner.Options, input int, r Range) Range {
	if input == o.Main {
		return Range{back(r.FromMS, o.DedupReachMS()), r.ToMS}
	}
	var beforeMS, withinMS int64
	for _, w := range o.Windows {
		if w.Source == input {
			beforeMS, withinMS = max(beforeMS, w.BeforeMS), max(withinMS, w.WithinMS)
		}
	}
	return Range{back(r.FromMS, beforeMS), -back(-r.ToMS, withinMS)}
}

// back is ms less by, where ms is a bound at all.
func back(ms, byMS int64) int64 {
	if ms == math.MinInt64 || -ms == math.MaxInt64 {
		return ms
	}
	return ms - byMS
}
