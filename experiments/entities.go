package experiments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// Where workers share the tiles of features, each entity has one of them that writes
// its tiles: a source whose topic is not keyed by the entity is shuffled, as sources
// of a join are, into an internal topic that is.

// FeatureShuffle is the way of a feature's source to its entities' partitions. base
// begins the names of the consumer group and the internal topic, and unique tells the
// way apart from any other that begins with it.
func FeatureShuffle(base, unique string, f *Feature) *Shuffle {
	const most = 100 // of the name within the 249 characters that a topic may have
	entity := f.Definition.Entity
	name := topicName(f.Source.Name + "-by-" + strings.Join(entity, "-"))
	name = fmt.Sprintf("%.*s-%.8s", most, name, shortHash(unique))
	return &Shuffle{Source: name, Origin: f.Source.Topic, Topic: topicName(base) + shuffleInfix + name,
		Group: base + shuffleInfix + name, By: entity, Experiment: f.Experiment, Spec: f.Source}
}

// ParseFeatureShuffle tells of a consumer group whether it is that of a FeatureShuffle
// whose base begins so: its name, and the internal topic.
func ParseFeatureShuffle(base, group string) (source, topic string, ok bool) {
	of, name, ok := strings.Cut(group, shuffleInfix)
	if !ok || !strings.HasPrefix(of, base) {
		return "", "", false
	}
	return name, topicName(of) + shuffleInfix + name, true
}

// TilesGroup is the consumer group that shares out the partitions of a topic whose
// features are kept under base.
func TilesGroup(base, topic string) string {
	return base + tilesInfix + strings.TrimPrefix(topic, topicName(base)+shuffleInfix)
}

const tilesInfix = ".tiles."

// KeyedBy reports whether the topic of a source is declared to be keyed by these
// fields of it, in this order, with Kafka's default partitioner.
func KeyedBy(e *spec.Experiment, s *spec.Source, fields []string) bool {
	if len(s.PartitionBy) > 0 {
		return slices.Equal(s.PartitionBy, fields)
	}
	return e.Joins(s.Name) && !s.Repartition && e.Join.Partitioner == "murmur2" && slices.Equal(PartitionFields(e, s), fields)
}

// Carried is what became of a record that was to be shuffled.
type Carried struct {
	TimeMS     int64 // its event time, which moves its origin's clock; joiner.NoTimeMS does not
	Send       bool  // it is to be sent on
	Unreadable bool
}
