package features

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// kind is what a partial aggregate keeps, and how it is written. The numbers are
// part of the stored format.
type kind uint8

const (
	kindCount kind = iota
	kindSumInt
	kindSumFloat
	kindMoments
	kindMin
	kindMax
	kindFirst
	kindLast
	kindSketch
	kindSet
	kindTopK
	kindDecayed
	numKinds
)

// params are what a partial aggregate's operations depend on beside its state.
// Merging and writing states needs none of them.
type params struct {
	fn         string // the aggregate function that asks for the result
	n          int    // of last_n and topk
	halfLifeMS int64  // of decayed_sum
	arg        mortise.Type
}

// A partial is the state of one aggregate over some events, which merges with
// that over others. What it gives depends on the events only: neither on their
// order nor on how they were divided.
//
// Times are written relative to baseMS, which reader and writer agree on, so
// that states are small; states that are merged without being understood are
// read and written with any one base.
type partial[S any] interface {
	*S
	// add takes one event's argument, which is not null.
	add(p *params, v mortise.Value, timeMS int64)
	// absorb merges a state that append wrote.
	absorb(p *params, d *decoder, baseMS int64)
	// append writes the state: of equal states the same bytes.
	append(p *params, dst []byte, baseMS int64) []byte
	// result is the aggregate as of a time at which all the events lie in the past.
	// It aliases the state.
	result(p *params, asOfMS int64) mortise.Value
	// reset makes the state that of no event, and keeps its buffers.
	reset()
}

// states are many states of one aggregate, in numbered rows.
type states interface {
	// resize makes n empty rows.
	resize(n int)
	// grow adds an empty row.
	grow()
	// has reports whether the row holds any event.
	has(row int) bool
	add(row int, v mortise.Value, timeMS int64)
	absorb(row int, state []byte, baseMS int64) error
	append(dst []byte, row int, baseMS int64) []byte
	result(row int, asOfMS int64) mortise.Value
}

// rows implements states over one kind of partial.
type rows[S any, P partial[S]] struct {
	params
	states []S
	filled []bool
}

func (r *rows[S, P]) resize(n int) {
	for len(r.states) < n {
		var zero S
		r.states = append(r.states, zero)
	}
	r.filled = append(r.filled[:0], make([]bool, n)...)
}

func (r *rows[S, P]) grow() {
	if len(r.filled) == len(r.states) {
		var zero S
		r.states = append(r.states, zero)
	}
	r.filled = append(r.filled, false)
}

func (r *rows[S, P]) has(row int) bool { return r.filled[row] }

// at returns a row's state, which is reset when it is first used.
func (r *rows[S, P]) at(row int) P {
	s := P(&r.states[row])
	if !r.filled[row] {
		s.reset()
		r.filled[row] = true
	}
	return s
}

func (r *rows[S, P]) add(row int, v mortise.Value, timeMS int64) {
	r.at(row).add(&r.params, v, timeMS)
}

func (r *rows[S, P]) absorb(row int, state []byte, baseMS int64) error {
	d := decoder{data: state}
	r.at(row).absorb(&r.params, &d, baseMS)
	return d.done()
}

func (r *rows[S, P]) append(dst []byte, row int, baseMS int64) []byte {
	return r.at(row).append(&r.params, dst, baseMS)
}

func (r *rows[S, P]) result(row int, asOfMS int64) mortise.Value {
	if !r.filled[row] {
		return overNothing(r.fn, r.arg)
	}
	return r.at(row).result(&r.params, asOfMS)
}

// overNothing is an aggregate's value where there is no event.
func overNothing(fn string, arg mortise.Type) mortise.Value {
	switch fn {
	case "count", "distinct":
		return mortise.IntValue(0)
	case "sum":
		if arg.Kind == mortise.Float {
			return mortise.FloatValue(0)
		}
		return mortise.IntValue(0)
	case "last_n":
		return mortise.ListValue([]mortise.Value{})
	}
	return mortise.NullValue()
}

// newStates makes rows for states of a kind.
func newStates(k kind, p params) states {
	switch k {
	case kindCount:
		return &rows[count, *count]{params: p}
	case kindSumInt:
		return &rows[sumInt, *sumInt]{params: p}
	case kindSumFloat:
		return &rows[sumFloat, *sumFloat]{params: p}
	case kindMoments:
		return &rows[moments, *moments]{params: p}
	case kindMin:
		return &rows[least, *least]{params: p}
	case kindMax:
		return &rows[largest, *largest]{params: p}
	case kindFirst:
		return &rows[first, *first]{params: p}
	case kindLast:
		return &rows[recent, *recent]{params: p}
	case kindSketch:
		return &rows[sketch, *sketch]{params: p}
	case kindSet:
		return &rows[set, *set]{params: p}
	case kindTopK:
		return &rows[frequent, *frequent]{params: p}
	case kindDecayed:
		return &rows[decayed, *decayed]{params: p}
	}
	panic(fmt.Sprintf("partial aggregate of unknown kind %d", k))
}

// kindOf says which states an aggregate keeps, and with what parameters.
func kindOf(a *Aggregate) (kind, params) {
	p := params{fn: a.Func, n: a.N, halfLifeMS: a.HalfLife.Milliseconds()}
	if a.Arg != nil {
		p.arg = a.Arg.Type()
	}
	switch a.Func {
	case "sum", "avg":
		if p.arg.Kind == mortise.Float {
			return kindSumFloat, p
		}
		return kindSumInt, p
	case "stddev":
		return kindMoments, p
	case "min":
		return kindMin, p
	case "max":
		return kindMax, p
	case "first":
		return kindFirst, p
	case "last":
		p.n = 1
		return kindLast, p
	case "last_n":
		return kindLast, p
	case "distinct":
		if a.Exact {
			return kindSet, p
		}
		return kindSketch, p
	case "topk":
		return kindTopK, p
	case "decayed_sum":
		return kindDecayed, p
	}
	return kindCount, p
}
