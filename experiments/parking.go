package experiments

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
)

// How rows wait for dimensions beyond the close of their impression.
//
// A row that lacks one when it is about to be written is put aside with all that
// it is made of. Now and then the dimensions of all that wait are read again,
// beside intake and closing; a row is written when it has them, or without when
// its time is over. What waits is kept in a topic of the group, GROUP.parked, a
// partition a task: a row's record, and the tombstone that ends it, are committed
// with the offsets and rows of the same moment, and read back when the task is
// opened. The account says how many there must be.

// parking is the rows of a task that wait.
type parking struct {
	rows    map[parkedKey]*parkedRow
	order   []*parkedRow // by until; some of them are gone
	bytes   int64
	everyMS int64
	nextMS  int64        // when all are read again
	pass    []*parkedRow // those that are still to be read again this time
	look    *look        // the reading under way
	last    bool         // no more input comes: what is read from now on is read the last time
	stats   ParkingStats // of this worker's life
	nowMS   int64
	key     []byte // scratch
	value   []byte // scratch
}

// parkedKey is a row's place: there is one row of an impression and experiment.
type parkedKey struct {
	exp    int
	offset int64
}

// look is one reading of what rows wait for.
type look struct {
	rows    []*parkedRow
	lookups [][]dimjoin.Answer // per Pipeline.Dimensions, in the order of rows
	last    bool
	done    chan struct{}
	err     error
}

// lookRows bounds the rows of one look.
const lookRows = 5000

// largestParked is the largest record of a row that waits. Beyond it, a row takes
// what it has at once.
const largestParked = 32 << 20

// patience is what the pipeline's experiments allow their rows to wait, all
// together; Every is 0 where none waits.
func (p *Pipeline) patience() (all spec.Patience) {
	for _, e := range p.Experiments {
		for _, d := range e.NeededDimensions() {
			if w := &d.Wait; w.For > 0 {
				all.Rows, all.Bytes = all.Rows+w.Rows, all.Bytes+w.Bytes
				if all.Every == 0 || w.Every < all.Every {
					all.Every = w.Every
				}
			}
		}
	}
	return all
}

// Parks reports whether rows of the pipeline may wait for dimensions beyond the
// close of their impression.
func (p *Pipeline) Parks() bool { return p.patience().Every > 0 }

// ParkedTopic is where a group keeps the rows that wait.
func ParkedTopic(group string) string { return topicName(group) + ".parked" }

func newParking(every time.Duration, nowMS int64) *parking {
	return &parking{rows: map[parkedKey]*parkedRow{}, everyMS: every.Milliseconds(), nextMS: math.MaxInt64, nowMS: nowMS}
}

// busy reports whether what rows wait for is being read.
func (k *parking) busy() bool { return k != nil && k.look != nil }

// add puts a row among those that wait.
func (k *parking) add(p *parkedRow) {
	k.rows[parkedKey{p.exp, p.entry.Offset}] = p
	k.bytes += p.bytes
	at := len(k.order)
	for at > 0 && k.order[at-1].untilMS > p.untilMS { // mostly it is the last
		at--
	}
	k.order = slices.Insert(k.order, at, p)
	if k.nextMS == math.MaxInt64 {
		k.nextMS = k.nowMS + k.everyMS
	}
}

// remove takes a row from those that wait.
func (k *parking) remove(p *parkedRow) {
	p.gone = true
	delete(k.rows, parkedKey{p.exp, p.entry.Offset})
	k.bytes -= p.bytes
	if len(k.order) > 2*len(k.rows)+lookRows {
		k.order = slices.DeleteFunc(k.order, func(p *parkedRow) bool { return p.gone })
	}
}

// tooMany returns the oldest rows, as many as there are too many.
func (k *parking) tooMany(rows int, bytes int64) (out []*parkedRow) {
	n, size := len(k.rows), k.bytes
	for _, p := range k.order {
		if n <= rows && size <= bytes {
			break
		}
		if !p.gone {
			out, n, size = append(out, p), n-1, size-p.bytes
		}
	}
	k.stats.Refused += int64(len(out))
	return out
}

// next collects what is to be read now; nil when nothing is.
func (k *parking) next(dims int) *look {
	if len(k.pass) == 0 {
		k.plan()
	}
	l := &look{lookups: make([][]dimjoin.Answer, dims), last: k.last, done: make(chan struct{})}
	for len(k.pass) > 0 && len(l.rows) < lookRows {
		p := k.pass[0]
		if k.pass = k.pass[1:]; p.gone {
			continue
		}
		l.rows = append(l.rows, p)
		for i := range p.dims {
			if d := &p.dims[i]; d.awaited && d.dim >= 0 {
				l.lookups[d.dim] = append(l.lookups[d.dim], dimjoin.Answer{Key: d.answer.Key, Values: d.answer.Values, AsOfMS: d.answer.AsOfMS})
			}
		}
	}
	if len(l.rows) == 0 {
		return nil
	}
	return l
}

// plan settles which rows are read next: all of them when it is time, else those
// whose time is over.
func (k *parking) plan() {
	if k.last || k.nowMS >= k.nextMS {
		k.pass = slices.DeleteFunc(slices.Clone(k.order), func(p *parkedRow) bool { return p.gone })
		if k.nextMS = k.nowMS + k.everyMS; len(k.pass) == 0 {
			k.nextMS = math.MaxInt64
		}
		return
	}
	for _, p := range k.order {
		if p.untilMS > k.nowMS {
			break
		}
		if !p.gone {
			k.pass = append(k.pass, p)
		}
	}
}

// answers gives the rows of a look what was read, and returns those that are to be
// written: they have all that they waited for, or wait no longer.
func (k *parking) answers(l *look) (ready []*parkedRow) {
	next := make([]int, len(l.lookups))
	for _, p := range l.rows {
		whole := true
		for i := range p.dims {
			d := &p.dims[i]
			if !d.awaited || d.dim < 0 {
				continue
			}
			a := &l.lookups[d.dim][next[d.dim]]
			next[d.dim]++
			d.answer.Row, d.answer.Served, d.answer.Absent, d.answer.Reject = a.Row, a.Served, a.Absent, a.Reject
			whole = whole && a.Served != dimjoin.ServedMissing
		}
		switch {
		case p.gone:
		case whole:
			k.stats.Found++
			k.stats.Waited.Observe(time.Duration(k.nowMS-p.sinceMS) * time.Millisecond)
			ready = append(ready, p)
		case l.last || k.nowMS >= p.untilMS:
			k.stats.InVain++
			ready = append(ready, p)
		}
	}
	return ready
}

// nothingWaits reports, of a task that has come to its end otherwise, that no row
// waits. Those that do are read for the last time.
func (r *runner) nothingWaits() bool {
	if r.parked == nil {
		return true
	}
	r.parked.last = true
	return len(r.parked.rows) == 0
}

// tendParked goes on with the rows that wait, as many as may.
func (r *runner) tendParked(nowMS int64, limit share) error {
	k := r.parked
	if k == nil {
		return nil
	}
	if k.nowMS = nowMS; r.isFull() {
		return nil
	}
	if k.look != nil && isDone(k.look.done) {
		l := k.look
		k.look = nil
		if l.err != nil {
			return fmt.Errorf("reading the dimensions that rows wait for: %w", l.err)
		}
		if err := r.writeParked(k.answers(l)); err != nil {
			return err
		}
	}
	if err := r.writeParked(k.tooMany(limit.parked, limit.parkedBytes)); err != nil {
		return err
	}
	if k.look == nil {
		r.lookAgain()
	}
	return nil
}

// lookAgain begins to read what rows wait for, if it is time to.
func (r *runner) lookAgain() {
	l := r.parked.next(len(r.pipeline.Dimensions))
	if l == nil {
		return
	}
	r.parked.look = l
	r.spawn(func() {
		defer close(l.done)
		l.err = readDimensions(r.life, r.dims, l.lookups)
	})
}

// writeParked writes rows that waited, with what they have by now.
func (r *runner) writeParked(rows []*parkedRow) error {
	if len(rows) == 0 {
		return nil
	}
	whole, lacking := &Batch{Partition: r.partition}, &Batch{Partition: r.partition}
	for _, p := range rows {
		r.parked.remove(p)
		r.out.endParked(r.parkedKey(p))
		em := joiner.Emission{Accept: 1 << p.exp, Late: p.late}
		r.task.Unpark(p.exp, em, p.positive)
		b := whole
		if r.prog.lacksFeatures(p) {
			b = lacking
		}
		why, err := r.prog.resume(b, p, em)
		if err != nil {
			return err
		}
		if why == nil {
			continue
		}
		r.retract(&deferredRow{exp: p.exp, emission: em, positive: p.positive}, &p.entry, why)
		if err := r.out.DeadLetter(1<<p.exp, r.pipeline.rejected(&p.entry, why)); err != nil {
			return err
		}
	}
	if len(lacking.rows) > 0 {
		if err := r.enrichBatch(lacking); err != nil {
			return err
		}
	}
	if err := r.prog.finish(whole, r.retract); err != nil {
		return err
	}
	return r.prog.finish(lacking, r.retract)
}

// parkedKey is the key of a row's record.
func (r *runner) parkedKey(p *parkedRow) []byte {
	k := r.parked
	k.key = appendParkedKey(k.key[:0], r.pipeline.Experiments[p.exp].Name, p.entry.Offset)
	return k.key
}

// putAside puts a row that is about to be written aside, if a dimension of it is to be
// waited for.
func (r *runner) putAside(b *Batch, row *deferredRow, im *Impression, pt *part) (bool, error) {
	var longest time.Duration
	for i := range pt.dims {
		if u := &pt.dims[i]; u.awaits(b.answer(im, u.dim)) {
			longest = max(longest, u.wait.For)
		}
	}
	if longest == 0 {
		return false, nil
	}
	k := r.parked
	p := parkedRow{exp: row.exp, entry: im.entry, sinceMS: k.nowMS, untilMS: k.nowMS + longest.Milliseconds(), positive: row.positive, late: row.emission.Late,
		weight: row.instance.Weight, id: row.instance.ID}
	r.prog.describe(&p, b, im, &row.instance)
	if k.value = p.append(k.value[:0]); len(k.value) > largestParked {
		k.stats.Refused++
		return false, nil
	}
	kept, err := r.parkedOf(row.exp, slices.Clone(k.value)) // the batch's memory is not kept for it
	if err != nil {
		return false, err
	}
	r.task.Park(row.exp, row.emission, row.positive)
	k.add(kept)
	r.out.park(r.parkedKey(kept), k.value)
	return true, nil
}

// parkedOf reads a row's record.
func (r *runner) parkedOf(exp int, value []byte) (*parkedRow, error) {
	p, err := readParkedRow(value)
	if err != nil {
		return nil, err
	}
	p.exp = exp
	for i := range p.dims {
		d := &p.dims[i]
		d.dim = slices.IndexFunc(r.pipeline.Dimensions, func(known Dimension) bool { return known.ID == string(d.id) })
	}
	return p, nil
}
