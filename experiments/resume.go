package experiments

import (
	"errors"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
)

// What a program makes of a row that waits, and makes the row of again.

// describe notes what a row is made of: labels, features, and dimensions as they
// were looked up; awaited says which are read again.
func (g *program) describe(p *parkedRow, b *Batch, im *Impression, in *instances.Instance, awaited func(*usedDimension, *dimjoin.Answer) bool) {
	pt := &g.parts[p.exp]
	for i := range in.Labels {
		p.labels = append(p.labels, parkedLabel{[]byte(pt.spec.Join.Labels[i].Name), in.Labels[i]})
	}
	for i, name := range g.pipeline.featureAt[p.exp] {
		if name != "" {
			p.features = append(p.features, parkedFeature{[]byte(g.pipeline.Features[i].ID), im.Features[i]})
		}
	}
	for i := range pt.dims {
		u := &pt.dims[i]
		a := b.answer(im, u.dim)
		p.dims = append(p.dims, parkedAnswer{id: []byte(g.pipeline.Dimensions[u.dim].ID), dim: u.dim, awaited: awaited(u, a), answer: *a})
	}
}

// lacksFeatures reports whether the experiment needs features that it did not when
// the row began to wait.
func (g *program) lacksFeatures(p *parkedRow) bool {
	for i, name := range g.pipeline.featureAt[p.exp] {
		if name != "" && p.feature(g.pipeline.Features[i].ID) == nil {
			return true
		}
	}
	return false
}

func (p *parkedRow) feature(id string) *parkedFeature {
	for i := range p.features {
		if string(p.features[i].id) == id {
			return &p.features[i]
		}
	}
	return nil
}

// resume puts a row that waited into a batch, to be written. What is wrong with its
// record can only be new: the experiment has changed.
func (g *program) resume(b *Batch, p *parkedRow, em joiner.Emission) (*mortise.RecordError, error) {
	row, bad, err := g.main.Decode(g.pipeline.value(0, p.entry.Value))
	if err != nil {
		if why, ok := errors.AsType[*mortise.RecordError](err); ok {
			return why, nil
		}
		return nil, err
	}
	if bad&(1<<p.exp) != 0 {
		return g.main.Fault(p.exp), nil
	}
	g.open, g.row = &p.entry, row
	g.opened++
	g.keepOpen(b)
	im := &b.Impressions[len(b.Impressions)-1]
	for i := range im.Features {
		if f := p.feature(g.pipeline.Features[i].ID); f != nil {
			im.Features[i] = f.value
		}
	}
	pt := &g.parts[p.exp]
	for i := range pt.dims {
		dim := pt.dims[i].dim
		b.observed = noteLookup(b.observed, len(g.needs.dims), im, dim, inObserved, g.answerOf(p, dim))
	}
	in := instances.Instance{Revision: p.revision + 1, ID: p.id, TimeMS: p.entry.TimeMS, Labels: b.labels.take(len(pt.inst.Labels)), Weight: p.weight, Final: true, Late: p.late}
	for i := range in.Labels {
		name := pt.spec.Join.Labels[i].Name
		if at := slices.IndexFunc(p.labels, func(l parkedLabel) bool { return string(l.name) == name }); at >= 0 {
			in.Labels[i] = p.labels[at].value
		}
	}
	b.rows = append(b.rows, deferredRow{impression: len(b.Impressions) - 1, exp: p.exp, positive: p.positive, from: p, emission: em, instance: in})
	return nil, nil
}

// answerOf is how a dimension of a row was looked up last. One that the experiment
// has come to need since is missing.
func (g *program) answerOf(p *parkedRow, dim int) dimjoin.Answer {
	for i := range p.dims {
		if p.dims[i].dim == dim {
			return p.dims[i].answer
		}
	}
	a := dimjoin.Answer{AsOfMS: dimjoin.Latest, Served: dimjoin.ServedMissing}
	for range g.pipeline.Dimensions[dim].Definition.Fields {
		a.Row = append(a.Row, mortise.NullValue())
	}
	return a
}

// isWritten reports whether a row that is written now was written before.
func (p *parkedRow) isWritten() bool { return p != nil && p.revision != notWritten }
