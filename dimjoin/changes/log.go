package changes

import (
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Log is what is remembered of one key: the row as it was some time ago, and what
// changes have said of it since. Everything in it is its own.
type Log struct {
	fields mortise.Schema
	base   state
	baseMS int64 // of the last change in base; math.MinInt64 where there is none
	said   []statement
}

// statement is what the changes of one millisecond say together.
type statement struct {
	atMS   int64
	clears bool        // nothing of the row before stays
	row    mortise.Row // zero where nothing is said of a field; nil where the row ends
	stored bool        // the table has a version that begins then
}

// state is a row as far as changes have told it: a zero Value is a field that is
// not known. A nil state is no row.
type state mortise.Row

// Outcome is what became of a change.
type Outcome uint8

const (
	Applied Outcome = iota // it has made or altered versions
	Same                   // it says what was so already
	Late                   // it is older than what is remembered: see Log.ApplyLate
)

// NewLog begins the log of a key whose latest version in the table is row, valid
// from fromMS on; nil is a key that the table does not have.
func NewLog(fields mortise.Schema, row mortise.Row, fromMS int64) *Log {
	l := &Log{fields: fields, baseMS: math.MinInt64}
	if row != nil {
		l.base, l.baseMS = state(cloneRow(row)), fromMS
	}
	return l
}

// after is the state behind a statement.
func (s *statement) after(before state) state {
	if s.row == nil {
		return nil
	}
	next := make(state, len(s.row))
	if !s.clears && before != nil {
		copy(next, before)
	}
	for i, v := range s.row {
		if v.Kind != mortise.Invalid {
			next[i] = v
		}
	}
	return next
}

// visible is the row that readers see: none until every field is known that may
// not be null.
func (l *Log) visible(s state) mortise.Row {
	if s == nil {
		return nil
	}
	row := make(mortise.Row, len(s))
	for i, v := range s {
		if v.Kind == mortise.Invalid {
			if !l.fields[i].Type.Nullable {
				return nil
			}
			v = mortise.NullValue()
		}
		row[i] = v
	}
	return row
}

// Latest is the row behind all that has been said, and from when on it is so; nil
// is no row.
func (l *Log) Latest() (row mortise.Row, fromMS int64) {
	s, at := l.base, l.baseMS
	for i := range l.said {
		s, at = l.said[i].after(s), l.said[i].atMS
	}
	return l.visible(s), at
}

// Apply takes a change in, wherever in time it belongs, and appends the versions
// to dst that the table then lacks. Their rows are the log's: not to be changed.
func (l *Log) Apply(dst []dimjoin.Record, c *Change) ([]dimjoin.Record, Outcome) {
	atMS := c.AtMS
	if c.Tombstone {
		row, latestMS := l.latestState()
		if row == nil {
			return dst, Same
		}
		atMS = max(atMS, latestMS)
	}
	if atMS < l.baseMS {
		return dst, Late
	}
	at, found := slices.BinarySearchFunc(l.said, atMS, func(s statement, ms int64) int { return compare(s.atMS, ms) })
	before := l.base // at's predecessor's
	for i := range at {
		before = l.said[i].after(before)
	}
	// What readers see at each statement from there on, as the table has it.
	seen := make([]mortise.Row, 0, len(l.said)-at+1)
	old := before
	if !found {
		seen = append(seen, l.visible(before))
	}
	for i := at; i < len(l.said); i++ {
		old = l.said[i].after(old)
		seen = append(seen, l.visible(old))
	}
	if !found {
		l.said = slices.Insert(l.said, at, statement{atMS: atMS, row: make(mortise.Row, len(l.fields))})
	}
	l.said[at].add(c)
	n := len(dst)
	dst = l.write(dst, c, at, before, seen)
	if len(dst) == n {
		return dst, Same
	}
	return dst, Applied
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (l *Log) latestState() (state, int64) {
	s, at := l.base, l.baseMS
	for i := range l.said {
		s, at = l.said[i].after(s), l.said[i].atMS
	}
	return s, at
}

// write appends the versions from statement at on that differ from what the table
// has: seen, where a version begins there, or else what flows on from before.
func (l *Log) write(dst []dimjoin.Record, c *Change, at int, before state, seen []mortise.Row) []dimjoin.Record {
	flows := l.visible(before)
	now := before
	for i := at; i < len(l.said); i++ {
		s := &l.said[i]
		now = s.after(now)
		has := flows
		if s.stored {
			has = seen[i-at]
		}
		row := l.visible(now)
		if !EqualRows(row, has) {
			dst = append(dst, dimjoin.Record{Key: c.Key, Values: c.Values, Row: row, FromMS: s.atMS})
			s.stored = true
		}
		flows = row
	}
	return dst
}

// add makes what a change says part of the statement, behind what is in it.
func (s *statement) add(c *Change) {
	if c.Row == nil {
		s.clears, s.row = true, nil
		return
	}
	if s.row == nil {
		s.row = make(mortise.Row, len(c.Row))
	}
	for i, v := range c.Row {
		if v.Kind != mortise.Invalid {
			s.row[i] = cloneValue(v)
		}
	}
}

// ApplyLate takes in a change that is older than what is remembered. found is the
// table's answer as of that time. What lies behind the change is left as it is:
// which of it was said, and which only kept, is forgotten.
func (l *Log) ApplyLate(dst []dimjoin.Record, c *Change, found *dimjoin.Lookup) ([]dimjoin.Record, Outcome) {
	s := statement{row: make(mortise.Row, len(l.fields))}
	s.add(c)
	row := l.visible(s.after(state(found.Row)))
	if EqualRows(row, found.Row) {
		return dst, Same
	}
	dst = append(dst, dimjoin.Record{Key: c.Key, Values: c.Values, Row: row, FromMS: c.AtMS})
	if found.ToMS == 0 || found.ToMS > l.baseMS { // what flowed on from there ends where more is known
		dst = append(dst, dimjoin.Record{Key: c.Key, Values: c.Values, Row: l.visible(l.base), FromMS: l.baseMS})
	}
	return dst, Applied
}

// MaxSaid bounds what is remembered of one key, in milliseconds in which it changed.
const MaxSaid = 64

// Forget makes what was said before a time, or is more than MaxSaid, part of the
// row that is known.
func (l *Log) Forget(beforeMS int64) {
	n := max(len(l.said)-MaxSaid, 0)
	for n < len(l.said) && l.said[n].atMS < beforeMS {
		n++
	}
	for i := range l.said[:n] {
		l.base, l.baseMS = l.said[i].after(l.base), l.said[i].atMS
	}
	l.said = slices.Delete(l.said, 0, n)
}

// EqualRows reports whether two rows are the same to the bit; nil is no row.
func EqualRows(a, b mortise.Row) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, equal)
}

func equal(a, b mortise.Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case mortise.String:
		return string(a.Text()) == string(b.Text())
	case mortise.List:
		return slices.EqualFunc(a.List(), b.List(), equal)
	case mortise.Float:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float())
	case mortise.Invalid, mortise.Null:
		return true
	}
	return a.Int() == b.Int()
}

func cloneRow(row mortise.Row) mortise.Row {
	out := make(mortise.Row, len(row))
	for i, v := range row {
		out[i] = cloneValue(v)
	}
	return out
}

func cloneValue(v mortise.Value) mortise.Value {
	switch v.Kind {
	case mortise.String:
		return mortise.TextValue(append([]byte{}, v.Text()...))
	case mortise.List:
		list := make([]mortise.Value, len(v.List()))
		for i, e := range v.List() {
			list[i] = cloneValue(e)
		}
		return mortise.ListValue(list)
	}
	return v
}
