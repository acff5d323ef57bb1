package experiments

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// How a program puts off the rows that need more than the join knows.

// needs is what the experiments' rows are made of beside labels, as an
// Impression's env lays it out: main fields, then features, then dimensions, then
// what is computed.
type needs struct {
	main     []int   // slots, in rows of the main stream, of the fields that are kept
	entities [][]int // per Pipeline.Entities: slots in rows of the main stream
	dims     []neededDimension
	width    int
	raw      bool // the raw value is kept: a computed feature may fail on a row, or a dimension have none
}

// computed is one feature that is an expression over others.
type computed struct {
	name string
	slot int
	expr *expression.Evaluator
}

// newNeeds lays the env out, and gives every part its slots in it.
func newNeeds(p *Pipeline, main *clean.Source, parts []part) needs {
	var n needs
	for _, e := range p.Entities {
		var slots []int
		for _, name := range e.Fields {
			slots = append(slots, p.mainSlot(main, name))
		}
		n.entities = append(n.entities, slots)
	}
	for exp := range parts {
		if parts[exp].spec.Enriched() {
			n.keepMain(main, exp, parts[exp].spec)
		}
	}
	n.width = len(n.main) + len(p.Features)
	n.addDimensions(p, main)
	for exp := range parts {
		if parts[exp].spec.Enriched() {
			n.bind(p, main, exp, &parts[exp])
		}
	}
	return n
}

// keepMain notes the main fields that experiment exp's columns and computed
// features read.
func (n *needs) keepMain(main *clean.Source, exp int, e *spec.Experiment) {
	keep := func(name string) {
		if slot := main.Slot(exp, name); slot >= 0 && !slices.Contains(n.main, slot) {
			n.main = append(n.main, slot)
		}
	}
	for _, c := range e.Instance.Select {
		keep(c.From)
	}
	for _, def := range e.NeededFeatures() {
		if def.IsExpr() {
			n.raw = true
			for _, name := range def.Expr.Fields() {
				keep(name)
			}
		}
	}
}

// bind gives one experiment's columns and computed features their slots.
func (n *needs) bind(p *Pipeline, main *clean.Source, exp int, pt *part) {
	pt.deferred = true
	at := map[string]int{}
	for i, name := range p.featureAt[exp] {
		at[name] = len(n.main) + i
	}
	find := func(name string) int {
		if slot, ok := at[name]; ok {
			return slot
		}
		return slices.Index(n.main, main.Slot(exp, name))
	}
	next := n.bindDimensions(p, exp, pt, at)
	for _, def := range pt.spec.NeededFeatures() {
		if !def.IsExpr() {
			continue
		}
		var slots []int
		for _, name := range def.Expr.Fields() {
			slots = append(slots, find(name))
		}
		pt.computed = append(pt.computed, computed{name: def.Name, slot: next, expr: def.Expr.Bind(slots)})
		at[def.Name] = next
		next++
	}
	n.width = max(n.width, next)
	for i, c := range pt.spec.Instance.Select {
		pt.selects[i] = find(c.From)
	}
}

// putOff keeps the row of experiment exp's instance until its impression has its
// features and dimensions.
func (g *program) putOff(exp int, em joiner.Emission, positive bool) {
	if g.batch == nil {
		g.batch = &Batch{}
	}
	b := g.batch
	n := len(b.Impressions)
	if n == 0 || b.lastOpen != g.opened {
		g.keepOpen(b)
		n++
	}
	in := g.parts[exp].inst
	in.ID, in.Selected = b.text.copy(in.ID), nil
	labels := b.labels.take(len(in.Labels))
	copy(labels, in.Labels)
	in.Labels = labels
	for i := range g.parts[exp].dims {
		g.lookUp(b, &b.Impressions[n-1], g.parts[exp].dims[i].dim)
	}
	b.rows = append(b.rows, deferredRow{impression: n - 1, exp: exp, positive: positive, emission: em, instance: in})
}

// keepOpen copies of the open impression what rows and lookups need.
func (g *program) keepOpen(b *Batch) {
	b.lastOpen = g.opened
	im := Impression{TimeMS: g.open.TimeMS, Keys: b.keys.take(len(g.needs.entities)), env: b.values.take(g.needs.width), answers: b.places.take(len(g.needs.dims)), entry: *g.open}
	kept := len(g.needs.main)
	for i, slot := range g.needs.main {
		im.env[i] = b.text.value(g.row[slot])
	}
	im.Features = im.env[kept : kept+len(g.pipeline.Features)]
	for i, slots := range g.needs.entities {
		im.Keys[i] = g.entityKey(b, slots)
	}
	im.entry.Key = nil
	if g.needs.raw {
		im.entry.Value = b.text.copy(g.open.Value)
	} else {
		im.entry.Value = nil
	}
	b.Impressions = append(b.Impressions, im)
}

// entityKey is the key of the entity that some main fields name; nil where one is null.
func (g *program) entityKey(b *Batch, slots []int) []byte {
	g.entity = g.entity[:0]
	for _, slot := range slots {
		g.entity = append(g.entity, g.row[slot])
	}
	key, ok := features.EntityKey(g.keyText[:0], g.entity...)
	g.keyText = key
	if !ok {
		return nil
	}
	return b.text.copy(key)
}

// takeBatch hands over the rows that have been put off; nil when there are none.
func (g *program) takeBatch() *Batch {
	b := g.batch
	g.batch = nil
	return b
}

// finish writes the rows of a batch that has its features and dimensions. retract is called for
// a row that cannot be written after all.
func (g *program) finish(b *Batch, retract func(r *deferredRow, e *joiner.Entry, why *mortise.RecordError)) error {
	for i := range b.rows {
		r := &b.rows[i]
		pt, im := &g.parts[r.exp], &b.Impressions[r.impression]
		why := g.takeDimensions(b, im, pt)
		if why == nil && g.hold != nil && r.from == nil {
			if held, err := g.hold(b, r, im, pt); held || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if why == nil {
			why = pt.compute(im.env)
		}
		if why != nil && r.from.isWritten() {
			continue // what is out stays
		}
		if why != nil {
			retract(r, &im.entry, why)
			if err := g.sink.DeadLetter(1<<r.exp, g.pipeline.rejected(&im.entry, why)); err != nil {
				return err
			}
			continue
		}
		own := pt.inst
		pt.inst = r.instance
		pt.inst.Selected, pt.inst.Degraded = own.Selected, pt.degraded
		err := g.write(r.exp, im.env)
		pt.inst = own
		if err == nil && g.written != nil {
			err = g.written(b, r, im, pt)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compute evaluates the features that are expressions over others.
func (pt *part) compute(env mortise.Row) *mortise.RecordError {
	for i := range pt.computed {
		c := &pt.computed[i]
		v, err := c.expr.Eval(env)
		if err != nil {
			return &mortise.RecordError{Reason: mortise.ReasonExpression, Field: c.name, Detail: err.Error()}
		}
		env[c.slot] = v
	}
	return nil
}
