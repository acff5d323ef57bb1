package experiments

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// runner drives one task: it cleans what is fetched, feeds the join, keeps the
// watermark and collects the output. One goroutine at a time uses it.
type runner struct {
	pipeline  *Pipeline
	partition int32
	task      *joiner.Task
	store     joiner.Store
	readers   []*clean.Reader // per input
	checkers  []*clean.Reader // per input: a label is decoded whole while its keys are in use
	clock     *joiner.Watermarks
	places    []placement // per input
	aheads    []ahead     // per input
	next      []int64     // per input: the next offset to read
	high      []int64     // per input: the end offset as last seen
	caughtUp  []bool      // per input: read up to there
	endAsOfMS []int64     // per input: when high was its end; Fetched.EndAsOfMS
	out       outbox
	all       uint32

	rebuild    *joiner.Snapshot // until reached, events are state only
	acceptLost bool             // state that cannot be rebuilt is counted as lost
	lost       []int64          // per input: records that the log no longer held, to be counted
	held       []heldRecord     // events beyond it, kept until every input has reached it

	firstMS  int64   // least event time seen; alignment starts there
	ends     []int64 // per input under --until-end; nil until known
	finished bool    // every window is closed and no more input comes
	due      bool    // more impressions are due than the last round could close
	event    clean.Event
	origin   mortise.Record // the shuffled record in hand, as it was
	kept     []byte         // its value as the task keeps it

	prog    *program
	defers  bool            // some rows need more than the join knows
	enrich  Enrichment      // nil where no row needs it
	dims    Dimensions      // as enrich
	keyText []byte          // scratch: the key of a row that waits
	life    context.Context //nolint:containedctx // of what is given away, which outlives the call
	endLife context.CancelFunc
	spawn   func(func())
	traced  func(joiner.Trace)
	flying  *Batch   // closed impressions that wait for what their rows need
	owed    bool     // the last commit had to leave the task out
	parked  *parking // closed impressions' rows that wait longer; nil where none may
	amends  *parking // rows that may be corrected; nil where none may

	forgotMS int64 // the cursor when observations were gone through last

	committed struct { // where the task stood when it was committed last
		finished bool
		cursor   joiner.Cursor
		next     []int64
	}

	takeover     takeover
	checkpointMS int64     // when the newest copy was taken, ms UTC; 0 when this worker took none
	saving       bool      // a checkpoint is being copied
	savedAt      time.Time // when the last one was begun
}

type heldRecord struct {
	input  int
	record mortise.Record
}

func newRunner(p *Pipeline, partition int32, partitions int, sources []*clean.Source, store joiner.Store, nowMS int64, trace func(joiner.Trace)) (*runner, error) {
	r := &runner{pipeline: p, partition: partition, store: store, places: p.placements(partition, partitions), next: make([]int64, len(p.Sources)), lost: make([]int64, len(p.Sources)), high: make([]int64, len(p.Sources)), caughtUp: make([]bool, len(p.Sources)), endAsOfMS: make([]int64, len(p.Sources)), all: uint32(1<<len(p.Experiments) - 1), firstMS: joiner.NoTimeMS}
	var err error
	if r.out, err = newOutbox(p); err != nil {
		return nil, err
	}
	opts := p.Join
	opts.Trace = trace
	r.prog, r.traced = newProgram(p, sources, &r.out), trace
	task, err := joiner.New(opts, store, r.prog)
	if err != nil {
		return nil, err
	}
	r.task = task
	r.clock = joiner.NewWatermarks(task.WatermarkMS())
	for i, s := range sources {
		r.readers, r.checkers = append(r.readers, s.NewReader()), append(r.checkers, s.NewReader())
		first := p.Sources[i].Specs[0]
		r.aheads = append(r.aheads, ahead{source: i, maxMS: first.MaxAhead.Milliseconds()})
		if p.Sources[i].Shuffle != nil {
			r.clock.AddShuffled(first.OutOfOrderness.Milliseconds(), nowMS)
			continue
		}
		r.clock.AddInput(first.OutOfOrderness.Milliseconds(), first.IdleAfter.Milliseconds(), nowMS)
	}
	return r, nil
}

// reached reports whether input in has been read up to where the rebuild ends.
func (r *runner) reached(in int) bool { return r.rebuild == nil || r.next[in] >= r.rebuild.Offsets[in] }

// startRebuild makes the runner read up to at for its state alone.
func (r *runner) startRebuild(at *joiner.Snapshot) {
	r.rebuild = at
	r.task.BeginRebuild()
}

// skip goes on behind a gap and notes what is lost with it: of the records that
// were committed already the state's account tells, of the others their number.
func (r *runner) skip(g Gap, nowMS int64) error {
	if g.Recreate {
		return fmt.Errorf("%s[%d] was made anew, so nothing in it follows on what is committed: begin anew with another --group", g.Topic, g.Partition)
	}
	for in := range r.pipeline.Sources {
		if r.pipeline.Sources[in].Topic != g.Topic || r.next[in] >= g.First {
			continue
		}
		from := r.next[in]
		if r.rebuild != nil {
			from = max(from, r.rebuild.Offsets[in])
		}
		r.lost[in] += max(g.First-from, 0)
		r.next[in] = g.First
	}
	if r.rebuild != nil {
		return r.maybeFinishRebuild(nowMS)
	}
	r.countLost()
	return nil
}

// countLost puts the records that were skipped on the account, once the account
// is the one that goes on.
func (r *runner) countLost() {
	for in, n := range r.lost {
		r.task.CountLost(in, n)
		r.lost[in] = 0
	}
}

// take feeds records of one input. Records beyond the rebuild point wait until
// every input has reached it.
func (r *runner) take(in int, records []mortise.Record, next, nowMS int64) error {
	if r.ends != nil { // what has come since is another run's
		next = min(next, r.ends[in])
	}
	for i := range records {
		rec := &records[i]
		if rec.Offset < r.next[in] {
			continue
		}
		if len(r.ends) > 0 && rec.Offset >= r.ends[in] {
			break
		}
		if r.rebuild != nil && rec.Offset >= r.rebuild.Offsets[in] {
			r.hold(in, rec)
			continue
		}
		if err := r.takeOne(in, rec, nowMS); err != nil {
			return fmt.Errorf("taking in %s[%d]@%d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	r.next[in] = max(r.next[in], next)
	if r.rebuild != nil {
		return r.maybeFinishRebuild(nowMS)
	}
	return nil
}

func (r *runner) hold(in int, rec *mortise.Record) {
	kept := *rec
	kept.Key, kept.Value, kept.Headers = slices.Clone(rec.Key), slices.Clone(rec.Value), slices.Clone(rec.Headers)
	for i := range kept.Headers {
		kept.Headers[i].Value = slices.Clone(kept.Headers[i].Value)
	}
	r.held = append(r.held, heldRecord{in, kept})
}

func (r *runner) maybeFinishRebuild(nowMS int64) error {
	for in := range r.next {
		if !r.reached(in) {
			return nil
		}
	}
	if err := r.task.FinishRebuild(r.rebuild, r.acceptLost); err != nil {
		return fmt.Errorf("rebuilding the state of partition %d: %w", r.partition, err)
	}
	r.rebuild = nil
	r.countLost()
	r.clock.Restart(r.task.WatermarkMS())
	held := r.held
	r.held = nil
	for i := range held {
		if err := r.takeOne(held[i].input, &held[i].record, nowMS); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) takeOne(in int, read *mortise.Record, nowMS int64) error {
	rec := read
	if r.pipeline.Sources[in].Shuffle != nil {
		marker, err := r.restore(in, read, nowMS)
		if err != nil {
			return r.refuse(in, read, err)
		}
		if marker {
			return nil
		}
		rec = &r.origin
	}
	rec.Source = in
	ev := &r.event
	reader := r.readers[in]
	if err := reader.Intake(rec, ev); err != nil {
		return r.refuse(in, rec, err)
	}
	if r.tooFarAhead(in, read.Offset, ev.TimeMS, nowMS) {
		return r.refuse(in, rec, r.aheads[in].fault(r.pipeline.Sources[in].Specs[0].TimeField, ev.TimeMS))
	}
	if p := &r.places[in]; r.rebuild == nil && ev.PartitionKey != nil && p.due(read.Offset) {
		p.check(read, ev, r.checkers[in])
	}
	r.observe(in, rec, ev.TimeMS, nowMS)
	if r.firstMS == joiner.NoTimeMS || ev.TimeMS < r.firstMS {
		r.firstMS = ev.TimeMS
	}
	accept, bad, reason := ev.Accept, ev.Bad&r.all, mortise.ReasonNone
	if bad != 0 {
		reason = reader.Fault(bits.TrailingZeros32(bad)).Reason
		if err := r.letters(in, rec, bad, reader); err != nil {
			return err
		}
	}
	if in != 0 && accept != 0 { // labels are few: all that they declare is checked now
		checker := r.checkers[in]
		_, undecoded, err := checker.Decode(ev.Value)
		if err != nil {
			return r.refuse(in, rec, err)
		}
		if undecoded &= accept; undecoded != 0 {
			if err := r.letters(in, rec, undecoded, checker); err != nil {
				return err
			}
			accept, bad = accept&^undecoded, bad|undecoded
			reason = checker.Fault(bits.TrailingZeros32(undecoded)).Reason
		}
	}
	if in == 0 && r.prog.seen != nil && accept != 0 {
		r.noteArrival(reader, accept, read.Offset, ev.TimeMS)
	}
	return r.task.Add(&joiner.Event{Source: in, TimeMS: ev.TimeMS, Partition: rec.Partition, Offset: read.Offset,
		Accept: accept, Bad: bad, BadReason: reason, Keys: ev.Keys, Value: r.keep(in, rec, ev.Value)})
}

// refuse sends a record that no experiment can read to the dead letters.
func (r *runner) refuse(in int, rec *mortise.Record, err error) error {
	var why *mortise.RecordError
	if !errors.As(err, &why) {
		return err
	}
	if r.rebuild == nil && why.Reason.IsDeadLetter() {
		if err := r.out.DeadLetter(r.all, letter(r.pipeline, in, rec, why)); err != nil {
			return err
		}
	}
	return r.task.Add(&joiner.Event{Source: in, Partition: rec.Partition, Offset: rec.Offset, Bad: r.all, BadReason: why.Reason, Value: r.keep(in, rec, rec.Value)})
}

// letters sends a record to the dead letters of the experiments that cannot read it.
func (r *runner) letters(in int, rec *mortise.Record, bad uint32, reader *clean.Reader) error {
	for mask := bad; mask != 0 && r.rebuild == nil; mask &= mask - 1 {
		exp := bits.TrailingZeros32(mask)
		if err := r.out.DeadLetter(1<<exp, letter(r.pipeline, in, rec, reader.Fault(exp))); err != nil {
			return err
		}
	}
	return nil
}

func letter(p *Pipeline, in int, rec *mortise.Record, why *mortise.RecordError) *mortise.DeadLetter {
	return &mortise.DeadLetter{Source: p.Sources[in].Specs[0].Name, Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Reason: why.Reason, Detail: why.Error(), Raw: rec.Value}
}

// share is one task's of what a worker allows all of its.
type share struct {
	rows        int // impressions to be closed in a round
	parked      int // rows that wait
	parkedBytes int64
	amends      int // rows that may be corrected
	amendsBytes int64
}

// advance moves the watermark and closes at most as many impressions as its share.
func (r *runner) advance(nowMS int64, limit share) error {
	if err := r.readArrivals(); err != nil {
		return err
	}
	if r.rebuild != nil {
		return nil
	}
	if err := r.tendParked(nowMS, limit); err != nil {
		return err
	}
	r.task.Advance(r.clock.Advance(nowMS))
	r.due = false
	if err := r.forgetArrivals(); err != nil {
		return err
	}
	if landed, err := r.land(); !landed || err != nil {
		return err
	}
	if r.defers {
		if r.owed = r.owed || r.isFull(); r.owed {
			r.launch()
			return nil
		}
		r.task.HoldFrom(r.finalMS())
	}
	var done bool
	var err error
	if r.clock.Ended() {
		done, err = r.task.Finish(limit.rows)
		r.finished = done && err == nil && !r.away() && r.nothingWaits()
	} else {
		done, err = r.task.Close(limit.rows)
	}
	r.due = !done && !r.task.Held()
	if err == nil {
		r.launch()
	}
	return err
}

// waits reports whether the task can go on only when what rows need is there.
func (r *runner) waits() bool { return r.owed || r.flying != nil || r.looks() || r.task.Held() }

// setEnds fixes where each input ends; an input that is there already has ended.
func (r *runner) setEnds(ends []int64) {
	r.ends = ends
	r.checkEnds()
}

func (r *runner) checkEnds() {
	if r.ends == nil || r.rebuild != nil {
		return
	}
	for in, end := range r.ends {
		if r.next[in] >= end {
			r.clock.End(in)
		}
	}
}

// ahead reports whether input in has run so far ahead of the watermark, in
// event time, that it should wait for the others.
func (r *runner) ahead(in int, maxAheadMS, nowMS int64) bool {
	if r.rebuild != nil {
		return r.reached(in)
	}
	base := max(r.clock.Current(), r.firstMS)
	holding := r.clock.Holding(nowMS)
	return base != joiner.NoTimeMS && holding >= 0 && holding != in && r.clock.MaxTimeMS(in) > base+maxAheadMS
}
