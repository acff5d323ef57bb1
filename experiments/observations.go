package experiments

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/joiner"
)

// observations is what rows of dimensions were when impressions came in, for the
// dimensions that are read on arrival. It belongs to one task.
//
// Impressions of a task come in order of their offset. A key is read once for all
// that have it and came since it was asked for last; what is read holds from the
// first of them on. So a version is kept only where a row has changed, and an
// impression of offset o has the last version of its key that begins at or before o.
type observations struct {
	dims   []observedDimension // per Pipeline.Dimensions
	asked  int                 // keys that are to be read, over all dimensions
	flight *observation        // the read under way
	log    joiner.Log          // keeps it all; see observed.go
	spanMS int64               // of its buckets
	key    []byte              // scratch
	value  []byte              // scratch
	begun  uint64              // reads that have begun
	done   uint64              // and those that have ended
}

type observedDimension struct {
	key     []int // positions in what Intake reads beside the event
	id      string
	experts uint32 // experiments whose rows need it; 0 where it is not read on arrival
	rows    map[string]*observedRow
	asked   []*observedRow // keys that are to be read
}

// observedRow is one key.
type observedRow struct {
	key      []byte
	values   mortise.Row
	asked    ask // of impressions that came since it was read
	flying   ask // of those that wait for the read under way
	versions []observedVersion
	newest   int64 // from of the newest version, dropped or not
}

// ask is the impressions that wait for a key to be read.
type ask struct {
	open    bool
	noted   bool    // it is in the log
	notedMS int64   // up to this event time
	also    []int64 // offsets from which the log has it as well
	from    int64   // offset of the first
	lastMS  int64   // the latest event time
}

// observedVersion is what a key's row was from an offset on.
type observedVersion struct {
	from     int64
	lastMS   int64 // the latest event time of an impression that has it
	loggedMS int64 // and of those that the log knows to have it
	answer   dimjoin.Answer
}

// observation is one read of all keys that were asked for.
type observation struct {
	lookups [][]dimjoin.Answer // per Pipeline.Dimensions
	keys    [][]*observedRow
	done    chan struct{}
	err     error
}

// newObservations makes the table of a task out of its state; nil where nothing is
// read on arrival.
func newObservations(p *Pipeline, store joiner.Store) (*observations, error) {
	fields := p.arrivalKeys()
	if len(fields) == 0 {
		return nil, nil
	}
	stored := p.Join.StoreOptions()
	o := &observations{dims: make([]observedDimension, len(p.Dimensions)), log: store.Log(joiner.Observed), spanMS: stored.SpanMS(joiner.Observed)}
	for i := range p.Dimensions {
		def := p.Dimensions[i].Definition
		if def.AsOf != dimjoin.AsOfArrival {
			continue
		}
		d := &o.dims[i]
		d.id, d.rows = p.Dimensions[i].ID, map[string]*observedRow{}
		for _, name := range def.Key {
			d.key = append(d.key, slices.Index(fields, name))
		}
		for exp := range p.dimensionAt {
			if slices.Contains(p.dimensionAt[exp], i) {
				d.experts |= 1 << exp
			}
		}
	}
	err := o.restore()
	return o, err
}

// ask notes that an impression has come whose row of a dimension has this key.
func (o *observations) ask(dim int, key []byte, values mortise.Row, offset, timeMS int64) {
	d := &o.dims[dim]
	row := d.rows[string(key)]
	if row == nil {
		row = &observedRow{key: slices.Clone(key), values: cloneRow(values)}
		d.rows[string(key)] = row
	}
	a := &row.asked
	if !a.open {
		*a = ask{open: true, from: offset, lastMS: timeMS}
		d.asked = append(d.asked, row)
		o.asked++
		return
	}
	a.lastMS = max(a.lastMS, timeMS)
}

// knows reports whether the row that an impression had on arrival is known, or
// has been asked for.
func (o *observations) knows(dim int, key []byte, offset int64) bool {
	row := o.dims[dim].rows[string(key)]
	return row != nil && (row.asked.covers(offset) || row.flying.covers(offset) || row.version(offset) != nil)
}

// lacked reports whether it is known that an impression found no row when it came in.
func (o *observations) lacked(dim int, key []byte, offset int64) bool {
	row := o.dims[dim].rows[string(key)]
	if row.asked.covers(offset) || row.flying.covers(offset) {
		return false
	}
	return row.version(offset).answer.Served == dimjoin.ServedMissing
}

func (a *ask) covers(offset int64) bool { return a.open && offset >= a.from }

// version returns what the row was when the impression at offset came in; nil
// where that is not known.
func (r *observedRow) version(offset int64) *observedVersion {
	for i := range slices.Backward(r.versions) {
		if v := &r.versions[i]; v.from <= offset {
			return v
		}
	}
	return nil
}

// begin collects what is to be read; nil when nothing is, or a read is under way.
func (o *observations) begin() *observation {
	if o.asked == 0 || o.flight != nil {
		return nil
	}
	f := &observation{lookups: make([][]dimjoin.Answer, len(o.dims)), keys: make([][]*observedRow, len(o.dims)), done: make(chan struct{})}
	for i := range o.dims {
		d := &o.dims[i]
		for _, row := range d.asked {
			row.flying, row.asked = row.asked, ask{}
			f.lookups[i] = append(f.lookups[i], dimjoin.Answer{Key: row.key, Values: row.values, AsOfMS: dimjoin.Latest})
		}
		f.keys[i], d.asked = d.asked, nil
	}
	o.flight, o.asked = f, 0
	o.begun++
	return f
}

// through is the number of reads that have to end before all that was asked for
// until now is known.
func (o *observations) through() uint64 {
	if o.asked > 0 {
		return o.begun + 1
	}
	return o.begun
}

// end takes what the read under way has found.
func (o *observations) end() error {
	f := o.flight
	for i := range f.lookups {
		for n := range f.lookups[i] {
			row := f.keys[i][n]
			for at := row.observe(&f.lookups[i][n]); at < len(row.versions); at++ {
				if err := o.keepVersion(i, row, &row.versions[at]); err != nil {
					return err
				}
			}
		}
	}
	o.flight = nil
	o.done++
	return nil
}

// observe adds what was read, if it is not what the row was already, and returns
// the position of the first version that is new or has more impressions.
func (r *observedRow) observe(a *dimjoin.Answer) int {
	asked := r.flying
	r.flying = ask{}
	n := len(r.versions)
	// The log may have a version that is dropped here, and would be taken for what
	// is added to one before it: that begins anew.
	if n == 0 || asked.noted || r.versions[n-1].from < r.newest || !sameAnswer(&r.versions[n-1].answer, a) {
		for _, from := range append([]int64{asked.from}, asked.also...) { // what the log has as asked for, it gets as read
			r.newest = from
			r.versions = append(r.versions, observedVersion{from: from, lastMS: asked.lastMS, loggedMS: joiner.NoTimeMS,
				answer: dimjoin.Answer{Row: a.Row, Served: a.Served, Absent: a.Absent, Reject: a.Reject}})
		}
		return n
	}
	last := &r.versions[n-1]
	last.lastMS = max(last.lastMS, asked.lastMS)
	return n - 1
}

// sameAnswer reports whether an impression is served alike with both. What came
// out of the cache and what was read are the same.
func sameAnswer(a, b *dimjoin.Answer) bool {
	if a.Served.Degraded() != b.Served.Degraded() || a.Served.Degraded() && a.Served != b.Served || a.Absent != b.Absent || (a.Reject == nil) != (b.Reject == nil) {
		return false
	}
	return sameRow(a.Row, b.Row)
}

// answer fills a lookup of an impression, all of whose reads have ended.
func (o *observations) answer(dim int, a *dimjoin.Answer, offset int64) {
	v := o.dims[dim].rows[string(a.Key)].version(offset)
	a.Row, a.Served, a.Absent, a.Reject = v.answer.Row, v.answer.Served, v.answer.Absent, v.answer.Reject
}

// forgetBefore drops what no impression that is held any more has: those before
// timeMS are closed.
func (o *observations) forgetBefore(timeMS int64) error {
	for i := range o.dims {
		for key, row := range o.dims[i].rows {
			row.versions = slices.DeleteFunc(row.versions, func(v observedVersion) bool { return v.lastMS < timeMS })
			if len(row.versions) == 0 && !row.asked.open && !row.flying.open {
				delete(o.dims[i].rows, key)
			}
		}
	}
	return o.log.DropBefore(timeMS)
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
		return mortise.TextValue(slices.Clone(v.Text()))
	case mortise.List:
		return mortise.ListValue(cloneRow(v.List()))
	}
	return v
}

func sameRow(a, b mortise.Row) bool {
	return slices.EqualFunc(a, b, sameValue)
}

func sameValue(a, b mortise.Value) bool {
	if a.Kind != b.Kind {
		return a.IsNull() && b.IsNull()
	}
	switch a.Kind {
	case mortise.String:
		return string(a.Text()) == string(b.Text())
	case mortise.List:
		return sameRow(a.List(), b.List())
	}
	return a.Int() == b.Int() // the bits of all others
}
