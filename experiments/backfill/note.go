package backfill

// note is what a spill file tells beside its records.
type note struct {
	// Units says how far units are read with this spill and all before it.
	Units map[int]progress `json:"units,omitempty"`
	// Skipped counts what was left out for lying outside the range, per lane and split.
	Skipped map[int]map[int]int64 `json:"skipped,omitempty"`
	// Read counts records per lane, and Times says which event times they have.
	Read  map[int]int64 `json:"read,omitempty"`
	Times map[int]Range `json:"times,omitempty"`
	// Replaces names the spills whose records, and notes, are in this one.
	Replaces []string `json:"replaces,omitempty"`
}

// progress is how far a unit has been read.
type progress struct {
	Next  int64  `json:"next"` // records before this offset are in spills
	Done  bool   `json:"done"`
	MaxMS *int64 `json:"max_ms,omitempty"` // the greatest event time so far
	// OrderMS is that of the last record that has one.
	OrderMS *int64 `json:"order_ms,omitempty"`
}

func newNote() note {
	return note{Units: map[int]progress{}, Skipped: map[int]map[int]int64{}, Read: map[int]int64{}, Times: map[int]Range{}}
}

func (n *note) skip(lane, split int, count int64) {
	if n.Skipped[lane] == nil {
		n.Skipped[lane] = map[int]int64{}
	}
	n.Skipped[lane][split] += count
}

// add adds another spill's note.
func (n *note) add(o *note) {
	for i, p := range o.Units {
		if at, ok := n.Units[i]; !ok || p.Next >= at.Next {
			n.Units[i] = p
		}
	}
	for lane, per := range o.Skipped {
		for split, count := range per {
			n.skip(lane, split, count)
		}
	}
	for lane, count := range o.Read {
		n.Read[lane] += count
	}
	for lane, t := range o.Times {
		if have, ok := n.Times[lane]; ok {
			t = Range{min(t.FromMS, have.FromMS), max(t.ToMS, have.ToMS)}
		}
		n.Times[lane] = t
	}
}
