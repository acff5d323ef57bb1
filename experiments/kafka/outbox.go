package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// TooLargeError says that a topic does not take a record of this size.
type TooLargeError struct {
	Topic      string
	Key        []byte
	SizeBytes  int
	LimitBytes int // 0 when the broker refused without a known limit
}

// Unwrap makes it experiments.ErrTooLarge to a worker.
func (e *TooLargeError) Unwrap() error { return experiments.ErrTooLarge }

// Error names the record and the setting to raise.
func (e *TooLargeError) Error() string {
	key := e.Key
	more := ""
	if len(key) > 64 {
		key, more = key[:64], "…"
	}
	msg := fmt.Sprintf("a record of %d bytes with key %q%s is too large for topic %s", e.SizeBytes, key, more, e.Topic)
	if e.LimitBytes > 0 {
		msg += fmt.Sprintf(", which takes %d", e.LimitBytes)
	}
	return msg + ": raise the topic's max.message.bytes"
}

// timestampError says that a topic does not take a record's timestamp. From then on
// its records are dated when they are written.
type timestampError struct {
	topic string
	at    time.Time
	again bool // it was dated so already
}

// Error names the settings.
func (e *timestampError) Error() string {
	return fmt.Sprintf("topic %s does not take the timestamp %s: raise its message.timestamp.after.max.ms (the future) or message.timestamp.before.max.ms, "+
		"or set the clock of this machine, or the broker's", e.topic, e.at.UTC().Format(time.RFC3339Nano))
}

// Unwrap makes it the broker's error.
func (e *timestampError) Unwrap() error { return kerr.InvalidTimestamp }

// recordOverheadBytes bounds what a record and its batch take beside key, value
// and headers.
const recordOverheadBytes = 128

const (
	slabBytes   = 1 << 20
	slabRecords = 2048
)

// outbox copies what is produced into slabs that are used again once all their
// records are acknowledged. The number of slabs bounds what is under way; a
// producer that is too fast waits for a slab.
type outbox struct {
	client *kgo.Client
	limits map[string]*topicLimit // by topic
	free   chan *slab
	slab   *slab // being filled; nil at first
	// patience is how long a slab is waited for; zero is for ever.
	patience time.Duration

	mu  sync.Mutex
	err error // the first failure since take
}

// slab holds the records of about a mebibyte.
type slab struct {
	data    []byte
	records []kgo.Record
	headers []kgo.RecordHeader
	waiting atomic.Int32 // records not acknowledged, and one while it is filled
	done    func(*kgo.Record, error)
}

func newOutbox(client *kgo.Client, limits map[string]*topicLimit, bufferBytes int) *outbox {
	n := max(bufferBytes/slabBytes, 2)
	o := &outbox{client: client, limits: limits, free: make(chan *slab, n)}
	for range n {
		o.free <- o.newSlab()
	}
	return o
}

func (o *outbox) newSlab() *slab {
	s := &slab{records: make([]kgo.Record, 0, slabRecords)}
	s.done = func(r *kgo.Record, err error) {
		if err != nil {
			o.fail(r, err)
		}
		o.unref(s)
	}
	return s
}

// producerOptions are those of every producing client: idempotent, all
// replicas, Kafka's own partitioner.
func producerOptions(limits map[string]*topicLimit) []kgo.Opt {
	return []kgo.Opt{
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 {
			if limit, ok := limits[topic]; ok {
				return int32(limit.batchBytes)
			}
			return defaultBatchBytes
		}),
		// On JSON rows of 600 bytes snappy takes a third of the time of lz4 and a fifth
		// of zstd's, client and broker together.
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.UnknownTopicRetries(2),
	}
}

// fits returns a *TooLargeError for what the topic is known not to take.
func (o *outbox) fits(out *experiments.Output) error {
	size := sizeOf(out)
	if limit, ok := o.limits[out.Topic]; ok && size+recordOverheadBytes > limit.batchBytes {
		return &TooLargeError{Topic: out.Topic, Key: append([]byte(nil), out.Key...), SizeBytes: size, LimitBytes: limit.batchBytes}
	}
	return nil
}

func sizeOf(out *experiments.Output) int {
	size := len(out.Key) + len(out.Value)
	for i := range out.Headers {
		size += len(out.Headers[i].Key) + len(out.Headers[i].Value)
	}
	return size
}

// send copies out and hands it to the client; partition is for clients whose
// partitioner is kgo.ManualPartitioner. It waits while all slabs are under way,
// and fails when that takes longer than its patience.
func (o *outbox) send(out *experiments.Output, partition int32) error {
	s, err := o.room(sizeOf(out), len(out.Headers))
	if err != nil {
		return err
	}
	timestampMS := out.TimestampMS
	if limit := o.limits[out.Topic]; limit != nil {
		timestampMS = limit.timestamp(timestampMS, time.Now)
	}
	s.records = append(s.records, kgo.Record{Topic: out.Topic, Partition: partition, Key: s.copy(out.Key), Value: s.copy(out.Value),
		Timestamp: time.UnixMilli(timestampMS), Headers: s.copyHeaders(out.Headers)})
	s.waiting.Add(1)
	o.client.Produce(context.Background(), &s.records[len(s.records)-1], s.done)
	return nil
}

// room returns a slab with room for a record.
func (o *outbox) room(size, headers int) (*slab, error) {
	s := o.slab
	if s != nil && len(s.records) < cap(s.records) && len(s.data)+size <= cap(s.data) && len(s.headers)+headers <= cap(s.headers) {
		return s, nil
	}
	if s != nil {
		o.slab = nil
		o.unref(s)
	}
	s, err := o.nextFree()
	if err != nil {
		return nil, err
	}
	if n := max(size, slabBytes); cap(s.data) < n || cap(s.data) > slabBytes && n == slabBytes {
		s.data = make([]byte, 0, n) // at first, for a large record, and after one
	}
	if n := max(headers, 4*slabRecords); headers > 0 && cap(s.headers) < n {
		s.headers = make([]kgo.RecordHeader, 0, n)
	}
	s.waiting.Store(1)
	o.slab = s
	return s, nil
}

func (o *outbox) nextFree() (*slab, error) {
	select {
	case s := <-o.free:
		return s, nil
	default:
	}
	var enough <-chan time.Time
	if o.patience > 0 {
		timer := time.NewTimer(o.patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case s := <-o.free:
		return s, nil
	case <-enough:
		return nil, fmt.Errorf("the brokers took nothing for %s: %w", o.patience, context.DeadlineExceeded)
	}
}

// unref lets go of one of a slab's reasons to wait, and frees it with the last.
func (o *outbox) unref(s *slab) {
	if s.waiting.Add(-1) > 0 {
		return
	}
	clear(s.records)
	clear(s.headers)
	s.data, s.records, s.headers = s.data[:0], s.records[:0], s.headers[:0]
	o.free <- s
}

// copy returns nil for nil: a record without a key is not one with an empty key.
func (s *slab) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(s.data)
	s.data = append(s.data, b...)
	return s.data[from:len(s.data):len(s.data)]
}

func (s *slab) copyHeaders(headers []experiments.Header) []kgo.RecordHeader {
	if len(headers) == 0 {
		return nil
	}
	from := len(s.headers)
	for i := range headers {
		s.headers = append(s.headers, kgo.RecordHeader{Key: headers[i].Key, Value: s.copy(headers[i].Value)})
	}
	return s.headers[from:len(s.headers):len(s.headers)]
}

// fail keeps the first failure, in words that outlive the record's slab.
func (o *outbox) fail(r *kgo.Record, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
	case errors.Is(err, kerr.MessageTooLarge):
		tooLarge := &TooLargeError{Topic: r.Topic, Key: append([]byte(nil), r.Key...), SizeBytes: len(r.Key) + len(r.Value)}
		if limit := o.limits[r.Topic]; limit != nil {
			tooLarge.LimitBytes = limit.batchBytes
		}
		o.err = tooLarge
	case errors.Is(err, kerr.InvalidTimestamp):
		o.err = &timestampError{topic: r.Topic, at: r.Timestamp, again: true}
		if limit := o.limits[r.Topic]; limit != nil {
			o.err = &timestampError{topic: r.Topic, at: r.Timestamp, again: limit.refused.Swap(true)}
		}
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		o.err = fmt.Errorf("producing to topic %s: it does not exist (any more): %w", r.Topic, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		o.err = fmt.Errorf("producing to topic %s: the broker does not allow this user to write it: %w", r.Topic, err)
	default:
		o.err = fmt.Errorf("producing to topic %s: %w", r.Topic, err)
	}
}

// takeErr returns the first failure since the last call.
func (o *outbox) takeErr() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.err
	o.err = nil
	return err
}
