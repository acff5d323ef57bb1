package experiments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// Shuffle is the way of one topic through an internal topic, in which its
// records lie where their partition_by puts them.
type Shuffle struct {
	Source string   // the source that gives it its name; of features, its name
	Origin string   // the topic that is read
	Topic  string   // the internal topic
	Group  string   // the consumer group that reads Origin
	By     []string // the source's fields for partition_by, or for an entity of features

	Experiment *spec.Experiment
	Spec       *spec.Source

	registry Registry
}

// shuffleInfix stands between the name of whose shuffle it is and its own.
const shuffleInfix = ".repartition."

// Repartitions reports whether any of the pipeline's sources is to be shuffled.
func (p *Pipeline) Repartitions() bool {
	return slices.ContainsFunc(p.Sources, func(in Input) bool { return in.Specs[0].Repartition })
}

// Shuffled returns the pipeline as the consumer group runs it: its shuffled
// sources are read from their internal topics, which the shuffles fill. Without
// such sources it is p.
func (p *Pipeline) Shuffled(group string) (*Pipeline, []*Shuffle) {
	if !p.Repartitions() {
		return p, nil
	}
	through := *p
	through.Sources = slices.Clone(p.Sources)
	var all []*Shuffle
	byWay := map[string]*Shuffle{} // sources of one topic that are shuffled alike share a way
	for i := range through.Sources {
		in := &through.Sources[i]
		s := in.Specs[0]
		if !s.Repartition {
			continue
		}
		by := PartitionFields(p.Experiments[0], s)
		way := fmt.Sprint(s.Topic, s.TimeField, s.TimeUnit, s.IdleAfter, s.MaxAhead, s.Clean, by, typesOf(s, by))
		sh := byWay[way]
		if sh == nil {
			name := topicName(group) + shuffleInfix + s.Name
			sh = &Shuffle{Source: s.Name, Origin: s.Topic, Topic: name, Group: group + shuffleInfix + s.Name, By: by, Experiment: p.Experiments[0], Spec: s, registry: p.registry}
			byWay[way] = sh
			all = append(all, sh)
		}
		in.Topic, in.Shuffle = sh.Topic, sh
	}
	return &through, all
}

func typesOf(s *spec.Source, names []string) (types []string) {
	row := s.Row()
	for _, name := range names {
		if i := row.Index(name); i >= 0 {
			types = append(types, row[i].Type.String())
		}
	}
	return types
}

// topicName is a consumer group's name as part of a topic's, which takes fewer
// characters. The + between experiments becomes two dots; a group of which the
// name does not tell any more is told apart by a hash.
func topicName(group string) string {
	const most = 120 // leaves room for a source's name within the 249 that a topic may have
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, strings.ReplaceAll(group, "+", ".."))
	if strings.ReplaceAll(name, "..", "+") == group && len(name) <= most {
		return name
	}
	return fmt.Sprintf("%.*s-%016x", most, name, xxh3.HashString(group))
}

// IsShuffleGroup reports whether a consumer group is that of a shuffle, and of
// which pipeline's group.
func IsShuffleGroup(group string) (of string, ok bool) {
	i := strings.LastIndex(group, shuffleInfix)
	if i < 0 {
		return "", false
	}
	return group[:i], true
}

// Tasks is how many tasks the pipeline has, one for each partition of the topics
// that it joins, whose partition counts are given. Those that are not shuffled
// must agree.
func (p *Pipeline) Tasks(counts map[string]int32) (int32, error) {
	var fixed *Input
	for i := range p.Sources {
		in := &p.Sources[i]
		switch {
		case in.Specs[0].Repartition:
		case fixed == nil:
			fixed = in
		case counts[in.Topic] != counts[fixed.Topic]:
			return 0, fmt.Errorf("topic %s has %d partitions and topic %s has %d: impressions and labels join only where equal keys lie in one partition number of all topics; "+
				"they need the same number: make one of them anew, or have it shuffled with `repartition: true` in its source (%s or %s)",
				fixed.Topic, counts[fixed.Topic], in.Topic, counts[in.Topic], fixed.Specs[0].Name, in.Specs[0].Name)
		}
	}
	if fixed != nil {
		return counts[fixed.Topic], nil
	}
	if n := p.Experiments[0].Join.Partitions; n > 0 {
		return int32(n), nil
	}
	return counts[p.Sources[0].Topic], nil
}
