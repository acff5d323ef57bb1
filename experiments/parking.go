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
func (p *Pipeline) patience() spec.Patience {
	return p.patienceOf(func(d *spec.Dimension) *spec.Patience { return &d.Wait })
}

// amends is for how long the pipeline's experiments have rows corrected, all together.
func (p *Pipeline) amends() spec.Patience {
	return p.patienceOf(func(d *spec.Dimension) *spec.Patience { return &d.Correct })
}

func (p *Pipeline) patienceOf(of func(*spec.Dimension) *spec.Patience) (all spec.Patience) {
	for _, e := range p.Experiments {
		for _, d := range e.NeededDimensions() {
			if w := of(d); w.For > 0 {
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
// close of their impression, or be corrected.
func (p *Pipeline) Parks() bool { return p.patience().Every > 0 || p.amends().Every > 0 }

// ParkedTopic is where a group keeps the rows that wait.
func ParkedTopic(group string) string { return topicName(group) + ".parked" }

func newParking(every time.Duration, nowMS int64) *parking {
	return &parking{rows: map[parkedKey]*parkedRow{}, everyMS: every.Milliseconds(), nextMS: math.MaxInt64, nowMS: nowMS}
}

// len is how many rows there are.
func (k *parking) len() int {
	if k == nil {
		return 0
	}
	return len(k.rows)
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
// written, and those whose time is over. A row that is not written yet is written
// when it has all that it waited for; one that is, when something is better.
func (k *parking) answers(l *look) (ready, over []*parkedRow) {
	next := make([]int, len(l.lookups))
	for _, p := range l.rows {
		whole, better := true, false
		for i := range p.dims {
			d := &p.dims[i]
			if !d.awaited || d.dim < 0 {
				continue
			}
			a := &l.lookups[d.dim][next[d.dim]]
			next[d.dim]++
			if p.isWritten() && a.Served.Degraded() {
				continue // it has that already, or as good as that
			}
			d.answer.Row, d.answer.Served, d.answer.Absent, d.answer.Reject = a.Row, a.Served, a.Absent, a.Reject
			whole, better = whole && a.Served != dimjoin.ServedMissing, true
		}
		switch {
		case p.gone:
		case p.isWritten() && better, !p.isWritten() && whole:
			k.stats.Found++
			k.stats.Waited.Observe(time.Duration(k.nowMS-p.sinceMS) * time.Millisecond)
			ready = append(ready, p)
		case l.last || k.nowMS >= p.untilMS:
			k.stats.InVain++
			over = append(over, p)
		}
	}
	return ready, over
}

// looks reports whether what rows wait for is being read.
func (r *runner) looks() bool { return r.parked.busy() || r.amends.busy() }

// nothingWaits reports, of a task that has come to its end otherwise, that no row
// waits, or may be corrected. Those that do are read for the last time.
func (r *runner) nothingWaits() bool {
	none := true
	for _, k := range []*parking{r.parked, r.amends} {
		if k != nil {
			k.last = true
			none = none && k.len() == 0
		}
	}
	return none
}

// tendParked goes on with the rows that wait, and those that may be corrected, as
// many as may.
func (r *runner) tendParked(nowMS int64, limit share) error {
	for _, k := range []*parking{r.parked, r.amends} {
		if k != nil {
			k.nowMS = nowMS
		}
	}
	if err := r.tend(r.parked, limit.parked, limit.parkedBytes, r.writeParked); err != nil {
		return err
	}
	return r.tend(r.amends, limit.amends, limit.amendsBytes, r.forget)
}

// tend goes on with rows, at most so many and so large; end is what becomes of those
// whose time is over, or which are too many.
func (r *runner) tend(k *parking, rows int, bytes int64, end func([]*parkedRow) error) error {
	if k == nil || r.isFull() {
		return nil
	}
	if k.look != nil && isDone(k.look.done) {
		l := k.look
		k.look = nil
		if l.err != nil {
			return fmt.Errorf("reading the dimensions that rows wait for: %w", l.err)
		}
		ready, over := k.answers(l)
		if err := r.writeParked(ready); err != nil {
			return err
		}
		if err := end(over); err != nil {
			return err
		}
	}
	if err := end(k.tooMany(rows, bytes)); err != nil {
		return err
	}
	if k.look == nil {
		r.lookAgain(k)
	}
	return nil
}

// forget lets go of rows that are written and will not be corrected.
func (r *runner) forget(rows []*parkedRow) error {
	for _, p := range rows {
		r.endParked(p)
	}
	return nil
}

// endParked takes a row from those that wait, or may be corrected.
func (r *runner) endParked(p *parkedRow) {
	r.out.endParked(r.parkedKey(p))
	if p.isWritten() {
		r.amends.remove(p)
		r.task.Remember(p.exp, -1)
		return
	}
	r.parked.remove(p)
	r.task.Unpark(p.exp, p.emission(), p.positive)
}

func (p *parkedRow) emission() joiner.Emission {
	return joiner.Emission{Accept: 1 << p.exp, Late: p.late}
}

// lookAgain begins to read what rows wait for, if it is time to.
func (r *runner) lookAgain(k *parking) {
	l := k.next(len(r.pipeline.Dimensions))
	if l == nil {
		return
	}
	k.look = l
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
		r.endParked(p)
		em := p.emission()
		b := whole
		if r.prog.lacksFeatures(p) {
			b = lacking
		}
		why, err := r.prog.resume(b, p, em)
		if err != nil {
			return err
		}
		if why == nil || p.isWritten() {
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
	r.keyText = appendParkedKey(r.keyText[:0], r.pipeline.Experiments[p.exp].Name, p.entry.Offset)
	return r.keyText
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
	p := parkedRow{sinceMS: r.parked.nowMS, untilMS: r.parked.nowMS + longest.Milliseconds(), revision: notWritten}
	kept, err := r.keepRow(r.parked, &p, b, row, im, (*usedDimension).awaits)
	if kept && err == nil {
		r.task.Park(row.exp, row.emission, row.positive)
	}
	return kept, err
}

// remember keeps a row that was written with a dimension not as asked, to be
// corrected, and counts one that was corrected.
func (r *runner) remember(b *Batch, row *deferredRow, im *Impression, pt *part) error {
	if row.from.isWritten() {
		r.task.Correct(row.exp)
	}
	var longest time.Duration
	for i := range pt.dims {
		if u := &pt.dims[i]; u.amends(b.answer(im, u.dim)) {
			longest = max(longest, u.amend.For)
		}
	}
	k := r.amends
	p := parkedRow{sinceMS: k.nowMS, untilMS: k.nowMS + longest.Milliseconds(), revision: row.instance.Revision}
	if row.from.isWritten() {
		p.sinceMS, p.untilMS = row.from.sinceMS, row.from.untilMS
	}
	if longest == 0 || p.untilMS <= k.nowMS {
		return nil
	}
	kept, err := r.keepRow(k, &p, b, row, im, (*usedDimension).amends)
	if kept && err == nil {
		r.task.Remember(row.exp, 1)
	}
	return err
}

// keepRow fills p in for a row and puts it among those of k; false where it is too
// large.
func (r *runner) keepRow(k *parking, p *parkedRow, b *Batch, row *deferredRow, im *Impression, awaited func(*usedDimension, *dimjoin.Answer) bool) (bool, error) {
	p.exp, p.entry, p.positive, p.late, p.weight, p.id = row.exp, im.entry, row.positive, row.emission.Late, row.instance.Weight, row.instance.ID
	r.prog.describe(p, b, im, &row.instance, awaited)
	if k.value = p.append(k.value[:0]); len(k.value) > largestParked {
		k.stats.Refused++
		return false, nil
	}
	kept, err := r.parkedOf(row.exp, slices.Clone(k.value)) // the batch's memory is not kept for it
	if err != nil {
		return false, err
	}
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
