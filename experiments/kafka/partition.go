package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// PartitionOf is experiments.PartitionOf, by which a Publisher places records.
func PartitionOf(key []byte, n int) int { return experiments.PartitionOf(key, n) }

// placing is a partitioner that leaves the records of some topics where they say.
type placing struct {
	kgo.Partitioner
	topics []string
}

// ForTopic implements kgo.Partitioner.
func (p placing) ForTopic(topic string) kgo.TopicPartitioner {
	if slices.Contains(p.topics, topic) {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return p.Partitioner.ForTopic(topic)
}
