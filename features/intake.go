package features

import (
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// intake reads what the groups of one source need from its rows. Each condition
// and each argument is evaluated once for an event, however many columns share it.
type intake struct {
	groups    []groupIntake
	wheres    []*memo
	args      []*memo
	row       mortise.Row
	given     []byte // the entity's key; nil where it is to be made of the row
	key       []byte
	values    []mortise.Value
	fault     *mortise.RecordError
	kept      int // bytes of values that states of no fixed size may have kept
	evaluated int // rows so far, by which a memo knows whether it is of this one
}

// groupIntake is what one group needs.
type groupIntake struct {
	group   int
	entity  []int // slots
	columns []columnIntake
}

// columnIntake is what one column needs; where and arg are nil where it has none.
type columnIntake struct {
	where, arg *memo
	grows      bool // its states keep values, and have no fixed size
}

// memo is an expression and what it gave for the row that was evaluated last.
type memo struct {
	text  string
	typ   mortise.Type
	slot  int // of a plain field, -1 for anything else
	eval  *expression.Evaluator
	of    int // row
	value mortise.Value
}

func newIntake(set *Set, source int, slot func(source int, field string) int) intake {
	in := intake{}
	for i := range set.Groups {
		g := &set.Groups[i]
		if g.Source != source {
			continue
		}
		gi := groupIntake{group: i}
		for _, field := range g.Entity {
			gi.entity = append(gi.entity, slot(source, field))
		}
		bind := func(known *[]*memo, p *expression.Program) *memo {
			if p == nil {
				return nil
			}
			return remember(known, p, func(field string) int { return slot(source, field) })
		}
		for _, c := range g.columns {
			ci := columnIntake{where: bind(&in.wheres, c.where), arg: bind(&in.args, c.arg)}
			switch c.kind {
			case kindCount, kindSumInt, kindSumFloat, kindMoments, kindDecayed:
			default:
				ci.grows = true
			}
			gi.columns = append(gi.columns, ci)
		}
		in.groups = append(in.groups, gi)
	}
	return in
}

// remember returns the memo of a program, making it unless it is known.
func remember(known *[]*memo, p *expression.Program, slot func(field string) int) *memo {
	text := source(p)
	for _, m := range *known {
		if m.text == text {
			return m
		}
	}
	m := &memo{text: text, typ: p.Type(), slot: -1}
	var slots []int
	for _, field := range p.Fields() {
		slots = append(slots, slot(field))
	}
	if len(slots) == 1 && p.Fields()[0] == text {
		m.slot = slots[0]
	} else {
		m.eval = p.Bind(slots)
	}
	*known = append(*known, m)
	return m
}

func (in *intake) begin(row mortise.Row, entity []byte) {
	in.row, in.given, in.fault = row, entity, nil
	in.evaluated++
}

func (in *intake) entity(gi *groupIntake) ([]byte, bool) {
	if in.given != nil {
		return in.given, true
	}
	in.values = in.values[:0]
	for _, slot := range gi.entity {
		in.values = append(in.values, in.row[slot])
	}
	var ok bool
	in.key, ok = EntityKey(in.key[:0], in.values...)
	return in.key, ok
}

// value returns what the column aggregates of the row; false where its `where`
// does not hold or its argument is null.
func (in *intake) value(c *columnIntake) (mortise.Value, bool) {
	if c.where != nil && !in.read(c.where).Bool() {
		return mortise.Value{}, false
	}
	if c.arg == nil {
		return mortise.Value{}, true
	}
	v := in.read(c.arg)
	if v.IsNull() {
		return v, false
	}
	if c.grows {
		in.kept += 16 + len(v.Text()) + 32*len(v.List())
	}
	return v, true
}

// read evaluates a memo for the row. A failure counts as null, and is the event's fault.
func (in *intake) read(m *memo) mortise.Value {
	if m.of == in.evaluated {
		return m.value
	}
	m.of = in.evaluated
	if m.slot >= 0 {
		m.value = in.row[m.slot]
	} else {
		var err error
		if m.value, err = m.eval.Eval(in.row); err != nil {
			m.value = mortise.NullValue()
			if in.fault == nil {
				in.fault = &mortise.RecordError{Reason: mortise.ReasonExpression, Field: m.text, Detail: err.Error()}
			}
		}
	}
	m.value = in.fit(m)
	return m.value
}

// fit makes the value one of the memo's type. A number that is not finite is null:
// no sum could take it out again.
func (in *intake) fit(m *memo) mortise.Value {
	v := m.value
	if v.IsNull() {
		return mortise.NullValue()
	}
	if m.typ.Kind == mortise.Float {
		f, ok := v.Number()
		if ok && v.Kind != mortise.Bool && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return mortise.FloatValue(f)
		}
	} else if v.Kind == m.typ.Kind {
		return v
	}
	if in.fault == nil && v.Kind != mortise.Float {
		in.fault = &mortise.RecordError{Reason: mortise.ReasonBadField, Field: m.text, Detail: fmt.Sprintf("expected %s, found %s", m.typ, v.Kind)}
	}
	return mortise.NullValue()
}
