package compare

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Comparison compares two sets of rows: fill both sides, then ask for the Result.
type Comparison struct {
	opts  Options
	sides [2]*Side
	done  bool
}

// New prepares a comparison. The error is one of Options.Validate.
func New(o Options) (*Comparison, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Comparison{opts: o}
	c.sides = [2]*Side{newSide(&c.opts), newSide(&c.opts)}
	return c, nil
}

// A returns the side that the other is compared with: the older set, as a rule.
func (c *Comparison) A() *Side { return c.sides[0] }

// B returns the other side.
func (c *Comparison) B() *Side { return c.sides[1] }

// Close removes what was spilled.
func (c *Comparison) Close() error {
	return errors.Join(c.sides[0].sorter.close(), c.sides[1].sorter.close())
}

// Result compares the rows that both sides were given. It is called once.
func (c *Comparison) Result() (*Result, error) {
	if c.done {
		return nil, errors.New("a comparison has one result: make another for other rows")
	}
	c.done = true
	w := newWalk(c)
	for i := range w.in {
		from, err := c.sides[i].sorter.merged()
		if err != nil {
			return nil, err
		}
		w.in[i].from = from
		if c.opts.FinalOnly {
			w.in[i].from = &newest{from: from, summary: &c.sides[i].summary}
		}
		if err := w.in[i].advance(); err != nil {
			return nil, err
		}
	}
	for {
		more, err := w.group()
		if err != nil {
			return nil, err
		}
		if !more {
			return w.result(), nil
		}
	}
}

// walk goes over both sides at once, an instance at a time.
type walk struct {
	c      *Comparison
	in     [2]input
	pairs  map[[2]uint32]*pair
	prefix []byte
	found  found
	rows   int64 // walked
	told   int64 // to Progress
	res    Result
	counts map[string]*ColumnSummary
	hours  map[int64]*HourSummary
	taken  map[[2]string]int // samples by kind and class
	broken error             // a record that cannot be read
}

func newWalk(c *Comparison) *walk {
	return &walk{c: c, pairs: map[[2]uint32]*pair{}, counts: map[string]*ColumnSummary{}, hours: map[int64]*HourSummary{}, taken: map[[2]string]int{}}
}

// input is one side of a walk; head is its next record, nil at the end.
type input struct {
	from cursor
	head []byte
}

func (in *input) advance() (err error) {
	in.head, err = in.from.next()
	return err
}

// idPart returns a record's bytes up to the end of its id.
func idPart(rec []byte) []byte {
	size, n := binary.Uvarint(rec[hashBytes:])
	return rec[:hashBytes+n+int(size)]
}

func layoutAt(rec []byte) uint32 { return binary.BigEndian.Uint32(rec[len(rec)-layoutBytes:]) }

// group walks the rows of the next instance; false when there is none. Rows that
// are the same on both sides meet here, however many they are, because both
// sides have one order; only those that differ are kept and looked at.
func (w *walk) group() (bool, error) {
	a, b := &w.in[0], &w.in[1]
	switch {
	case a.head == nil && b.head == nil:
		return false, w.tell(true)
	case b.head == nil || a.head != nil && bytes.Compare(idPart(a.head), idPart(b.head)) <= 0:
		w.prefix = append(w.prefix[:0], idPart(a.head)...)
	default:
		w.prefix = append(w.prefix[:0], idPart(b.head)...)
	}
	f := &w.found
	f.reset()
	for {
		inA, inB := bytes.HasPrefix(a.head, w.prefix), bytes.HasPrefix(b.head, w.prefix)
		var order int
		switch {
		case !inA && !inB:
			if !f.isEmpty() {
				w.resolve()
			}
			return true, errors.Join(w.broken, w.tell(false))
		case !inB:
			order = -1
		case !inA:
			order = 1
		default:
			order = bytes.Compare(a.head[:len(a.head)-layoutBytes], b.head[:len(b.head)-layoutBytes])
		}
		if order == 0 && !w.pair(layoutAt(a.head), layoutAt(b.head)).same {
			order = -1
		}
		if order == 0 {
			w.res.Equal++
		}
		for i, in := range []*input{a, b} {
			if order == 0 || (order < 0) == (i == 0) {
				w.take(i, in.head, order != 0)
				if err := in.advance(); err != nil {
					return false, err
				}
			}
		}
	}
}

// take notes a row of the instance at hand, and keeps it where it has no equal.
func (w *walk) take(side int, rec []byte, keep bool) {
	w.rows++
	s := &w.found.sides[side]
	if s.note(rec, len(w.prefix)) {
		w.c.sides[side].summary.Duplicates++
	}
	if keep && !s.keep(rec) {
		w.oneSided(side, rec, ClassDuplicate)
	}
}

// tell tells Progress, now and then or at last.
func (w *walk) tell(last bool) error {
	const every = 1 << 16
	if w.c.opts.Progress == nil || !last && w.rows-w.told < every {
		return nil
	}
	w.told = w.rows
	return w.c.opts.Progress(w.rows)
}
