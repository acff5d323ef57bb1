package changing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/changes"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// Stream is one dimension's change stream on its way into the dimension's table.
// One goroutine at a time uses it, but for FinalMS and Status.
type Stream struct {
	dimension  *spec.Dimension
	experiment string // whose dead letters it writes
	table      dimjoin.Table
	journal    dimjoin.Journal // of a table with history; nil else
	writer     dimjoin.Writer  // of the others

	parser   *changes.Parser
	merger   *changes.Merger
	try      func(ctx context.Context, doing string, do func(context.Context) error) error
	parts    []reading // by partition
	read     bool      // something since the last commit
	recorded bool
	told     []changes.Change

	final  atomic.Int64
	mu     sync.Mutex
	status experiments.ChangeStatus
	counts experiments.ChangeStatus // not yet told
}

// NewJournaled makes a stream into a table that keeps history, and with it how far
// it has been read. experiment names whose dead letters it writes.
func NewJournaled(d *spec.Dimension, experiment string, table dimjoin.Journal) (*Stream, error) {
	s := &Stream{dimension: d, experiment: experiment, table: table, journal: table}
	err := s.init(!d.History.Kept())
	return s, err
}

// NewWritten makes a stream into a table that keeps the latest rows; what is
// written by writer is read by table.
func NewWritten(d *spec.Dimension, experiment string, table dimjoin.Table, writer dimjoin.Writer) (*Stream, error) {
	s := &Stream{dimension: d, experiment: experiment, table: table, writer: writer}
	err := s.init(true)
	return s, err
}

func (s *Stream) init(latest bool) (err error) {
	c := s.dimension.Changes
	s.parser, err = changes.NewParser(changes.Options{Format: c.Format, Table: c.Table, Key: c.Key, Fields: s.dimension.Fields, Unit: c.Unit})
	s.merger = changes.NewMerger(s.dimension.Fields, latest)
	s.try = func(ctx context.Context, _ string, do func(context.Context) error) error { return do(ctx) }
	s.final.Store(math.MinInt64)
	s.status = experiments.ChangeStatus{Topic: c.Topic}
	return err
}

// Topic is the topic that the stream reads.
func (s *Stream) Topic() string { return s.dimension.Changes.Topic }

// FinalMS is the event time before which the table has every change, as of the
// last commit: rows that are read as of their event time wait for it.
func (s *Stream) FinalMS() int64 { return s.final.Load() }

// Status tells how far the stream is, as of the last commit.
func (s *Stream) Status() experiments.ChangeStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// open finds how far the table is.
func (s *Stream) open(ctx context.Context, partitions int) error {
	p := position{}
	if s.journal != nil {
		text, err := s.journal.Position(ctx, positionName(s.dimension.Changes))
		if err != nil {
			return fmt.Errorf("dimension %s: reading how far its table is: %w", s.dimension.Name, err)
		}
		if p, err = parsePosition(text, fingerprint(s.dimension)); err != nil {
			return fmt.Errorf("dimension %s: %w", s.dimension.Name, err)
		}
	}
	p.widen(partitions)
	s.parts = make([]reading, len(p.Partitions))
	for i, m := range p.Partitions {
		s.parts[i] = reading{mark: m, end: -1}
	}
	return nil
}

// take adds what was fetched of one partition.
func (s *Stream) take(ctx context.Context, f *experiments.Fetched, nowMS int64, letters func(*mortise.DeadLetter) error) error {
	p := &s.parts[f.Partition]
	s.told = s.told[:0]
	records := 0
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Offset < p.Next {
			continue
		}
		records++
		if err := s.parse(rec, p, nowMS, letters); err != nil {
			return err
		}
	}
	if err := s.merge(ctx); err != nil {
		return fmt.Errorf("dimension %s: taking in %s[%d] up to offset %d: %w", s.dimension.Name, f.Topic, f.Partition, f.Next, err)
	}
	s.read = s.read || f.Next > p.Next
	p.follow(f, nowMS, records)
	return nil
}

// parse adds the changes of a record to what is told.
func (s *Stream) parse(rec *mortise.Record, p *reading, nowMS int64, letters func(*mortise.DeadLetter) error) error {
	cs, err := s.parser.Parse(rec)
	aheadMS := s.dimension.Changes.MaxAhead.Milliseconds()
	for i := range cs {
		c := &cs[i]
		switch {
		case c.AtMS > nowMS+aheadMS:
			err = &mortise.RecordError{Reason: mortise.ReasonBadTime, Detail: fmt.Sprintf("the change lies more than %s ahead of now (max_ahead)", mortise.FormatDuration(s.dimension.Changes.MaxAhead))}
			continue
		case sizeOf(c) > dimjoin.MaxRowBytes:
			err = &mortise.RecordError{Reason: mortise.ReasonBadField, Detail: dimjoin.ErrTooLarge(sizeOf(c)).Error()}
			continue
		}
		s.told = append(s.told, *c)
	}
	if ms, ok := s.parser.TimeMS(); ok { // of other tables too: they tell how far the stream is
		p.observe(min(ms, nowMS))
	}
	if err == nil {
		return nil
	}
	s.counts.Unreadable++
	why, ok := errors.AsType[*mortise.RecordError](err)
	if !ok || letters == nil {
		return nil // Parse has no other errors
	}
	dl := &mortise.DeadLetter{Experiment: s.experiment, Source: s.dimension.Name, Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Reason: why.Reason, Detail: why.Error(), Raw: rec.Value}
	if err := letters(dl); err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	return nil
}

// sizeOf is about what a change's row takes in a store.
func sizeOf(c *changes.Change) (bytes int) {
	for _, v := range c.Row {
		bytes += 16 + len(v.Text())
		for _, e := range v.List() {
			bytes += 16 + len(e.Text())
		}
	}
	return bytes
}

// merge takes in what is told.
func (s *Stream) merge(ctx context.Context) error {
	if err := s.try(ctx, "reading rows that change", s.openLogs); err != nil {
		return err
	}
	for i := range s.told {
		c := &s.told[i]
		s.counts.Changes++
		outcome := s.merger.Take(c)
		if outcome == changes.Late {
			s.counts.Late++
			var err error
			if outcome, err = s.mergeLate(ctx, c); err != nil {
				return err
			}
		}
		if outcome == changes.Same {
			s.counts.Unchanged++
		}
	}
	return nil
}

// openLogs reads what is remembered of the keys that are told of.
func (s *Stream) openLogs(ctx context.Context) error {
	var new []*changes.Change
	asked := map[string]bool{}
	for i := range s.told {
		if c := &s.told[i]; !s.merger.Has(c.Key) && !asked[string(c.Key)] {
			asked[string(c.Key)] = true
			new = append(new, c)
		}
	}
	if len(new) == 0 {
		return nil
	}
	notes := make([][]byte, len(new))
	if s.journal != nil {
		keys := make([][]byte, len(new))
		for i, c := range new {
			keys[i] = c.Key
		}
		var err error
		if notes, err = s.journal.Notes(ctx, keys); err != nil {
			return err
		}
	}
	var lookups []dimjoin.Lookup
	for i, c := range new {
		if notes[i] == nil {
			lookups = append(lookups, dimjoin.Lookup{Key: c.Key, Values: c.Values, AsOfMS: dimjoin.Latest})
		}
	}
	if err := s.table.Read(ctx, lookups); err != nil {
		return err
	}
	next := 0
	for i, c := range new {
		var found *dimjoin.Lookup
		if notes[i] == nil {
			found = &lookups[next] // a row that cannot be read counts as none: what the stream says replaces it
			next++
		}
		if err := s.merger.Open(c.Key, c.Values, notes[i], found); err != nil {
			return err
		}
	}
	return nil
}

// mergeLate takes in a change that is older than what is remembered of its key.
func (s *Stream) mergeLate(ctx context.Context, c *changes.Change) (changes.Outcome, error) {
	if s.journal == nil || !s.dimension.History.Kept() {
		return changes.Same, nil
	}
	if err := s.apply(ctx); err != nil { // so that the table knows all that came before
		return 0, err
	}
	if err := s.openLogs(ctx); err != nil {
		return 0, err
	}
	found := []dimjoin.Lookup{{Key: c.Key, Values: c.Values, AsOfMS: c.AtMS}}
	if err := s.table.Read(ctx, found); err != nil {
		return 0, err
	}
	return s.merger.TakeLate(c, &found[0]), nil
}

// apply writes what has been taken in, with the position of the last commit but
// what has been told since: reading it again comes to the same.
func (s *Stream) apply(ctx context.Context) error {
	records, notes := s.merger.Drain(s.forgetMS())
	p := position{Of: fingerprint(s.dimension)}
	for i := range s.parts {
		p.Partitions = append(p.Partitions, s.parts[i].mark)
	}
	text, err := p.text()
	if err != nil {
		return err
	}
	return s.journal.Apply(ctx, &dimjoin.Commit{Records: records, Notes: notes, Name: positionName(s.dimension.Changes), Position: text})
}

// forgetMS is how far back changes are told apart: keep behind the partition that
// is the furthest behind. Recorded changes may come a partition after another, so
// that their times say nothing.
func (s *Stream) forgetMS() int64 {
	least := int64(math.MaxInt64)
	for i := range s.parts {
		p := &s.parts[i]
		switch {
		case p.MaxMS != nil:
			least = min(least, *p.MaxMS)
		case !p.caughtUp && !p.away:
			return math.MinInt64
		}
	}
	if s.recorded {
		return math.MinInt64
	}
	if keepMS := s.dimension.Changes.Keep.Milliseconds(); least != math.MaxInt64 && least > math.MinInt64+keepMS {
		return least - keepMS
	}
	return math.MinInt64
}

// isFull reports whether it has to be committed.
func (s *Stream) isFull(maxBytes int) bool { return s.merger.Bytes() >= maxBytes }

// isRead reports whether every partition has been read to its end.
func (s *Stream) isRead() bool {
	for i := range s.parts {
		if p := &s.parts[i]; p.end < 0 || p.Next < p.end {
			return false
		}
	}
	return true
}

// commit writes rows and how far they go, and tells readers.
func (s *Stream) commit(ctx context.Context, nowMS int64, inputDone bool) error {
	if s.read && s.journal != nil {
		if err := s.apply(ctx); err != nil {
			return fmt.Errorf("dimension %s: writing to its table: %w", s.dimension.Name, err)
		}
	}
	s.read = false
	s.tell(nowMS, inputDone)
	return nil
}

// tell has readers know how far the table is.
func (s *Stream) tell(nowMS int64, inputDone bool) {
	c := s.dimension.Changes
	final, lag := int64(math.MaxInt64), int64(0)
	for i := range s.parts {
		p := &s.parts[i]
		if p.away {
			continue
		}
		final = min(final, p.finalMS(c.OutOfOrderness.Milliseconds(), c.IdleAfter.Milliseconds(), nowMS, inputDone))
		lag += max(p.high-p.Next, 0)
	}
	if len(s.parts) == 0 {
		final = math.MinInt64
	}
	s.final.Store(max(final, s.final.Load()))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Topic, s.counts.LagRecords, s.counts.FinalMS = c.Topic, lag, 0
	if at := s.final.Load(); at != math.MinInt64 {
		s.counts.FinalMS = at
	}
	s.status = s.counts
}
