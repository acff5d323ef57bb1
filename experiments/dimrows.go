package experiments

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// How a program's rows come to their dimensions: a lookup is noted when a row is
// put off, and its answer taken when the row is written.

// neededDimension is one of Pipeline.Dimensions as an Impression's env has it.
type neededDimension struct {
	key      []int // slots in rows of the main stream
	at       int   // in env, of its first field
	asOf     string
	versions bool // the store tells what was valid when
	waits    bool // a row that was not there on arrival is read again at the close
}

// usedDimension is a dimension as one experiment's rows have it.
type usedDimension struct {
	name  string
	dim   int           // in Pipeline.Dimensions
	wait  spec.Patience // of rows that are not written yet
	amend spec.Patience // of rows that are
	texts [dimjoin.ServedMissing + 1]string
}

// awaits reports whether a row with this answer waits for another.
func (u *usedDimension) awaits(a *dimjoin.Answer) bool {
	return u.wait.For > 0 && a.Served == dimjoin.ServedMissing && a.Key != nil
}

// amends reports whether a row that was written with this answer is corrected when
// there is a better one.
func (u *usedDimension) amends(a *dimjoin.Answer) bool {
	return u.amend.For > 0 && a.Served.Degraded() && a.Key != nil
}

// addDimensions lays out the fields of all dimensions.
func (n *needs) addDimensions(p *Pipeline, main *clean.Source) {
	for i := range p.Dimensions {
		d := p.Dimensions[i].Definition
		nd := neededDimension{at: n.width, asOf: d.AsOf, versions: d.History.Kept(), waits: d.Missing == dimjoin.MissingWait}
		for _, name := range d.Key {
			nd.key = append(nd.key, p.mainSlot(main, name))
		}
		n.dims = append(n.dims, nd)
		n.width += len(d.Fields)
		n.raw = n.raw || d.Missing == dimjoin.MissingDeadLetter
	}
	n.raw = n.raw || p.Parks()
}

// bindDimensions notes the dimensions of one experiment, adds where their fields
// are to at, and returns the first slot behind all of them.
func (n *needs) bindDimensions(p *Pipeline, exp int, pt *part, at map[string]int) (next int) {
	for i, d := range pt.spec.NeededDimensions() {
		dim := p.dimensionAt[exp][i]
		u := usedDimension{name: d.Name, dim: dim, wait: d.Wait, amend: d.Correct}
		for how := range u.texts {
			u.texts[how] = d.Name + ":" + dimjoin.Served(how).String()
		}
		pt.dims = append(pt.dims, u)
		for f := range d.Fields {
			at[spec.DimensionField(d.Name, d.Fields[f].Name)] = n.dims[dim].at + f
		}
	}
	next = len(n.main) + len(p.Features)
	for i := range p.Dimensions {
		next += len(p.Dimensions[i].Definition.Fields)
	}
	return next
}

// lookUp notes that the impression in hand needs its row of a dimension.
func (g *program) lookUp(b *Batch, im *Impression, dim int) {
	if im.answers[dim].list != notLookedUp {
		return
	}
	nd := &g.needs.dims[dim]
	a := dimjoin.Answer{AsOfMS: dimjoin.Latest}
	if nd.asOf == dimjoin.AsOfEventTime || g.asOf && nd.asOf == dimjoin.AsOfArrival && nd.versions {
		a.AsOfMS = im.TimeMS
	}
	g.entity = g.entity[:0]
	for _, slot := range nd.key {
		g.entity = append(g.entity, g.row[slot])
	}
	key, ok := dimjoin.AppendKey(g.keyText[:0], g.entity...)
	g.keyText = key
	if ok {
		a.Key = b.text.copy(key)
		a.Values = b.values.take(len(nd.key))
		for i, v := range g.entity {
			if v.Kind == mortise.String && string(v.Text()) == string(a.Key) {
				a.Values[i] = mortise.TextValue(a.Key)
				continue
			}
			a.Values[i] = b.text.value(v)
		}
	}
	if g.seen != nil && ok && g.seen.knows(dim, a.Key, im.entry.Offset) && !(nd.waits && g.seen.lacked(dim, a.Key, im.entry.Offset)) {
		b.observed = noteLookup(b.observed, len(g.needs.dims), im, dim, inObserved, a)
		return
	}
	b.Dimensions = noteLookup(b.Dimensions, len(g.needs.dims), im, dim, inDimensions, a)
}

func noteLookup(lists [][]dimjoin.Answer, dims int, im *Impression, dim int, list int8, a dimjoin.Answer) [][]dimjoin.Answer {
	if lists == nil {
		lists = make([][]dimjoin.Answer, dims)
	}
	im.answers[dim] = place{list, int32(len(lists[dim]))}
	lists[dim] = append(lists[dim], a)
	return lists
}

// takeDimensions puts the rows that an experiment's row needs into the env, and
// notes which are not as asked. An error says that the row cannot be written.
func (g *program) takeDimensions(b *Batch, im *Impression, pt *part) *mortise.RecordError {
	pt.degraded = pt.degraded[:0]
	if g.lookedUp != nil && len(pt.dims) > 0 {
		g.tellLookups(b, im, pt)
	}
	for i := range pt.dims {
		u := &pt.dims[i]
		a := b.answer(im, u.dim)
		if a.Reject != nil {
			return &mortise.RecordError{Reason: a.Reject.Reason, Field: u.name, Detail: a.Reject.Detail}
		}
		copy(im.env[g.needs.dims[u.dim].at:], a.Row)
		if a.Served.Degraded() {
			pt.degraded = append(pt.degraded, u.texts[a.Served])
		}
	}
	return nil
}

// tellLookups tells how the dimensions of a row were looked up.
func (g *program) tellLookups(b *Batch, im *Impression, pt *part) {
	var all []Looked
	for i := range pt.dims {
		u := &pt.dims[i]
		all = append(all, Looked{Name: u.name, Dimension: &g.pipeline.Dimensions[u.dim], Answer: b.answer(im, u.dim)})
	}
	g.lookedUp(slices.Index(g.pipeline.Experiments, pt.spec), &im.entry, all)
}
