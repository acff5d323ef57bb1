package features

import (
	"cmp"
	"encoding/binary"

	mortise "github.com/mortise-dev/mortise"
)

// least is the smallest value, largest the largest: numbers by size, text by its
// bytes.
type (
	least   struct{ datum }
	largest struct{ datum }
)

func (s *least) add(_ *params, v mortise.Value, _ int64)   { keepEnd(&s.datum, v, -1) }
func (s *largest) add(_ *params, v mortise.Value, _ int64) { keepEnd(&s.datum, v, 1) }

func (s *least) absorb(_ *params, d *decoder, _ int64)   { absorbEnd(&s.datum, d, -1) }
func (s *largest) absorb(_ *params, d *decoder, _ int64) { absorbEnd(&s.datum, d, 1) }

func (s *least) append(_ *params, dst []byte, _ int64) []byte   { return s.datum.append(dst) }
func (s *largest) append(_ *params, dst []byte, _ int64) []byte { return s.datum.append(dst) }

func (s *least) result(*params, int64) mortise.Value   { return s.value() }
func (s *largest) result(*params, int64) mortise.Value { return s.value() }

func (s *least) reset()   { s.kind = mortise.Invalid }
func (s *largest) reset() { s.kind = mortise.Invalid }

// keepEnd makes a the more extreme of itself and v, in the direction of sign.
func keepEnd(a *datum, v mortise.Value, sign int) {
	if b := view(v); a.kind == mortise.Invalid || b.compare(a)*sign > 0 {
		a.copyFrom(&b)
	}
}

func absorbEnd(a *datum, d *decoder, sign int) {
	var b datum
	if b.decode(d); !d.bad && (a.kind == mortise.Invalid || b.compare(a)*sign > 0) {
		a.copyFrom(&b)
	}
}

// moment is a value and when it occurred. Moments are ordered by time, and those
// of one millisecond by value.
type moment struct {
	timeMS int64
	value  datum
}

func (a *moment) compare(b *moment) int {
	if c := cmp.Compare(a.timeMS, b.timeMS); c != 0 {
		return c
	}
	return a.value.compare(&b.value)
}

func (a *moment) append(dst []byte, baseMS int64) []byte {
	return a.value.append(appendVarint(dst, a.timeMS-baseMS))
}

func (a *moment) decode(d *decoder, baseMS int64) {
	a.timeMS = d.varint() + baseMS
	a.value.decode(d)
}

// first is the earliest moment.
type first struct{ moment }

func (s *first) add(_ *params, v mortise.Value, timeMS int64) {
	s.keep(&moment{timeMS, view(v)})
}

func (s *first) keep(m *moment) {
	if s.value.kind == mortise.Invalid || m.compare(&s.moment) < 0 {
		s.timeMS = m.timeMS
		s.value.copyFrom(&m.value)
	}
}

func (s *first) absorb(_ *params, d *decoder, baseMS int64) {
	var m moment
	if m.decode(d, baseMS); !d.bad {
		s.keep(&m)
	}
}

func (s *first) append(_ *params, dst []byte, baseMS int64) []byte {
	return s.moment.append(dst, baseMS)
}
func (s *first) result(*params, int64) mortise.Value { return s.value.value() }
func (s *first) reset()                              { s.value.kind = mortise.Invalid }

// recent is the n latest moments. Two events of one millisecond and one value
// are two moments.
type recent struct {
	n       int      // as many count; it is written with the state, which merges without params
	moments []moment // the latest last; more than n of them for a while
}

func (s *recent) add(p *params, v mortise.Value, timeMS int64) {
	s.n = p.n
	s.keep(&moment{timeMS, view(v)})
}

// keep copies m to its place, unless n later ones are there.
func (s *recent) keep(m *moment) {
	n := len(s.moments)
	at := n
	for at > 0 && m.compare(&s.moments[at-1]) < 0 {
		at--
	}
	if n-at >= s.n {
		return
	}
	if n < cap(s.moments) {
		s.moments = s.moments[:n+1]
	} else {
		s.moments = append(s.moments, moment{})
	}
	spare := s.moments[n] // with its buffer
	copy(s.moments[at+1:], s.moments[at:n])
	spare.timeMS = m.timeMS
	spare.value.copyFrom(&m.value)
	s.moments[at] = spare
	if n >= 2*s.n {
		s.trim()
	}
}

// trim lets go of what does not count any more, and keeps its buffers.
func (s *recent) trim() {
	over := len(s.moments) - s.n
	if over <= 0 {
		return
	}
	for i := range s.n {
		s.moments[i], s.moments[over+i] = s.moments[over+i], s.moments[i]
	}
	s.moments = s.moments[:s.n]
}

func (s *recent) absorb(_ *params, d *decoder, baseMS int64) {
	n := d.uvarint()
	if n < 1 || n > MaxListLen {
		d.fail()
		return
	}
	s.n = max(s.n, int(n))
	for range d.count() {
		var m moment
		if m.decode(d, baseMS); d.bad {
			return
		}
		s.keep(&m)
	}
}

// append writes n and the moments, the latest first.
func (s *recent) append(_ *params, dst []byte, baseMS int64) []byte {
	s.trim()
	dst = binary.AppendUvarint(dst, uint64(s.n))
	dst = binary.AppendUvarint(dst, uint64(len(s.moments)))
	for i := len(s.moments) - 1; i >= 0; i-- {
		dst = s.moments[i].append(dst, baseMS)
	}
	return dst
}

// result is the list of values, the latest first, or of last the one value.
func (s *recent) result(p *params, _ int64) mortise.Value {
	s.trim()
	if p.fn == "last" {
		return s.moments[len(s.moments)-1].value.value()
	}
	list := make([]mortise.Value, 0, len(s.moments))
	for i := len(s.moments) - 1; i >= 0; i-- {
		list = append(list, s.moments[i].value.value())
	}
	return mortise.ListValue(list)
}

func (s *recent) reset() { s.n, s.moments = 0, s.moments[:0] }
