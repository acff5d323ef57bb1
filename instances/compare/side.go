package compare

import (
	"encoding/binary"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// Side takes the rows of one of the two sets, in any order. One goroutine uses
// a Side; both sides may be filled at the same time.
type Side struct {
	opts    *Options
	sorter  sorter
	layouts []*compiled
	byName  map[*Layout]uint32
	last    uint32 // of the row before
	key     []byte // an id that is not text
	size    int    // of the largest record so far

	summary SideSummary
	columns []string // all that were seen, in the order in which they were
	known   map[string]bool
}

// SideSummary is what one side holds.
type SideSummary struct {
	Rows        int64            `json:"rows"`
	Provisional int64            `json:"provisional_left_out,omitempty"` // under FinalOnly; not among Rows
	Duplicates  int64            `json:"duplicates"`                     // of them, rows beyond the first of one instance, revision and event time
	Late        int64            `json:"late"`                           // of them, flagged late
	FirstMS     int64            `json:"first_event_time"`               // ms UTC; 0 without rows
	LastMS      int64            `json:"last_event_time"`                // ms UTC; 0 without rows
	MaxWeight   float64          `json:"max_weight"`                     // 1/rate of the sparsest sampling
	Versions    map[string]int64 `json:"versions,omitempty"`             // rows by the version and configuration that wrote them
	Columns     []string         `json:"columns"`
}

func newSide(o *Options) *Side {
	return &Side{opts: o, byName: map[*Layout]uint32{}, known: map[string]bool{}, size: 256,
		sorter: sorter{budget: o.MemoryBytes / 2, spill: o.Spill}}
}

// Add takes a row and copies what it needs of it.
func (s *Side) Add(r Row) error {
	at, err := s.layoutOf(r.Layout)
	if err != nil {
		return err
	}
	c := s.layouts[at]
	if len(r.Values) != len(c.layout.Names) {
		return fmt.Errorf("a row has %d values for %d columns", len(r.Values), len(c.layout.Names))
	}
	id, err := s.idOf(&r.Values[c.id])
	if err != nil {
		return err
	}
	if s.opts.FinalOnly && isProvisional(c, r.Values) {
		s.summary.Provisional++
		return nil
	}
	timeMS, revision := whole(r.Values, c.time), whole(r.Values, c.revision)
	dst, err := s.sorter.begin(s.size)
	if err != nil {
		return err
	}
	from := len(dst)
	if s.opts.FinalOnly { // in the order in which newest takes them
		dst = appendKey(dst, id, timeMS, revision)
	} else {
		dst = appendKey(dst, id, revision, timeMS)
	}
	for i, col := range c.order {
		v := &r.Values[col]
		dst = appendValue(dst, v)
		s.note(c.columns[i].role, v)
	}
	dst = binary.BigEndian.AppendUint32(dst, at)
	s.size = max(s.size, len(dst)-from)
	s.sorter.end(dst)
	s.noteTime(timeMS)
	if v := c.layout.Version; v != "" {
		s.summary.Versions[v]++
	}
	return nil
}

func (s *Side) layoutOf(l *Layout) (uint32, error) {
	if int(s.last) < len(s.layouts) && s.layouts[s.last].layout == l {
		return s.last, nil
	}
	at, ok := s.byName[l]
	if !ok {
		c, err := s.opts.compile(l)
		if err != nil {
			return 0, err
		}
		at = uint32(len(s.layouts))
		s.layouts, s.byName[l] = append(s.layouts, c), at
		for _, name := range l.Names {
			if !s.known[name] {
				s.known[name] = true
				s.columns = append(s.columns, name)
			}
		}
		if l.Version != "" && s.summary.Versions == nil {
			s.summary.Versions = map[string]int64{}
		}
	}
	s.last = at
	return at, nil
}

// idOf returns the instance's id as bytes.
func (s *Side) idOf(v *mortise.Value) ([]byte, error) {
	if v.Kind == mortise.String {
		return v.Text(), nil
	}
	key, ok := v.AppendKey(s.key[:0])
	s.key = key
	if !ok {
		return nil, fmt.Errorf("row %d has no %s: it is %s", s.summary.Rows+1, colID, v.Kind)
	}
	return key, nil
}

func isProvisional(c *compiled, row mortise.Row) bool {
	for i, col := range c.columns {
		if col.role == roleFinal {
			v := &row[c.order[i]]
			return v.Kind == mortise.Bool && !v.Bool()
		}
	}
	return false
}

// whole returns a whole number of a row, 0 where there is none.
func whole(row mortise.Row, at int) int64 {
	if at < 0 {
		return 0
	}
	switch v := &row[at]; v.Kind {
	case mortise.Int, mortise.Timestamp:
		return v.Int()
	case mortise.Float:
		return int64(v.Float())
	}
	return 0
}

func (s *Side) note(r role, v *mortise.Value) {
	switch r {
	case roleLate:
		if v.Kind == mortise.Bool && v.Bool() {
			s.summary.Late++
		}
	case roleWeight:
		if w, ok := v.Number(); ok {
			s.summary.MaxWeight = max(s.summary.MaxWeight, w)
		}
	}
}

func (s *Side) noteTime(ms int64) {
	sum := &s.summary
	if sum.Rows == 0 || ms < sum.FirstMS {
		sum.FirstMS = ms
	}
	if sum.Rows == 0 || ms > sum.LastMS {
		sum.LastMS = ms
	}
	sum.Rows++
}

// comparedColumns are the side's columns that count, for finding those that the other
// side lacks.
func (s *Side) comparedColumns() (names []string) {
	for _, name := range s.columns {
		if s.opts.isCompared(name) {
			names = append(names, name)
		}
	}
	return names
}
