package kafka

import (
	"encoding/binary"
	"math"
	"slices"
)

// What a member says of itself when it joins, beside Kafka's own metadata: the
// tasks whose state it has on disk. A version byte, then each task as the
// difference to the one before, less one, as an unsigned varint.
const warmVersion = 1

// maxWarm bounds what is read of one member.
const maxWarm = 1 << 16

func appendWarm(to []byte, tasks []int32) []byte {
	tasks = slices.Compact(slices.Sorted(slices.Values(tasks)))
	to = append(to, warmVersion)
	next := int64(0)
	for _, task := range tasks[:min(len(tasks), maxWarm)] {
		if task >= 0 {
			to = binary.AppendUvarint(to, uint64(int64(task)-next))
			next = int64(task) + 1
		}
	}
	return to
}

// parseWarm returns no tasks for what it can't read: another version may say
// something else, and being wrong costs a longer start only.
func parseWarm(data []byte) map[int32]bool {
	tasks := map[int32]bool{}
	if len(data) == 0 || data[0] != warmVersion {
		return tasks
	}
	next := uint64(0)
	for data = data[1:]; len(data) > 0; {
		step, n := binary.Uvarint(data)
		if n <= 0 || next > math.MaxInt32 || step > math.MaxInt32-next || len(tasks) == maxWarm {
			return map[int32]bool{}
		}
		tasks[int32(next+step)] = true
		next += step + 1
		data = data[n:]
	}
	return tasks
}
