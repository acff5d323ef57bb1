package changing

import (
	"context"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// Filler fills the tables of journaled streams with recorded changes, which come in
// any order of topics but each partition's in its own. One goroutine uses it.
type Filler struct {
	streams map[string][]*Stream // by topic
	all     []*Stream
	opts    Options
	batch   map[string]*experiments.Fetched
}

// fillRecords is how many records are taken in together.
const fillRecords = 2000

// NewFiller makes one; the tables are to be empty.
func NewFiller(ctx context.Context, streams []*Stream, opts Options) (*Filler, error) {
	opts.EnsureDefaults()
	f := &Filler{streams: map[string][]*Stream{}, all: streams, opts: opts, batch: map[string]*experiments.Fetched{}}
	for _, s := range streams {
		if err := s.open(ctx, 1); err != nil {
			return nil, err
		}
		if s.parts[0].Next > 0 {
			return nil, fmt.Errorf("dimension %s: its table has changes already: begin with an empty one", s.dimension.Name)
		}
		s.recorded, s.parts[0].Next = true, 0
		f.streams[s.Topic()] = append(f.streams[s.Topic()], s)
	}
	return f, nil
}

// Reads reports whether any stream is over the topic.
func (f *Filler) Reads(topic string) bool { return len(f.streams[topic]) > 0 }

// Add adds a record of a topic, whose bytes it copies. Its place in the topic's
// records is how often Add was called.
func (f *Filler) Add(ctx context.Context, topic string, rec *mortise.Record) error {
	if !f.Reads(topic) {
		return nil
	}
	b := f.batch[topic]
	if b == nil {
		b = &experiments.Fetched{TopicPartition: experiments.TopicPartition{Topic: topic}}
		f.batch[topic] = b
	}
	own := *rec
	own.Key, own.Value = append([]byte(nil), rec.Key...), append([]byte(nil), rec.Value...)
	b.Records = append(b.Records, own)
	if len(b.Records) >= fillRecords {
		return f.flush(ctx, b)
	}
	return nil
}

func (f *Filler) flush(ctx context.Context, b *experiments.Fetched) error {
	for _, s := range f.streams[b.Topic] {
		if err := f.take(ctx, s, b); err != nil {
			return err
		}
	}
	b.Next += int64(len(b.Records))
	b.Records = b.Records[:0]
	return nil
}

// take takes a batch in: numbered on, as offsets of one partition, but dead letters
// say where records come from.
func (f *Filler) take(ctx context.Context, s *Stream, b *experiments.Fetched) error {
	s.told = s.told[:0]
	p := &s.parts[0]
	nowMS := f.opts.Now().UnixMilli()
	for i := range b.Records {
		if err := s.parse(&b.Records[i], p, nowMS, f.opts.Letters); err != nil {
			return err
		}
	}
	if err := s.merge(ctx); err != nil {
		return fmt.Errorf("dimension %s: taking in changes of %s: %w", s.dimension.Name, b.Topic, err)
	}
	p.Next, s.read = b.Next+int64(len(b.Records)), true
	if s.isFull(f.opts.MaxBytes) {
		return s.apply(ctx)
	}
	return nil
}

// Finish takes in what is left: the tables have every change.
func (f *Filler) Finish(ctx context.Context) error {
	for _, b := range f.batch {
		if err := f.flush(ctx, b); err != nil {
			return err
		}
	}
	for _, s := range f.all {
		s.parts[0].end = 0
		if err := s.commit(ctx, f.opts.Now().UnixMilli(), true); err != nil {
			return err
		}
	}
	return nil
}
