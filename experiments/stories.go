package experiments

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Story is what became of one event, and why.
type Story struct {
	Source string `json:"source"`
	Offset int64  `json:"offset"` // its place among the source's records, from 0
	TimeMS int64  `json:"time_ms"`
	Key    string `json:"key"` // the join key; empty when it cannot be read
	Raw    string `json:"raw"`
	Steps  []Step `json:"steps"`
}

// Step is one thing that happened to an event.
type Step struct {
	What       string           `json:"what"` // taken_in | dropped | attached | emitted | provisional | unmatched | late
	Experiment string           `json:"experiment,omitempty"`
	Why        string           `json:"why,omitempty"`
	With       string           `json:"with,omitempty"` // the other event of an attachment
	Row        json.RawMessage  `json:"row,omitempty"`
	Folder     string           `json:"folder,omitempty"`     // of a dataset, that the row lies in
	Dimensions []DimensionStory `json:"dimensions,omitempty"` // of the row
	Features   []FeatureStory   `json:"features,omitempty"`   // of the row, after ExplainRows
}

// Stories collects the story of every event of one pipeline's run over one
// partition. It holds them all: it is for samples.
type Stories struct {
	pipeline *Pipeline
	main     *clean.Source
	readers  []*clean.Reader
	byEvent  map[eventID]*Story
	order    []*Story
	awaiting map[string][]awaited // per output topic: emissions whose rows have not come by yet
}

type eventID struct {
	source int
	offset int64
}

type awaited struct {
	story *Story
	step  int
}

// NewStories prepares for one run of p.
func NewStories(p *Pipeline) (*Stories, error) {
	cleaners, err := p.cleaners()
	if err != nil {
		return nil, err
	}
	s := &Stories{pipeline: p, byEvent: map[eventID]*Story{}, awaiting: map[string][]awaited{}, main: cleaners[p.Join.Main]}
	for _, c := range cleaners {
		s.readers = append(s.readers, c.NewReader())
	}
	return s, nil
}

// Trace takes what the join tells; it is a worker's Trace.
func (s *Stories) Trace(_ int32, t joiner.Trace) {
	story := s.of(t.Event)
	switch t.Fate {
	case joiner.TakenIn:
		s.tell(story, t.Mask, Step{What: "taken_in", Why: s.held(t.Event)})
	case joiner.Dropped:
		mask := t.Mask
		for exp := range s.pipeline.Experiments {
			if mask>>exp&1 != 0 && s.retracted(story, exp, t.Reason.String()) {
				mask &^= 1 << exp
			}
		}
		if mask != 0 {
			s.tell(story, mask, Step{What: "dropped", Why: t.Reason.String()})
		}
	case joiner.Unmatched:
		s.tell(story, t.Mask, Step{What: "unmatched", Why: "no impression of its key had it in its window"})
	case joiner.LateLabel:
		s.tell(story, t.Mask, Step{What: "late", Why: "it came when the windows it could fall into had closed"})
	case joiner.Matched:
		s.attach(story, s.of(t.Impression), t)
	case joiner.Emitted:
		s.emitted(story, t)
	}
}

func (s *Stories) of(e *joiner.Entry) *Story {
	id := eventID{int(e.Source), e.Offset}
	if story := s.byEvent[id]; story != nil {
		return story
	}
	story := &Story{Source: s.pipeline.Sources[e.Source].Specs[0].Name, Offset: e.Offset, TimeMS: e.TimeMS, Raw: string(e.Value)}
	r := s.readers[e.Source]
	if row, _, err := r.Decode(e.Value); err == nil {
		if key, err := r.Key(0, row, nil); err == nil {
			story.Key = string(key)
		}
	}
	s.byEvent[id] = story
	s.order = append(s.order, story)
	return story
}

// tell adds a step for each experiment concerned, or one for all.
func (s *Stories) tell(story *Story, mask uint32, step Step) {
	n := len(s.pipeline.Experiments)
	if mask &= uint32(1<<n - 1); bits.OnesCount32(mask) == n {
		story.Steps = append(story.Steps, step)
		return
	}
	for ; mask != 0; mask &= mask - 1 {
		step.Experiment = s.pipeline.Experiments[bits.TrailingZeros32(mask)].Name
		story.Steps = append(story.Steps, step)
	}
}

func (s *Stories) held(e *joiner.Entry) string {
	if int(e.Source) != s.pipeline.Join.Main {
		return ""
	}
	return "held until " + time.UnixMilli(e.TimeMS+s.pipeline.Join.DelayMS).UTC().Format(time.RFC3339Nano)
}

func (s *Stories) attach(label, imp *Story, t joiner.Trace) {
	for mask := t.Mask & uint32(1<<len(s.pipeline.Experiments)-1); mask != 0; mask &= mask - 1 {
		exp := bits.TrailingZeros32(mask)
		e := s.pipeline.Experiments[exp]
		def := slices.Index(s.pipeline.windows[exp], t.Window)
		if def < 0 {
			continue
		}
		after := time.Duration(label.TimeMS-imp.TimeMS) * time.Millisecond
		name := e.Join.Labels[def].Name
		why := fmt.Sprintf("label %s, %s after the impression", name, after)
		if after < 0 {
			why = fmt.Sprintf("label %s, %s before the impression", name, -after)
		}
		label.Steps = append(label.Steps, Step{What: "attached", Experiment: e.Name, Why: why, With: fmt.Sprintf("%s@%d", imp.Source, imp.Offset)})
		imp.Steps = append(imp.Steps, Step{What: "attached", Experiment: e.Name, Why: why, With: fmt.Sprintf("%s@%d", label.Source, label.Offset)})
	}
}

func (s *Stories) emitted(story *Story, t joiner.Trace) {
	for mask := t.Mask; mask != 0; mask &= mask - 1 {
		e := s.pipeline.Experiments[bits.TrailingZeros32(mask)]
		step := Step{What: "emitted", Experiment: e.Name, Why: "in " + e.Output.Topic, Folder: folderOf(e, story.TimeMS)}
		if e.Output.Topic == "" {
			step.Why = "as Parquet"
		}
		if t.Emission.Provisional {
			step.What = "provisional"
		}
		if t.Emission.Late {
			step.Why += ", late: its window had closed when it came"
		}
		s.awaiting[e.Output.Topic] = append(s.awaiting[e.Output.Topic], awaited{story, len(story.Steps)})
		story.Steps = append(story.Steps, step)
	}
}

// folderOf is where a row lies in the experiment's dataset, or in that of a backfill.
func folderOf(e *spec.Experiment, timeMS int64) string {
	o := dataset.Options{}
	if e.Output.Parquet {
		o.Partition = e.Output.ParquetOut.Partition
	}
	o.EnsureDefaults()
	return o.Folder(timeMS)
}

// Produced takes what the worker puts out, in order, and adds each row to the
// story of its impression.
func (s *Stories) Produced(o *Output) {
	queue := s.awaiting[o.Topic]
	if len(queue) == 0 {
		return // a dead letter: its reason is told already
	}
	queue[0].story.Steps[queue[0].step].Row = slices.Clone(o.Value)
	s.awaiting[o.Topic] = queue[1:]
}

// All returns the stories in the order in which the events came.
func (s *Stories) All() []*Story { return s.order }
