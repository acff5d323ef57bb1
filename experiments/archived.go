package experiments

import (
	"slices"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
)

// Archive is the way of one experiment's rows from their topic into its Parquet
// dataset. The topic is the dataset's write-ahead log: a row is committed there
// once, with the offsets of what it was made from, and a part of the dataset is
// a range of its offsets.
type Archive struct {
	Experiment *spec.Experiment
	Columns    *instances.Columns
	Topic      string // the experiment's instances, or an internal topic where it has none
	Internal   bool
	Group      string // the consumer group that reads it
	Exp        int    // of the experiment within its pipeline

	registry Registry
}

// Archived returns the pipeline as the consumer group runs it: experiments that
// write Parquet alone put their rows into an internal topic. Without Parquet it
// is p.
func (p *Pipeline) Archived(group string) (*Pipeline, []*Archive) {
	var all []*Archive
	through := *p
	through.Experiments = slices.Clone(p.Experiments)
	for i, e := range p.Experiments {
		if !e.Output.Parquet {
			continue
		}
		suffix := ""
		if len(p.Experiments) > 1 {
			suffix = "." + e.Name
		}
		a := &Archive{Experiment: e, Columns: p.columns[i], Topic: e.Output.Topic, Group: group + ".parquet" + suffix, Exp: i, registry: p.registry}
		if a.Topic == "" {
			own := *e
			own.Output.Topic, own.Output.Format = topicName(group)+".rows"+suffix, "json"
			a.Topic, a.Internal = own.Output.Topic, true
			a.Experiment, through.Experiments[i] = &own, &own
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return p, nil
	}
	return &through, all
}

// NewDecoder returns a decoder of the topic's rows, to which FrameValue gives
// their values.
func (a *Archive) NewDecoder() (instances.Decoder, error) {
	if a.registry == nil {
		return NewRowDecoder(a.Experiment, a.Columns, nil)
	}
	return NewRowDecoder(a.Experiment, a.Columns, a.registry)
}
