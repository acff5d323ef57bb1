package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"math"
	"slices"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/kafka"
)

// topicInput is a bounded part of a topic as input of a backfill.
//
// Which part, brokers can only tell by the records' timestamps, and these are not
// event times. A producer stamps a record when it sends it, a broker when it
// stores it: after the event, by as much as the record was late, and before it by
// no more than clocks differ. So reading begins where the timestamps reach the
// beginning of what is needed, less a margin for the clocks; where it ends they do
// not tell, for a topic may have been filled long after: it is read to its end,
// unless the user knows how late records come.
type topicInput struct {
	conn  kafka.Connection
	topic string
	spans []topicSpan // by partition
	read  atomic.Int64
	fixed string // what the user said of the bounds
}

// topicSpan is the offsets [From, To) of a partition.
type topicSpan struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
}

// recordBytes is what a record is taken to have, to make as many splits of a topic
// as of files.
const recordBytes = 256

// openTopic opens all of a topic that is there now.
func openTopic(ctx context.Context, cl *cluster, topic string) (*topicInput, error) {
	in := &topicInput{conn: cl.Connection, topic: topic}
	log, err := kafka.OpenLog(ctx, in.conn, []string{topic}, 0)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	starts, err := log.Starts(ctx)
	if err != nil {
		return nil, err
	}
	ends, err := log.Ends(ctx)
	if err != nil {
		return nil, err
	}
	for _, tp := range log.Partitions() {
		in.spans = append(in.spans, topicSpan{tp.Partition, starts[tp], max(ends[tp], starts[tp])})
	}
	return in, nil
}

// narrow leaves out what the timestamps say is not needed for some event times.
func (in *topicInput) narrow(ctx context.Context, r backfill.Range, f *backfillFlags) error {
	log, err := kafka.OpenLog(ctx, in.conn, []string{in.topic}, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	if r.FromMS != math.MinInt64 {
		in.fixed = fmt.Sprintf(" margin %s", f.margin)
		at, err := log.At(ctx, r.FromMS-f.margin.Milliseconds())
		if err != nil {
			return err
		}
		in.bound(at, func(s *topicSpan, offset int64) { s.From = min(max(s.From, offset), s.To) })
	}
	if r.ToMS != math.MaxInt64 && f.lateness > 0 {
		in.fixed += fmt.Sprintf(" lateness %s", f.lateness)
		at, err := log.At(ctx, r.ToMS+f.lateness.Milliseconds())
		if err != nil {
			return err
		}
		in.bound(at, func(s *topicSpan, offset int64) { s.To = max(min(s.To, offset), s.From) })
	}
	return nil
}

func (in *topicInput) bound(at map[experiments.TopicPartition]int64, set func(*topicSpan, int64)) {
	for i := range in.spans {
		s := &in.spans[i]
		if offset, ok := at[experiments.TopicPartition{Topic: in.topic, Partition: s.Partition}]; ok && offset >= 0 {
			set(s, offset)
		}
	}
}

// Identity implements backfill.Input: which offsets, the plan says.
func (in *topicInput) Identity() []string { return []string{"topic " + in.topic + in.fixed} }

// Bounds implements backfill.Bounded.
func (in *topicInput) Bounds() (json.RawMessage, error) { return json.Marshal(in.spans) }

// Bind implements backfill.Bounded.
func (in *topicInput) Bind(bounds json.RawMessage) error {
	in.spans = nil
	if err := json.Unmarshal(bounds, &in.spans); err != nil {
		return fmt.Errorf("the plan's offsets of topic %s: %w", in.topic, err)
	}
	return nil
}

// Bytes implements backfill.Input.
func (in *topicInput) Bytes() int64 {
	_, total := in.Progress()
	return total * recordBytes
}

// Progress implements backfill.Input, in records.
func (in *topicInput) Progress() (read, total int64) {
	for _, s := range in.spans {
		total += s.To - s.From
	}
	return in.read.Load(), total
}

// Units implements backfill.Input.
func (in *topicInput) Units(targetBytes int64) (units []backfill.Unit) {
	step := max(targetBytes/recordBytes, 1)
	for _, s := range in.spans {
		for from := s.From; from < s.To; from += min(step, s.To-from) {
			piece := topicSpan{s.Partition, from, from + min(step, s.To-from)}
			units = append(units, backfill.Unit{Place: in.topic, Partition: s.Partition, Topic: true, First: from == s.From, Bytes: (piece.To - piece.From) * recordBytes,
				Open: func(ctx context.Context) (backfill.Reader, error) { return in.open(ctx, piece) }})
		}
	}
	return units
}

// topicHoldBytes is what a reader fetches ahead.
const topicHoldBytes = 4 << 20

func (in *topicInput) open(ctx context.Context, s topicSpan) (*topicReader, error) {
	log, err := kafka.OpenLog(ctx, in.conn, []string{in.topic}, topicHoldBytes)
	if err != nil {
		return nil, err
	}
	if err := log.Start(map[experiments.TopicPartition]int64{{Topic: in.topic, Partition: s.Partition}: s.From}); err != nil {
		log.Close()
		return nil, fmt.Errorf("reading %s[%d] from offset %d on: %w", in.topic, s.Partition, s.From, err)
	}
	return &topicReader{ctx: ctx, in: in, log: log, next: s.From, to: s.To}, nil
}

// topicReader reads the committed records of one piece.
type topicReader struct {
	ctx      context.Context //nolint:containedctx // of the reading of one piece
	in       *topicInput
	log      *kafka.Log
	next, to int64
	batch    []mortise.Record
}

// Next implements backfill.Reader.
func (r *topicReader) Next(rec *mortise.Record) error {
	for len(r.batch) == 0 {
		if r.next >= r.to {
			return io.EOF
		}
		fetched, err := r.log.Poll(r.ctx, 4096, 100*time.Millisecond)
		if err != nil {
			return err
		}
		for _, f := range fetched {
			r.batch, r.next = f.Records, max(r.next, f.Next)
		}
		if i := slices.IndexFunc(r.batch, func(rec mortise.Record) bool { return rec.Offset >= r.to }); i >= 0 {
			r.batch, r.next = r.batch[:i], r.to
		}
		r.in.read.Add(int64(len(r.batch)))
	}
	topic := rec.Topic
	*rec = r.batch[0]
	rec.Topic, r.batch = topic, r.batch[1:]
	return nil
}

// Close implements backfill.Reader.
func (r *topicReader) Close() error {
	r.log.Close()
	return nil
}
