package experiments

import (
	"fmt"
	"slices"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// PlanDescription is a plan for people and tools to read.
type PlanDescription struct {
	Pipelines []PipelineDescription `json:"pipelines"`
}

// PipelineDescription is one read, state and close, and the rows made from it.
type PipelineDescription struct {
	Experiments []string            `json:"experiments"`
	Apart       []Apart             `json:"apart,omitempty"`
	Sources     []SourceDescription `json:"sources"`
	Key         []string            `json:"key"`
	PartitionBy []string            `json:"partition_by"`
	Dedup       bool                `json:"dedup"`
	Delay       string              `json:"delay"`
	Late        string              `json:"late"`
	Windows     []WindowDescription `json:"windows"`
	State       []StateDescription  `json:"state"`

	Features   []FeatureGroupDescription `json:"features,omitempty"`
	Computed   []FeatureDescription      `json:"computed,omitempty"`
	Dimensions []DimensionDescription    `json:"dimensions,omitempty"`
	Instances  []InstanceDescription     `json:"instances"`
}

// Apart says why a pipeline is not shared with an earlier one.
type Apart struct {
	With string `json:"with"`
	Why  string `json:"why"`
}

// SourceDescription is one topic that is read.
type SourceDescription struct {
	Topic          string `json:"topic"`
	Role           string `json:"role"`
	EventTime      string `json:"event_time"`
	Unit           string `json:"unit"`
	OutOfOrderness string `json:"out_of_orderness"`
	IdleAfter      string `json:"idle_after"`
	MaxAhead       string `json:"max_ahead"`
	Shuffled       string `json:"shuffled,omitempty"` // through an internal topic: by these fields
}

// WindowDescription is one label window.
type WindowDescription struct {
	Topic  string `json:"topic"`
	Before string `json:"before"`
	Within string `json:"within"`
	On     string `json:"on"`
}

// StateDescription is one part of a task's state and how long it holds what.
type StateDescription struct {
	What  string `json:"what"`
	Holds string `json:"holds"`
}

// InstanceDescription is one experiment's rows.
type InstanceDescription struct {
	Experiment string              `json:"experiment"`
	Version    int                 `json:"version"`
	Config     string              `json:"config"`
	Topic      string              `json:"topic,omitempty"`
	Parquet    string              `json:"parquet,omitempty"` // the dataset's folder, as the file has it
	Format     string              `json:"format"`
	Emit       string              `json:"emit"`
	Negatives  float64             `json:"negatives"`
	SampleBy   string              `json:"sample_by"`
	Columns    []ColumnDescription `json:"columns"`
}

// ColumnDescription is one column of the instance.
type ColumnDescription struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Describe lays the plan out.
func (p *Plan) Describe() PlanDescription {
	var d PlanDescription
	for i, pl := range p.Pipelines {
		one := pl.describe()
		for _, earlier := range p.Pipelines[:i] {
			one.Apart = append(one.Apart, Apart{With: earlier.Name(), Why: difference(earlier.Experiments[0], pl.Experiments[0])})
		}
		d.Pipelines = append(d.Pipelines, one)
	}
	return d
}

func (p *Pipeline) describe() PipelineDescription {
	first := p.Experiments[0]
	d := PipelineDescription{Key: first.Join.Key, PartitionBy: first.Join.PartitionBy, Dedup: first.Join.Dedup,
		Delay: mortise.FormatDuration(first.Join.Delay), Late: first.Join.Late, State: p.describeState(),
		Features: p.describeFeatures(), Computed: p.describeComputed(), Dimensions: p.describeDimensions()}
	for i, in := range p.Sources {
		s := in.Specs[0]
		role := "labels"
		if i == 0 {
			role = "impressions"
		}
		shuffled := ""
		if s.Repartition {
			shuffled = strings.Join(PartitionFields(first, s), ", ")
		}
		d.Sources = append(d.Sources, SourceDescription{Shuffled: shuffled, Topic: in.ID, Role: role, EventTime: s.TimeField, Unit: s.TimeUnit,
			OutOfOrderness: mortise.FormatDuration(s.OutOfOrderness), IdleAfter: mortise.FormatDuration(s.IdleAfter), MaxAhead: mortise.FormatDuration(s.MaxAhead)})
	}
	for _, w := range p.Join.Windows {
		d.Windows = append(d.Windows, WindowDescription{Topic: p.Sources[w.Source].ID, Before: millis(w.BeforeMS), Within: millis(w.WithinMS),
			On: p.describeOn(w.Source, w.KeySet)})
	}
	for i, e := range p.Experiments {
		d.Experiments = append(d.Experiments, e.Name)
		d.Instances = append(d.Instances, p.describeInstance(i, e))
	}
	return d
}

func (p *Pipeline) describeOn(source, set int) string {
	mine, theirs := p.KeySets[set].Fields, p.Sources[source].Keys[set]
	var pairs []string
	for i := range mine {
		if mine[i] == theirs[i] {
			pairs = append(pairs, mine[i])
		} else {
			pairs = append(pairs, mine[i]+" = "+theirs[i])
		}
	}
	return strings.Join(pairs, ", ")
}

func (p *Pipeline) describeState() []StateDescription {
	o := &p.Join
	var before int64
	for _, w := range o.Windows {
		before = max(before, w.BeforeMS)
	}
	state := []StateDescription{
		{"impressions", fmt.Sprintf("raw values for %s, in segment files of %s of event time each, read once", millis(o.DelayMS), millis(o.BucketMS))},
		{"labels", fmt.Sprintf("an index of 32 bytes a label in memory, raw values on disk, for %s", millis(o.DelayMS+before+o.LateGraceMS))},
	}
	if o.Dedup {
		state = append(state, StateDescription{"keys seen", fmt.Sprintf("about 35 bytes of memory per impression closed within the last %s", millis(o.DelayMS*3/2))})
	}
	if o.Early {
		state = append(state, StateDescription{"pending keys", fmt.Sprintf("an index over the impressions of %s, for provisional rows", millis(o.DelayMS))})
	}
	return state
}

func (p *Pipeline) describeInstance(i int, e *spec.Experiment) InstanceDescription {
	d := InstanceDescription{Experiment: e.Name, Version: e.Version, Config: e.Hash, Topic: e.Output.Topic, Parquet: e.Output.ParquetOut.Path, Format: e.Output.Format,
		Emit: e.Instance.Emit, Negatives: e.Instance.Sample.Negatives, SampleBy: e.Instance.Sample.By}
	if d.SampleBy == "" {
		d.SampleBy = strings.Join(e.Join.Key, "|")
	}
	for _, f := range p.columns[i].Schema() {
		d.Columns = append(d.Columns, ColumnDescription{f.Name, f.Type.String()})
	}
	return d
}

// difference names the first thing that keeps two experiments apart.
func difference(a, b *spec.Experiment) string {
	x, y := source(a, a.Join.Main), source(b, b.Join.Main)
	switch {
	case x.Topic != y.Topic:
		return fmt.Sprintf("main stream %s, not %s", y.Topic, x.Topic)
	case fmt.Sprint(a.Join.Key, a.Join.PartitionBy) != fmt.Sprint(b.Join.Key, b.Join.PartitionBy):
		return fmt.Sprintf("key %v, not %v", b.Join.Key, a.Join.Key)
	case a.Join.Delay != b.Join.Delay:
		return fmt.Sprintf("delay %s, not %s", mortise.FormatDuration(b.Join.Delay), mortise.FormatDuration(a.Join.Delay))
	case fmt.Sprint(shuffledTopics(a)) != fmt.Sprint(shuffledTopics(b)):
		return fmt.Sprintf("shuffles %v, not %v", shuffledTopics(b), shuffledTopics(a))
	case a.Join.Partitioner != b.Join.Partitioner || a.Join.Partitions != b.Join.Partitions:
		return "another partitioner, or number of partitions"
	case a.Join.Dedup != b.Join.Dedup || a.Join.Late != b.Join.Late:
		return "another dedup or late policy"
	case (a.Instance.Emit == "at_close") != (b.Instance.Emit == "at_close"):
		return fmt.Sprintf("emit %s, not %s", b.Instance.Emit, a.Instance.Emit)
	case a.Output.Delivery != b.Output.Delivery:
		return fmt.Sprintf("delivery %s, not %s", b.Output.Delivery, a.Output.Delivery)
	case len(a.Join.Labels) != len(b.Join.Labels):
		return fmt.Sprintf("%d labels, not %d", len(b.Join.Labels), len(a.Join.Labels))
	}
	return "another label window, way of reading a source, or type of a field"
}

func shuffledTopics(e *spec.Experiment) (topics []string) {
	for i := range e.Sources {
		if s := &e.Sources[i]; s.Repartition {
			topics = append(topics, s.Topic)
		}
	}
	slices.Sort(topics)
	return topics
}

func millis(ms int64) string { return mortise.FormatDuration(time.Duration(ms) * time.Millisecond) }
