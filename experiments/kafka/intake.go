package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// intake takes whatever the client has fetched and hands it out partition by
// partition, a share each. What a paused partition brought stays here.
type intake struct {
	client    *kgo.Client
	ends      endWatch
	holdBytes int
	lanes     []*lane
	byTopic   map[string][]*lane // indexed by partition; nil where not owned
	first     int                // the lane that is served first, in turn
	paused    []experiments.TopicPartition

	fetched []experiments.Fetched // reused
	records []mortise.Record      // reused
	headers []mortise.Header      // of records; reused
}

// lane is one partition's queue.
type lane struct {
	tp     experiments.TopicPartition
	queue  [][]*kgo.Record // fetched, in order, control records included
	count  int             // records in queue
	bytes  int             // of them; counted while paused only
	next   int64           // the offset after what was handed out
	end    int64           // last stable offset as last seen
	asOf   time.Time       // when a broker said so last
	due    bool            // report it even without records
	paused bool
	held   bool // the client has stopped fetching it
	quota  int
}

func newIntake(client *kgo.Client, admin *Admin, holdBytes int) *intake {
	return &intake{client: client, ends: endWatch{ask: admin.ends}, holdBytes: holdBytes, byTopic: map[string][]*lane{}}
}

func (in *intake) close() {
	in.ends.close()
	in.client.Close()
}

// add begins to read lanes; each is reported by the next take.
func (in *intake) add(lanes []*lane) {
	at := map[string]map[int32]kgo.Offset{}
	for _, l := range lanes {
		if at[l.tp.Topic] == nil {
			at[l.tp.Topic] = map[int32]kgo.Offset{}
		}
		at[l.tp.Topic][l.tp.Partition] = kgo.NewOffset().At(l.next)
		byPartition := in.byTopic[l.tp.Topic]
		if n := int(l.tp.Partition) + 1; n > len(byPartition) {
			byPartition = append(byPartition, make([]*lane, n-len(byPartition))...)
		}
		byPartition[l.tp.Partition] = l
		in.byTopic[l.tp.Topic] = byPartition
		l.due = true
	}
	in.lanes = append(in.lanes, lanes...)
	slices.SortFunc(in.lanes, func(a, b *lane) int { return compareParts(a.tp, b.tp) })
	in.client.AddConsumePartitions(at)
}

// remove stops reading partitions, those that are not read too, and forgets what
// they brought.
func (in *intake) remove(parts []experiments.TopicPartition) {
	var gone []*lane
	for _, tp := range parts {
		if l := in.lane(tp.Topic, tp.Partition); l != nil {
			gone = append(gone, l)
			in.byTopic[tp.Topic][tp.Partition] = nil
		}
	}
	if len(gone) == 0 {
		return
	}
	in.resume(gone) // the client keeps what is paused beyond its reading
	from := map[string][]int32{}
	for _, l := range gone {
		from[l.tp.Topic] = append(from[l.tp.Topic], l.tp.Partition)
	}
	in.client.RemoveConsumePartitions(from)
	in.lanes = slices.DeleteFunc(in.lanes, func(l *lane) bool { return slices.Contains(gone, l) })
	in.paused = slices.DeleteFunc(in.paused, func(tp experiments.TopicPartition) bool { return in.lane(tp.Topic, tp.Partition) == nil })
}

// removeAll stops reading altogether.
func (in *intake) removeAll() {
	parts := make([]experiments.TopicPartition, 0, len(in.lanes))
	for _, l := range in.lanes {
		parts = append(parts, l.tp)
	}
	in.remove(parts)
}

func (in *intake) lane(topic string, partition int32) *lane {
	if lanes := in.byTopic[topic]; int(partition) < len(lanes) && partition >= 0 {
		return lanes[partition]
	}
	return nil
}

// ready reports whether take would return something.
func (in *intake) ready() bool {
	for _, l := range in.lanes {
		if l.due || l.count > 0 && !l.paused {
			return true
		}
	}
	return false
}

// fill takes all that the client has, waiting until ctx ends for a first record
// (not at all with a nil ctx).
func (in *intake) fill(ctx context.Context) error {
	fetches := in.client.PollFetches(ctx)
	for i := range fetches {
		for j := range fetches[i].Topics {
			topic := &fetches[i].Topics[j]
			for k := range topic.Partitions {
				p := &topic.Partitions[k]
				if l := in.lane(topic.Topic, p.Partition); l != nil && errors.Is(p.Err, kerr.OffsetOutOfRange) {
					return l.outOfRange()
				}
				if p.Err != nil {
					if err := fetchError(topic.Topic, p); err != nil {
						return err
					}
					continue
				}
				if l := in.lane(topic.Topic, p.Partition); l != nil {
					in.queue(l, p)
				}
			}
		}
	}
	return nil
}

// outOfRangeError says that a log does not hold what a lane was about to read.
type outOfRangeError struct {
	tp   experiments.TopicPartition
	need int64
}

// Error says what happened.
func (e *outOfRangeError) Error() string {
	return fmt.Sprintf("reading %s/%d: offset %d is not in the topic any more: retention removed it while it was being read, or the topic was made anew",
		e.tp.Topic, e.tp.Partition, e.need)
}

func (l *lane) outOfRange() error {
	need := l.next
	for _, records := range l.queue {
		need = records[len(records)-1].Offset + 1
	}
	return &outOfRangeError{l.tp, need}
}

func (in *intake) queue(l *lane, p *kgo.FetchPartition) {
	l.end = max(l.end, stableEnd(p.LastStableOffset, p.HighWatermark))
	if len(p.Records) == 0 {
		return
	}
	l.queue = append(l.queue, p.Records)
	l.count += len(p.Records)
	if l.paused {
		in.hold(l, p.Records)
	}
}

// hold counts what a paused lane keeps and stops fetching it when that is enough.
func (in *intake) hold(l *lane, records []*kgo.Record) {
	for _, r := range records {
		l.bytes += len(r.Key) + len(r.Value)
	}
	if l.bytes >= in.holdBytes && !l.held {
		l.held = true
		in.client.PauseFetchPartitions(map[string][]int32{l.tp.Topic: {l.tp.Partition}})
	}
}

// setPaused makes exactly parts paused.
func (in *intake) setPaused(parts []experiments.TopicPartition) {
	if len(parts) == 0 && len(in.paused) == 0 {
		return
	}
	in.paused = append(in.paused[:0], parts...)
	var resumed []*lane
	for _, l := range in.lanes {
		paused := slices.Contains(parts, l.tp)
		switch {
		case paused && !l.paused:
			l.bytes = 0
			l.paused = true
			for _, records := range l.queue {
				in.hold(l, records)
			}
		case !paused && l.paused:
			l.paused = false
			resumed = append(resumed, l)
		}
	}
	in.resume(resumed)
}

// resume has the client fetch lanes again that it had stopped.
func (in *intake) resume(lanes []*lane) {
	var parts map[string][]int32
	for _, l := range lanes {
		if l.held {
			l.held = false
			if parts == nil {
				parts = map[string][]int32{}
			}
			parts[l.tp.Topic] = append(parts[l.tp.Topic], l.tp.Partition)
		}
	}
	if parts != nil {
		in.client.ResumeFetchPartitions(parts)
	}
}

// take hands out at most limit records, of every partition its share and what
// others leave. The result is valid until the next call.
func (in *intake) take(limit int) []experiments.Fetched {
	total := in.share(limit)
	in.fetched, in.headers = in.fetched[:0], in.headers[:0]
	in.records = slices.Grow(in.records[:0], total) // no growth while slices of it are handed out
	for i := range in.lanes {
		if l := in.lanes[(in.first+i)%len(in.lanes)]; l.due || l.quota > 0 {
			in.emit(l)
		}
	}
	if len(in.lanes) > 0 {
		in.first = (in.first + 1) % len(in.lanes)
	}
	return in.fetched
}

// share sets each lane's quota and returns their sum: first an equal part each,
// then what is left, in turn.
func (in *intake) share(limit int) (total int) {
	active := 0
	for _, l := range in.lanes {
		if l.quota = 0; l.count > 0 && !l.paused {
			active++
		}
	}
	if active == 0 {
		return 0
	}
	part := max(limit/active, 1)
	for range 2 {
		for i := range in.lanes {
			l := in.lanes[(in.first+i)%len(in.lanes)]
			if l.paused {
				continue
			}
			more := min(part, l.count-l.quota, limit-total)
			l.quota += more
			total += more
		}
		part = limit
	}
	return total
}

// emit moves a lane's quota into the result, and the control records behind it,
// so that next reaches the end of a transaction together with its last record.
func (in *intake) emit(l *lane) {
	from := len(in.records)
	for len(l.queue) > 0 {
		chunk := l.queue[0]
		used := 0
		for _, r := range chunk {
			if !r.Attrs.IsControl() {
				if l.quota == 0 {
					break
				}
				in.records = append(in.records, mortise.Record{Topic: l.tp.Topic, Partition: l.tp.Partition, Offset: r.Offset,
					TimestampMS: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: in.headersOf(r)})
			}
			l.quota = max(l.quota-1, 0)
			l.next = r.Offset + 1
			used++
		}
		l.count -= used
		if used < len(chunk) {
			l.queue[0] = chunk[used:]
			break
		}
		l.queue[0] = nil
		l.queue = l.queue[1:]
	}
	l.due, l.quota = false, 0
	l.end = max(l.end, l.next)
	in.fetched = append(in.fetched, experiments.Fetched{TopicPartition: l.tp, Records: in.records[from:len(in.records):len(in.records)],
		Next: l.next, HighWatermark: l.end, EndAsOfMS: l.asOf.UnixMilli()})
}

// headersOf lists a record's headers in room that is reused. Where the room
// grows, what was listed before keeps the old one.
func (in *intake) headersOf(r *kgo.Record) []mortise.Header {
	if len(r.Headers) == 0 {
		return nil
	}
	from := len(in.headers)
	for i := range r.Headers {
		in.headers = append(in.headers, mortise.Header{Key: r.Headers[i].Key, Value: r.Headers[i].Value})
	}
	return in.headers[from:len(in.headers):len(in.headers)]
}

// learnEnds notes newer ends.
func (in *intake) learnEnds(ends map[experiments.TopicPartition]int64) {
	for tp, end := range ends {
		if l := in.lane(tp.Topic, tp.Partition); l != nil {
			l.end = max(l.end, end)
		}
	}
}

// stableEnd is what a read_committed reader can get to.
func stableEnd(lastStable, highWatermark int64) int64 {
	if lastStable >= 0 {
		return lastStable
	}
	return highWatermark
}
