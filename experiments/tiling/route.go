package tiling

import (
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

// Which task has an entity's tiles, where workers share a store: that of the
// partition that the entity's events lie in.

// anyTask says that an entity's tiles may lie in every task.
const anyTask = -1

// route returns which of a source's tasks has an entity's tiles, as a Reader asks for
// it; nil where nobody knows of any.
func (g *Generation) route() func(source int, entity []byte) int {
	for _, f := range g.feeds {
		if f.routed {
			return func(source int, entity []byte) int { return g.feeds[source].taskOf(entity, len(g.tasks[source])) }
		}
	}
	return nil
}

func (f *feed) taskOf(entity []byte, tasks int) int {
	switch {
	case !f.routed:
		return anyTask
	case f.way != nil:
		return experiments.PartitionOf(entity, tasks)
	case !features.IsWholeKey(entity):
		return anyTask
	}
	return experiments.PartitionOf(f.topicKey(entity), tasks)
}

// topicKey is the key that records of an entity have in a topic that is keyed by
// it: the entity's own but for a single text, which is not escaped there.
func (f *feed) topicKey(entity []byte) []byte {
	if !f.textKey {
		return entity
	}
	for i, c := range entity {
		if c == '\\' {
			return unescape(entity, i)
		}
	}
	return entity
}

func unescape(key []byte, from int) []byte {
	out := append(make([]byte, 0, len(key)), key[:from]...)
	for i := from; i < len(key); i++ {
		if key[i] == '\\' && i+1 < len(key) {
			i++
		}
		out = append(out, key[i])
	}
	return out
}

// How many records of a partition are checked to lie where their entity is: the
// first ones all, then about one in 2^checkedBits.
const (
	checkedFirst = 4096
	checkedBits  = 6
)

// placement checks that records lie where their entity is: that a topic is keyed by
// it, as its source declares, or that an internal one is as it was.
type placement struct {
	partition, partitions int
	checked               int64
	values                []mortise.Value
	key                   []byte
}

// due reports whether the record at offset is to be checked: the same ones whenever
// they are read.
func (p *placement) due(offset int64) bool {
	return p.partitions > 1 && (p.checked < checkedFirst || uint64(offset)*0x9e3779b97f4a7c15>>(64-checkedBits) == 0)
}

// checkRow looks at a record of the source's own topic.
func (p *placement) checkRow(f *feed, rec *mortise.Record, row mortise.Row) error {
	if !p.due(rec.Offset) {
		return nil
	}
	p.values = p.values[:0]
	for _, name := range f.entity {
		p.values = append(p.values, row[f.slot(name)])
	}
	var ok bool
	if p.key, ok = features.EntityKey(p.key[:0], p.values...); !ok {
		return nil
	}
	return p.check(f, rec, p.key)
}

// check looks at a record whose entity is given.
func (p *placement) check(f *feed, rec *mortise.Record, entity []byte) error {
	if !p.due(rec.Offset) {
		return nil
	}
	p.checked++
	want := f.taskOf(entity, p.partitions)
	if want == anyTask || want == p.partition {
		return nil
	}
	return &MisplacedError{Source: f.spec.Name, By: f.entity, TopicPartition: experiments.TopicPartition{Topic: f.topic, Partition: int32(p.partition)},
		Offset: rec.Offset, Entity: string(entity), Belongs: int32(want), Partitions: p.partitions, Shuffled: f.way != nil}
}

// MisplacedError says that a record does not lie in the partition of its entity,
// although its topic is declared to be keyed by it: features would be read in part.
type MisplacedError struct {
	experiments.TopicPartition
	Offset     int64
	Source     string
	By         []string // the entity's fields
	Entity     string
	Belongs    int32 // the partition of the entity
	Partitions int   // of the topic
	Shuffled   bool  // the topic is an internal one
}

// Error names the record and the ways out.
func (e *MisplacedError) Error() string {
	if e.Shuffled {
		return fmt.Sprintf("%s[%d]@%d lies in partition %d, but its %s %.64q belongs in partition %d of %d: the internal topic was written with another number of partitions; "+
			"begin with another prefix in feature_store, and the features are made anew", e.Topic, e.Partition, e.Offset, e.Partition, strings.Join(e.By, ", "), e.Entity, e.Belongs, e.Partitions)
	}
	return fmt.Sprintf("%s[%d]@%d lies in partition %d, but its %s %.64q belongs in partition %d of %d: the topic is not keyed by it with Kafka's default partitioner, as the source %s declares, "+
		"so features of one entity would be counted in several places and read from one; correct what the source's partition_by says, and they are shuffled; "+
		"a source that is joined has the join's: give it one of its own and repartition: true, or set join.partitioner: any",
		e.Topic, e.Partition, e.Offset, e.Partition, strings.Join(e.By, ", "), e.Entity, e.Belongs, e.Partitions, e.Source)
}
