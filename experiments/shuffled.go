package experiments

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// How a task takes in what comes through an internal topic.
//
// A record becomes again what it was, in r.origin, and the join orders it by the
// partition that it came from, and within that by its offset in the internal
// topic: records of one partition are in the same order there. So duplicates,
// sums and everything else come out as they would without the shuffle, and the
// offsets that the task keeps are those that it reads again from.

// restore makes r.origin of a record of an internal topic. A marker instead moves
// the input's clocks. The error is a *mortise.RecordError.
func (r *runner) restore(in int, read *mortise.Record, nowMS int64) (marker bool, err error) {
	if IsClocks(read.Headers) {
		c, err := ParseClocks(read.Value)
		if err != nil {
			return true, &mortise.RecordError{Reason: mortise.ReasonBadField, Field: ClocksHeader, Detail: err.Error()}
		}
		for _, k := range c.Clocks {
			maxMS := int64(joiner.NoTimeMS)
			if k.MaxMS != nil {
				maxMS = *k.MaxMS
			}
			r.clock.Heard(in, int(k.Partition), c.Origins, maxMS, k.Idle, nowMS)
			if r.rebuild == nil {
				r.task.CountLost(in, k.Lost)
			}
		}
		return true, nil
	}
	r.origin = *read
	if err := RestoreOrigin(&r.origin, r.pipeline.Sources[in].Shuffle.Origin); err != nil {
		return false, &mortise.RecordError{Reason: mortise.ReasonBadField, Field: OriginHeader, Detail: err.Error()}
	}
	return false, nil
}

// observe moves the input's clock by an event of a record.
func (r *runner) observe(in int, rec *mortise.Record, timeMS, nowMS int64) {
	if r.pipeline.Sources[in].Shuffle != nil {
		r.clock.ObserveFrom(in, int(rec.Partition), timeMS, nowMS)
		return
	}
	r.clock.Observe(in, timeMS, nowMS)
}

// keep returns a record's value as the task keeps it.
func (r *runner) keep(in int, rec *mortise.Record, value []byte) []byte {
	if r.pipeline.Sources[in].Shuffle == nil {
		return value
	}
	r.kept = appendKept(r.kept[:0], value, rec.Offset)
	return r.kept
}

// value returns what was taken in of what the task keeps of an input.
func (p *Pipeline) value(in int, kept []byte) []byte {
	if p.Sources[in].Shuffle == nil {
		return kept
	}
	value, _ := splitKept(kept)
	return value
}

// rejected is the dead letter of a record that the task keeps.
func (p *Pipeline) rejected(e *joiner.Entry, why *mortise.RecordError) *mortise.DeadLetter {
	in := &p.Sources[e.Source]
	dl := &mortise.DeadLetter{Source: in.Specs[0].Name, Topic: in.Topic, Partition: e.Partition, Offset: e.Offset, Reason: why.Reason, Detail: why.Error(), Raw: e.Value}
	if in.Shuffle != nil {
		dl.Topic = in.Shuffle.Origin
		dl.Raw, dl.Offset = splitKept(e.Value)
	}
	dl.Raw = p.raw(in, dl.Raw)
	return dl
}

// raw returns a record's value as it came, of what was taken in.
func (p *Pipeline) raw(in *Input, value []byte) []byte {
	if !namesSchema(in.Specs[0]) {
		return value
	}
	return schema.Raw(value)
}
