package clean

import (
	"fmt"
	"math"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// Format is how the records of a source are encoded, where it is not as JSON.
// Package joiner/clean/schema has those whose records are written with a schema.
type Format interface {
	// Keep returns what is kept of a record: its value, or that with what else is
	// needed to read it, appended to dst.
	Keep(rec *mortise.Record, dst []byte) []byte
	// Raw returns a record's value out of what Keep made of it.
	Raw(kept []byte) []byte
	// Opener returns a function for one goroutine that finds what reads the wanted
	// fields of a kept value. Its errors that are a *mortise.RecordError are about
	// the record; any other one says that it cannot be read now.
	Opener(wants []fields.Want) func(kept []byte) (s fields.Scanner, body []byte, err error)
}

// scanned is how a moment reads records of a Format.
type scanned struct {
	open   func(kept []byte) (fields.Scanner, []byte, error)
	scan   fields.Scanner // of the last record
	values []mortise.Value
	fits   []fields.Fit
	timeAt int // of the event time in values; -1 where it is not read
}

// newScanned makes what reads p's fields; nil for JSON.
func (s *Source) newScanned(p *plan) *scanned {
	if s.opts.Format == nil || s.opts.Clean != nil {
		return nil
	}
	var wants []fields.Want
	paths := s.paths(p)
	for at := range p.wanted {
		w := fields.Want{Path: paths[at], Type: mortise.Type{Kind: mortise.Timestamp}, Times: eventTimes{s.unit}}
		if slot := p.slots[at]; slot >= 0 {
			f := &s.fields[slot]
			w.Type, w.Times = f.typ, fieldTimes{f.unit}
		}
		wants = append(wants, w)
	}
	timeAt := p.timeAt
	if timeAt >= 0 && p.slots[timeAt] >= 0 { // declared, as what it may be; wanted once more as a time
		wants = append(wants, fields.Want{Path: wants[timeAt].Path, Type: mortise.Type{Kind: mortise.Timestamp}, Times: eventTimes{s.unit}})
		timeAt = len(wants) - 1
	}
	return &scanned{open: s.opts.Format.Opener(wants), values: make([]mortise.Value, len(wants)), fits: make([]fields.Fit, len(wants)), timeAt: timeAt}
}

// statusOf is a fit's status.
var statusOf = [...]status{fields.Missing: statusMissing, fields.Null: statusNull, fields.OK: statusOK, fields.Unfit: statusIllTyped, fields.BadText: statusBadUTF8}

// readScanned reads a kept value as read does. An error that is no
// *mortise.RecordError is Opener's.
func (r *Reader) readScanned(value []byte, whole bool) error {
	m := r.last
	b := m.binary
	var err error
	var body []byte
	if b.scan, body, err = b.open(value); err != nil {
		return err
	}
	if err := b.scan.Scan(body, whole, b.values, b.fits); err != nil {
		return &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: err.Error()}
	}
	for at, slot := range m.slots {
		if slot < 0 {
			continue
		}
		st := statusOf[b.fits[at]]
		r.row[slot], r.status[slot] = b.values[at], st
		if st == statusOK {
			continue
		}
		if st == statusBadUTF8 {
			return &mortise.RecordError{Reason: mortise.ReasonBadSchema, Field: r.src.fields[slot].name, Detail: "the string is not valid UTF-8"}
		}
		if users := m.required[at] &^ r.bad; users != 0 {
			r.blame(users, r.badField(slot))
		}
	}
	return nil
}

// describe says what is wrong with the field of a want.
func (b *scanned) describe(want int, f *field) string {
	switch b.fits[want] {
	case fields.Missing:
		return fmt.Sprintf("expected %s, the record's schema has no such field", f.typ)
	case fields.Null:
		return fmt.Sprintf("expected %s, found null; declare the type with ? to allow it", f.typ)
	}
	return fmt.Sprintf("expected %s, the record's schema has %s", f.typ, b.scan.Found(want))
}

// scannedTime reads the event time of the record that was scanned last.
func (r *Reader) scannedTime() (int64, *mortise.RecordError) {
	b := r.intake.binary
	if b.fits[b.timeAt] == fields.OK {
		if ms := b.values[b.timeAt].Int(); allows(ms) {
			return ms, nil
		}
	}
	return 0, &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: r.src.opts.TimeField, Detail: b.describeTime(r.src.unit)}
}

// describeTime says what is wrong with the event time.
func (b *scanned) describeTime(unit timeUnit) string {
	switch b.fits[b.timeAt] {
	case fields.OK:
		ms := b.values[b.timeAt].Int()
		return fmt.Sprintf("event time is %s, %s", display(ms), outside(ms))
	case fields.Missing:
		return "event time is missing: the record's schema has no such field"
	case fields.Null:
		return "event time is null"
	}
	return fmt.Sprintf("the record's schema has %s, of which no event time can be read in unit %s", b.scan.Found(b.timeAt), unitNames[unit])
}

// eventTimes reads the event time, where its schema does not say that it is one.
type eventTimes struct{ unit timeUnit }

// OfInt implements fields.Times.
func (t eventTimes) OfInt(n int64) (ms int64, ok bool) {
	switch t.unit {
	case unitSeconds:
		return n * 1000, n >= math.MinInt64/1000 && n <= math.MaxInt64/1000
	case unitMicros:
		return n / 1000, true
	case unitNanos:
		return n / 1_000_000, true
	}
	return n, t.unit == unitMillis
}

// OfFloat implements fields.Times. Seconds are read by their shortest decimal
// spelling, as JSON would have them; other units need a whole number.
func (t eventTimes) OfFloat(f float64) (ms int64, ok bool) {
	const most = 1 << 62
	if !(math.Abs(f) < most) {
		return 0, false
	}
	if t.unit == unitSeconds {
		var buf [64]byte
		return parseSeconds(strconv.AppendFloat(buf[:0], f, 'f', -1, 64))
	}
	if f != math.Trunc(f) {
		return 0, false
	}
	return t.OfInt(int64(f))
}

// OfText implements fields.Times.
func (t eventTimes) OfText(text []byte) (ms int64, ok bool) {
	if t.unit != unitRFC3339 {
		return 0, false
	}
	return parseRFC3339(text)
}

// fieldTimes reads declared timestamps: numbers in their unit, and RFC 3339 text.
type fieldTimes struct{ unit timeUnit }

// OfInt implements fields.Times.
func (t fieldTimes) OfInt(n int64) (ms int64, ok bool) { return eventTimes(t).OfInt(n) }

// OfFloat implements fields.Times.
func (t fieldTimes) OfFloat(f float64) (ms int64, ok bool) { return eventTimes(t).OfFloat(f) }

// OfText implements fields.Times.
func (t fieldTimes) OfText(text []byte) (ms int64, ok bool) { return parseRFC3339(text) }
