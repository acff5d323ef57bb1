package kafka

import "github.com/mortise-dev/mortise/experiments"

// PartitionOf is experiments.PartitionOf, by which a Publisher places records.
func PartitionOf(key []byte, n int) int { return experiments.PartitionOf(key, n) }
