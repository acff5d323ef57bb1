package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// source is one source of one generation on its way into the store. One goroutine
// at a time uses it.
type source struct {
	gen    *Generation
	index  int // in the generation's set
	task   int // of the source's tasks
	feed   *feed
	writer *features.Writer
	clock  *joiner.Watermarks
	parts  []reading // by partition
	meta   meta
	ended  bool // committed with every tile final

	placed placement // of a source whose topic is keyed by the entity

	letters func(*mortise.DeadLetter) error
	skipped int64 // records that cannot be read
}

// reading is one partition of the source.
type reading struct {
	next     int64
	high     int64
	end      int64 // where it ends, once that is known; -1 before
	maxMS    int64
	caughtUp bool
}

// open opens the source's tiles where they stand. For a source that begins, sinceMS
// says from when on the topic holds its events.
func (s *source) open(ctx context.Context, store features.Store, partitions int, sinceMS int64, maxBytes int, nowMS int64) error {
	w, err := features.OpenWriter(ctx, s.gen.Set, store, features.WriterOptions{Task: s.gen.tasks[s.index][s.task], Shard: s.gen.shards[s.index][s.task], SinceMS: sinceMS,
		MaxBytes: maxBytes, Slot: func(_ int, field string) int { return s.feed.slot(field) }})
	if err != nil {
		return err
	}
	s.writer = w
	pos := w.Position()
	s.clock = joiner.NewWatermarks(watermarkOf(pos, w.Began()))
	s.meta = meta{Generation: s.gen.Number, Source: s.feed.name, Features: s.gen.ids(s.index)}
	if s.feed.entity != nil {
		s.meta.Topic, s.meta.Width = s.feed.topic, len(s.gen.tasks[s.index])
	}
	if w.Began() {
		m, err := parseMeta(pos.Meta)
		if err != nil {
			return err
		}
		if m.Topic != s.meta.Topic {
			return fmt.Errorf("task %s stands in the topic %q, and is to go on in %q: the feature store was emptied while workers wrote to it; stop them all, then begin with another prefix in feature_store",
				s.gen.tasks[s.index][s.task], m.Topic, s.meta.Topic)
		}
		s.meta.Partitions, s.meta.Width = m.Partitions, m.Width
	}
	for len(s.meta.Partitions) < partitions { // also those that the topic has been given since
		s.meta.Partitions = append(s.meta.Partitions, partition{Next: experiments.OffsetEarliest})
	}
	s.parts = make([]reading, len(s.meta.Partitions))
	for i, m := range s.meta.Partitions {
		s.parts[i] = reading{next: m.Next, end: -1, maxMS: joiner.NoTimeMS}
		if m.MaxMS != nil {
			s.parts[i].maxMS = *m.MaxMS
		}
		s.addClock(i, nowMS)
	}
	return nil
}

// addClock adds a partition's clock: as far as its events, or, on a way, what the
// markers will tell of its origins.
func (s *source) addClock(i int, nowMS int64) {
	spec := s.feed.spec
	if s.feed.way != nil {
		s.clock.AddShuffled(spec.OutOfOrderness.Milliseconds(), nowMS)
		return
	}
	s.clock.AddInput(spec.OutOfOrderness.Milliseconds(), spec.IdleAfter.Milliseconds(), nowMS)
	if maxMS := s.parts[i].maxMS; maxMS != joiner.NoTimeMS {
		s.clock.Observe(i, maxMS, nowMS)
	}
}

// watermarkOf is where a source's clock stands; one that had ended goes on from
// the events that it has seen, when there are more.
func watermarkOf(p *features.Position, began bool) int64 {
	switch {
	case !began:
		return joiner.NoTimeMS
	case p.WatermarkMS == math.MaxInt64:
		return p.LatestMS
	}
	return p.WatermarkMS
}

// take adds what was fetched of one partition.
func (s *source) take(f *experiments.Fetched, inputDone bool, nowMS int64) error {
	p := &s.parts[f.Partition]
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Offset < p.next {
			continue
		}
		if err := s.takeOne(rec, int(f.Partition), nowMS); err != nil {
			return fmt.Errorf("adding %s[%d]@%d to features: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	p.next = max(p.next, f.Next)
	p.high = f.HighWatermark
	p.caughtUp = p.next >= p.high
	s.clock.SetCaughtUp(int(f.Partition), p.caughtUp && inputDone, f.EndAsOfMS, nowMS)
	return nil
}

// takeOne adds a record of one of the source's partitions.
func (s *source) takeOne(rec *mortise.Record, part int, nowMS int64) error {
	if s.feed.way != nil {
		return s.takeParcel(rec, nowMS)
	}
	return s.takeBetween(rec, part, nowMS, math.MinInt64, math.MaxInt64)
}

// takeBetween leaves events out whose time does not lie in [fromMS, toMS).
func (s *source) takeBetween(rec *mortise.Record, part int, nowMS, fromMS, toMS int64) error {
	timeMS, row, err := s.feed.take(rec, nowMS)
	if err == nil && (timeMS < fromMS || timeMS >= toMS) {
		return nil
	}
	if err == nil && row != nil {
		if s.feed.routed {
			if err := s.placed.checkRow(s.feed, rec, row); err != nil {
				return err
			}
		}
		err = s.writer.Add(s.index, row, timeMS)
	}
	if err != nil {
		if !errors.As(err, new(*mortise.RecordError)) {
			return err
		}
		if err := s.skip(rec, err); err != nil {
			return err
		}
		if row == nil {
			return nil
		}
	}
	p := &s.parts[part]
	p.maxMS = max(p.maxMS, timeMS)
	s.clock.Observe(part, timeMS, nowMS)
	return nil
}

// skip counts a record that cannot be read, and sends it to the dead letters.
func (s *source) skip(rec *mortise.Record, why error) error {
	s.skipped++
	letter := s.feed.letter(rec, why)
	if letter == nil || s.letters == nil {
		return nil
	}
	if err := s.letters(letter); err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	return nil
}

// takeParcel adds what came through an internal topic, or has a marker move the
// clocks of the partitions that it came from.
func (s *source) takeParcel(rec *mortise.Record, nowMS int64) error {
	if experiments.IsClocks(rec.Headers) {
		c, err := experiments.ParseClocks(rec.Value)
		if err != nil {
			return s.skip(rec, &mortise.RecordError{Reason: mortise.ReasonBadField, Field: experiments.ClocksHeader, Detail: err.Error()})
		}
		for _, k := range c.Clocks {
			maxMS := int64(joiner.NoTimeMS)
			if k.MaxMS != nil {
				maxMS = *k.MaxMS
			}
			s.clock.Heard(0, int(k.Partition), c.Origins, maxMS, k.Idle, nowMS)
		}
		return nil
	}
	from, timeMS, err := s.feed.parcel.read(rec.Value, s.feed.row)
	if err != nil {
		return s.skip(rec, &mortise.RecordError{Reason: mortise.ReasonBadField, Field: "value", Detail: err.Error() + ": something else writes to this topic, which is mortise's own"})
	}
	entity := rec.Key
	if entity == nil {
		entity = []byte{} // which some clients make of an empty text
	}
	if err := s.placed.check(s.feed, rec, entity); err != nil {
		return err
	}
	if err := s.writer.AddKeyed(s.index, entity, s.feed.row, timeMS); err != nil {
		if !errors.As(err, new(*mortise.RecordError)) {
			return err
		}
		s.skipped++ // a letter was sent where it was shuffled
	}
	s.parts[0].maxMS = max(s.parts[0].maxMS, timeMS)
	s.clock.ObserveFrom(0, int(from), timeMS, nowMS)
	return nil
}

// setEnd fixes where a partition ends.
func (s *source) setEnd(partition int32, end int64) { s.parts[partition].end = end }

// isRead reports whether every partition has been read to its end.
func (s *source) isRead() bool {
	for i := range s.parts {
		if p := &s.parts[i]; p.end < 0 || p.next < p.end {
			return false
		}
	}
	return true
}

// commit makes what was added one with how far the source has been read.
func (s *source) commit(ctx context.Context, final bool, needMS, nowMS int64) error {
	for i := range s.parts {
		p, m := &s.parts[i], &s.meta.Partitions[i]
		if p.next >= 0 {
			m.Next = p.next
		}
		if p.maxMS != joiner.NoTimeMS {
			m.MaxMS = &p.maxMS
		}
	}
	text, err := s.meta.append(nil)
	if err != nil {
		return err
	}
	watermark := s.clock.Advance(nowMS)
	if final {
		watermark = math.MaxInt64
	}
	if needMS != math.MinInt64 {
		s.writer.Expire(needMS)
	}
	if err := s.writer.Commit(ctx, text, watermark); err != nil {
		return err
	}
	s.ended = final
	return nil
}
