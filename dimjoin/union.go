package dimjoin

import (
	"context"
	"errors"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// Union is definitions that differ in nothing but their fields, read as one: a key
// that several of them need is asked for once. What each has of it is what it would
// have alone: fields that others declare are none of its faults.
//
// Rows of a union are the fields of Whole and, behind them, how the row is for each
// part.
type Union struct {
	Whole *Definition // the first one's, with everybody's fields, all of them nullable
	Parts []*Part     // in the definitions' order

	sparse bool // rows are what was asked for: fewer fields may be none
}

// Part is one of a union's definitions.
type Part struct {
	def       *Definition
	at        []int // of its fields, in the union's rows
	together  bool  // they stand there one after another
	state     int   // where in the union's rows it stands how the row is
	fallbacks fallbacks
}

// How a union's row is for a part. That it is not known is so only while it is read.
const (
	partThere = iota
	partAbsent
	partBad
	partUnknown
)

// NewUnion makes one of definitions of one table; false where they cannot be: they
// have a field of different types.
func NewUnion(defs []*Definition) (*Union, bool) {
	whole := *defs[0]
	whole.Fields = nil
	u := &Union{Whole: &whole, sparse: isSparse(&whole.Store)}
	for _, def := range defs {
		p := &Part{def: def, together: true, fallbacks: newFallbacks(def)}
		for _, f := range def.Fields {
			at := whole.Fields.Index(f.Name)
			f.Type.Nullable = true
			if at < 0 {
				at = len(whole.Fields)
				whole.Fields = append(whole.Fields, f)
			}
			if whole.Fields[at].Type != f.Type {
				return nil, false
			}
			p.together = p.together && (len(p.at) == 0 || at == p.at[len(p.at)-1]+1)
			p.at = append(p.at, at)
		}
		u.Parts = append(u.Parts, p)
	}
	for i, p := range u.Parts {
		p.state = len(whole.Fields) + i
	}
	return u, true
}

// isSparse reports whether a store says that there is a row only by its columns.
func isSparse(s *Store) bool {
	return s.Kind == "hbase" || s.Kind == "ab" && slices.ContainsFunc(s.AB[:], func(side *Store) bool { return side != nil && isSparse(side) })
}

// Table reads the union out of a table of Whole. Rows that it cannot use are asked
// for part by part, of tables that open makes once one is needed. Close closes
// those; whole stays the caller's.
func (u *Union) Table(whole Table, open func(ctx context.Context, def *Definition) (Table, error)) Table {
	t := &unionTable{union: u, whole: whole}
	for _, p := range u.Parts {
		t.alone = append(t.alone, OpenLater(func(ctx context.Context) (Table, error) { return open(ctx, p.def) }))
	}
	return t
}

type unionTable struct {
	union *Union
	whole Table
	alone []Table // of the parts
}

// Read implements Table.
func (t *unionTable) Read(ctx context.Context, lookups []Lookup) error {
	if err := t.whole.Read(ctx, lookups); err != nil {
		return err
	}
	unknown := false
	for i := range lookups {
		unknown = t.union.judge(&lookups[i]) || unknown
	}
	if !unknown {
		return nil
	}
	for n, p := range t.union.Parts {
		if err := p.readAlone(ctx, t.alone[n], lookups); err != nil {
			return err
		}
	}
	return nil
}

// judge puts behind a row how it is for each part, and reports whether only some
// parts themselves can tell.
func (u *Union) judge(l *Lookup) (unknown bool) {
	if l.Row == nil && l.Err == nil {
		return false
	}
	n := len(u.Whole.Fields)
	row := append(make(mortise.Row, 0, n+len(u.Parts)), l.Row...)
	if l.Err != nil {
		row, l.Row, l.Err = append(row[:0], nulls(n)...), nil, nil
	}
	for _, p := range u.Parts {
		state := int64(partUnknown)
		if l.Row != nil {
			state = p.judge(l.Row, u.sparse)
		}
		unknown = unknown || state == partUnknown
		row = append(row, mortise.IntValue(state))
	}
	l.Row = row
	return unknown
}

func (p *Part) judge(row mortise.Row, sparse bool) (state int64) {
	some := false
	for i, at := range p.at {
		null := row[at].IsNull()
		some = some || !null
		if null && !p.def.Fields[i].Type.Nullable {
			state = partBad
		}
	}
	if sparse && !some {
		return partUnknown
	}
	return state
}

// readAlone reads, as the part alone does, what is not known of it. A field that all
// who declare it have no use for is null.
func (p *Part) readAlone(ctx context.Context, table Table, lookups []Lookup) error {
	var own []Lookup
	var whose []int
	for i := range lookups {
		if l := &lookups[i]; l.Row != nil && l.Row[p.state].Int() == partUnknown {
			own, whose = append(own, Lookup{Key: l.Key, Values: l.Values, AsOfMS: l.AsOfMS}), append(whose, i)
		}
	}
	if len(own) == 0 {
		return nil
	}
	if err := table.Read(ctx, own); err != nil {
		return err
	}
	for k, i := range whose {
		p.merge(lookups[i].Row, &lookups[i], &own[k])
	}
	return nil
}

// merge takes in what a part found alone; the whole holds while every part's does.
func (p *Part) merge(row mortise.Row, whole, own *Lookup) {
	state := int64(partThere)
	switch {
	case own.Err != nil:
		state = partBad
	case own.Row == nil:
		state = partAbsent
	default:
		for i, at := range p.at {
			row[at] = own.Row[i]
		}
	}
	row[p.state] = mortise.IntValue(state)
	if own.FromMS != 0 || own.ToMS != 0 {
		whole.FromMS, whole.ToMS = max(whole.FromMS, own.FromMS), min(whole.ToMS, own.ToMS)
	}
}

// Close implements Table.
func (t *unionTable) Close() (err error) {
	for _, one := range t.alone {
		err = errors.Join(err, one.Close())
	}
	return err
}

// Answer makes answers of the union's reader those of the part, in place.
func (p *Part) Answer(r *Reader, answers []Answer) {
	var t tally
	var rows mortise.Row
	for i := range answers {
		a := &answers[i]
		if a.Served >= ServedDefault {
			a.Row = p.fallbacks.row
			continue
		}
		if state := a.Row[p.state].Int(); state != partThere {
			p.fallBack(a, state, &t)
			continue
		}
		if p.together {
			a.Row = a.Row[p.at[0] : p.at[0]+len(p.at) : p.at[0]+len(p.at)]
			continue
		}
		if len(rows) == 0 {
			rows = make(mortise.Row, (len(answers)-i)*len(p.at))
		}
		own := rows[:len(p.at):len(p.at)]
		rows = rows[len(p.at):]
		for k, at := range p.at {
			own[k] = a.Row[at]
		}
		a.Row = own
	}
	r.count.add(&t)
}

// fallBack serves a row that is there, but not for the part.
func (p *Part) fallBack(a *Answer, state int64, t *tally) {
	because := absent
	if state == partBad {
		because = badRow
	}
	t.served[a.Served]-- // as what it was counted
	p.fallbacks.serve(p.def, a, because, nil)
	t.add(a, because)
}

// Lookup makes the answer of the union's table that of the part.
func (p *Part) Lookup(l *Lookup) {
	if l.Row == nil {
		return
	}
	whole := l.Row
	l.Row = nil
	switch whole[p.state].Int() {
	case partBad:
		l.Err = errors.New("the row has a field that does not fit, or lacks one that may not be null")
	case partThere:
		for _, at := range p.at {
			l.Row = append(l.Row, whole[at])
		}
	}
}
