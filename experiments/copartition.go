package experiments

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Records that join must lie in one partition number of all topics. That is so
// when every topic is partitioned by partition_by with Kafka's default
// partitioner, and this can be seen in each record by itself: its partition is
// the one that its partition_by gives. So nothing has to be exchanged between
// tasks or workers, and a check costs a hash.

const (
	// checkedFirst is how many records of an input are all checked, from where a
	// task begins; of those that follow, about one in checkedEvery is.
	checkedFirst = 4096
	checkedBits  = 6 // checkedEvery is 2^checkedBits
)

// placement checks where the records of one input of a task lie.
type placement struct {
	source     string
	by         []string // its fields for partition_by
	partitions int      // of the topic; 0: nothing is checked
	shuffled   bool     // the topic is an internal one
	checked    int64
	wrong      int64 // of them, that lie elsewhere
	keyed      int64 // of those, whose own key is right
	byCRC      int64 // of those, where librdkafka's default partitioner puts them
	first      *MisplacedError
}

// placements are those of a task: by the number of partitions that topics had
// when the worker began, if partition is one of them. When it is not they have
// grown since, and what lies where is no longer to be told from a record.
func (p *Pipeline) placements(partition int32, partitions int) []placement {
	all := make([]placement, len(p.Sources))
	if int(partition) >= partitions {
		return all
	}
	for i := range p.Sources {
		s := p.Sources[i].Specs[0]
		if p.Sources[i].Shuffle == nil && p.Experiments[0].Join.Partitioner == "any" {
			continue
		}
		all[i] = placement{source: s.Name, by: PartitionFields(p.Experiments[0], s), partitions: partitions, shuffled: p.Sources[i].Shuffle != nil}
	}
	return all
}

// due reports whether the record at offset is to be checked: the same ones
// whenever they are read, whatever gaps transactions leave between offsets.
func (p *placement) due(offset int64) bool {
	return p.partitions > 1 && (p.checked < checkedFirst || uint64(offset)*0x9e3779b97f4a7c15>>(64-checkedBits) == 0)
}

// check looks at one record whose partition_by is key. One that turns out to be
// a dead letter may lie anywhere: bad input stops nothing.
func (p *placement) check(rec *mortise.Record, ev *clean.Event, whole *clean.Reader) {
	key := ev.PartitionKey
	want := PartitionOf(key, p.partitions)
	if want != int(rec.Partition) {
		if _, bad, err := whole.Decode(ev.Value); err != nil || ev.Accept&^bad == 0 {
			return
		}
	}
	p.checked++
	if want == int(rec.Partition) {
		return
	}
	p.wrong++
	if string(rec.Key) == string(key) {
		p.keyed++
		if int(crc32.ChecksumIEEE(key))%p.partitions == int(rec.Partition) {
			p.byCRC++
		}
	}
	if p.first == nil {
		p.first = &MisplacedError{TopicPartition: TopicPartition{rec.Topic, rec.Partition}, Offset: rec.Offset, Source: p.source, By: p.by, Key: string(key),
			RecordKey: bytes.Clone(rec.Key), Belongs: int32(want), Partitions: p.partitions, Shuffled: p.shuffled}
	}
}

// cause says what is known of why the records that were found lie elsewhere.
func (p *placement) cause() string {
	switch key := p.first.RecordKey; {
	case key == nil:
		return "it has no key"
	case string(key) != p.first.Key:
		return "its key is " + quoted(string(key))
	case p.byCRC == p.keyed:
		return "its key is right, but its producer partitions by CRC-32, librdkafka's default: set partitioner=murmur2_random there"
	}
	return "its key is right, but its producer has another partitioner, or the topic had fewer partitions then"
}

// err returns the first record that lies elsewhere, with how many do; nil when
// none does.
func (p *placement) err() error {
	if p.first == nil {
		return nil
	}
	p.first.Checked, p.first.Wrong, p.first.Cause = p.checked, p.wrong, p.cause()
	return p.first
}

// MisplacedError says that a record does not lie in the partition that its
// partition_by gives, so that what it joins with may lie in another.
type MisplacedError struct {
	TopicPartition
	Offset         int64
	Source         string
	By             []string // the source's fields for partition_by
	Key            string   // their value
	RecordKey      []byte   // the record's own key; nil when it has none
	Belongs        int32    // the partition for Key
	Partitions     int      // of the topic
	Shuffled       bool     // the topic is an internal one
	Cause          string   // what is known of why
	Checked, Wrong int64    // records of the partition that were checked so far, and that lie elsewhere
}

// Error names the record and the ways out.
func (e *MisplacedError) Error() string {
	by := strings.Join(e.By, ", ")
	if e.Shuffled {
		return fmt.Sprintf("%s[%d]@%d lies in partition %d, but its %s %s belongs in partition %d of %d (%d of %d records checked lie elsewhere): "+
			"the internal topic was written with another number of partitions; delete it and begin anew with another --group",
			e.Topic, e.Partition, e.Offset, e.Partition, by, quoted(e.Key), e.Belongs, e.Partitions, e.Wrong, e.Checked)
	}
	return fmt.Sprintf("%s[%d]@%d lies in partition %d, but its %s %s belongs in partition %d of %d; %s (%d of %d records checked lie elsewhere): "+
		"impressions and labels join only where equal keys lie in one partition number of all topics, so key %s by %s with Kafka's default partitioner, "+
		"or have it shuffled with `repartition: true` in the source %s; for topics that all have the same partitioner of their own, `join.partitioner: any` leaves this unchecked",
		e.Topic, e.Partition, e.Offset, e.Partition, by, quoted(e.Key), e.Belongs, e.Partitions, e.Cause, e.Wrong, e.Checked, e.Topic, by, e.Source)
}

// quoted quotes text, cut to a length that can be read.
func quoted(text string) string {
	if len(text) > 64 {
		return fmt.Sprintf("%q…", text[:64])
	}
	return fmt.Sprintf("%q", text)
}
