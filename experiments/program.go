package experiments

import (
	"errors"
	"fmt"
	"math/bits"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/expression"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Sink takes what a task puts out. Slices are valid during the call.
type Sink interface {
	// Row takes one instance of experiment exp.
	Row(exp int, in *instances.Instance) error
	// DeadLetter takes a record that the experiments of mask cannot use.
	DeadLetter(mask uint32, dl *mortise.DeadLetter) error
}

// program is the joiner.Program of one task: it reads impressions, evaluates
// labels, and builds each experiment's rows.
type program struct {
	pipeline *Pipeline
	main     *clean.Reader
	labels   []labelReader // per input; the main's is unused
	parts    []part        // per experiment
	sink     Sink

	row       mortise.Row
	bad       uint32
	broken    *mortise.RecordError // the whole record is unreadable
	keys      [][]byte             // per key set, of the open impression
	open      *joiner.Entry
	opened    uint64 // counts Open
	fatal     error  // a record could not be read for reasons that are not its own; the task must stop
	sampleKey []byte

	needs    needs
	seen     *observations                                        // what dimensions were on arrival; nil where nothing is read then
	lookedUp func(int, *joiner.Entry, []Looked)                   // nil: nobody asks
	asOf     bool                                                 // the input is recorded: what is to be read on arrival is read as of then
	hold     holder                                               // puts rows aside that wait; nil: none does
	written  func(*Batch, *deferredRow, *Impression, *part) error // is told of every row that was put off; nil: nobody asks
	batch    *Batch                                               // rows that wait for their features or dimensions; nil while there are none
	keyText  []byte
	entity   []mortise.Value
}

// holder puts a row aside instead of its being written, or reports that it does not.
type holder func(b *Batch, r *deferredRow, im *Impression, pt *part) (held bool, err error)

// labelReader decodes the labels of one input, remembering the last.
type labelReader struct {
	reader *clean.Reader
	at     joiner.Cursor
	row    mortise.Row
	valid  bool
}

// part is one experiment's share of a program.
type part struct {
	spec    *spec.Experiment
	labels  []labelEval // per join window; of the windows that are not its own: skip
	selects []int       // slots of the selected fields
	byslot  int         // slot of sample.by, -1 for the join key
	sampler instances.Sampler
	inst    instances.Instance

	deferred bool // its rows need more than the join knows; selects are slots of an env
	computed []computed
	dims     []usedDimension
	degraded []string // of the row in hand
}

// labelEval evaluates one label of one experiment.
type labelEval struct {
	label        int  // position in the instance; -1: not this experiment's
	outcome      bool // within > 0: a match makes the instance positive
	where, value *expression.Evaluator
}

func newProgram(p *Pipeline, sources []*clean.Source, sink Sink) *program {
	g := &program{pipeline: p, main: sources[0].NewReader(), sink: sink, keys: make([][]byte, len(p.KeySets))}
	for _, s := range sources {
		g.labels = append(g.labels, labelReader{reader: s.NewReader()})
	}
	for exp, e := range p.Experiments {
		pt := part{spec: e, byslot: -1, sampler: instances.NewSampler(e.Instance.Sample.Negatives)}
		pt.labels = make([]labelEval, len(p.Join.Windows))
		for i := range pt.labels {
			pt.labels[i].label = -1
		}
		for l, w := range p.windows[exp] {
			pt.labels[w] = newLabelEval(l, &e.Join.Labels[l], sources[p.Join.Windows[w].Source], exp)
		}
		for _, c := range e.Instance.Select {
			pt.selects = append(pt.selects, sources[0].Slot(exp, c.From))
		}
		if by := e.Instance.Sample.By; by != "" {
			pt.byslot = sources[0].Slot(exp, by)
		}
		pt.inst.Labels = make([]instances.LabelValue, len(e.Join.Labels))
		pt.inst.Selected = make(mortise.Row, len(pt.selects))
		g.parts = append(g.parts, pt)
	}
	g.needs = newNeeds(p, sources[0], g.parts)
	return g
}

func newLabelEval(label int, l *spec.Label, src *clean.Source, exp int) labelEval {
	ev := labelEval{label: label, outcome: l.Within > 0}
	bind := func(p *expression.Program) *expression.Evaluator {
		if p == nil {
			return nil
		}
		var slots []int
		for _, name := range p.Fields() {
			slots = append(slots, src.Slot(exp, name))
		}
		return p.Bind(slots)
	}
	ev.where, ev.value = bind(l.Where), bind(l.Value)
	return ev
}

// Open implements joiner.Program.
func (g *program) Open(e *joiner.Entry) uint32 {
	g.open, g.broken = e, nil
	g.opened++
	for i := range g.parts {
		clear(g.parts[i].inst.Labels)
	}
	row, bad, err := g.main.Decode(g.pipeline.value(0, e.Value))
	if err != nil {
		g.broken = g.asRecordError(err)
		return 0
	}
	g.row, g.bad = row, bad
	for set := range g.keys {
		key, err := g.main.Key(set, row, g.keys[set][:0])
		if err != nil {
			g.broken = g.asRecordError(err)
			return 0
		}
		g.keys[set] = key
	}
	return ^bad
}

// Fault implements joiner.Program.
func (g *program) Fault(exp int) *mortise.RecordError {
	if g.broken != nil {
		return g.broken
	}
	return g.main.Fault(exp)
}

// Key implements joiner.Program.
func (g *program) Key(set int) []byte { return g.keys[set] }

// Match implements joiner.Program.
func (g *program) Match(w int, l *joiner.Entry, accept uint32) (counts, broken uint32, why *mortise.RecordError) {
	in := &g.labels[l.Source]
	if !in.valid || in.at != l.Position() {
		row, _, err := in.reader.Decode(g.pipeline.value(int(l.Source), l.Value))
		if err != nil {
			return 0, accept, g.asRecordError(err)
		}
		in.row, in.at, in.valid = row, l.Position(), true
	}
	for mask := accept; mask != 0; mask &= mask - 1 {
		exp := bits.TrailingZeros32(mask)
		ev := &g.parts[exp].labels[w]
		if ev.label < 0 {
			continue
		}
		hit, err := g.count(exp, ev, in.row, l.TimeMS)
		if err != nil {
			broken |= 1 << exp
			why = &mortise.RecordError{Reason: mortise.ReasonExpression, Field: g.parts[exp].spec.Join.Labels[ev.label].Name, Detail: err.Error()}
			continue
		}
		if hit {
			counts |= 1 << exp
		}
	}
	return counts, broken, why
}

// count adds one label to the experiment's instance, if its where holds.
func (g *program) count(exp int, ev *labelEval, row mortise.Row, timeMS int64) (bool, error) {
	if ev.where != nil {
		if ok, err := ev.where.True(row); !ok || err != nil {
			return false, err
		}
	}
	value := 1.0
	if ev.value != nil {
		v, _, err := ev.value.Number(row) // null counts as 0
		if err != nil {
			return false, err
		}
		value = v
	}
	lv := &g.parts[exp].inst.Labels[ev.label]
	if lv.Count == 0 {
		lv.FirstMS = timeMS
	}
	lv.Count++
	if ev.value != nil {
		lv.Value += value
	} else {
		lv.Value = 1
	}
	return true, nil
}

// Emit implements joiner.Program.
func (g *program) Emit(em joiner.Emission) (joiner.Outcome, error) {
	var out joiner.Outcome
	for mask := em.Accept; mask != 0; mask &= mask - 1 {
		exp := bits.TrailingZeros32(mask)
		if err := g.emit(exp, em, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (g *program) emit(exp int, em joiner.Emission, out *joiner.Outcome) error {
	pt, bit := &g.parts[exp], uint32(1)<<exp
	positive := pt.positive()
	keep := pt.sampler.Keep(g.sampledBy(pt))
	revision, write := revision(pt.spec.Instance.Emit, em, positive, keep)
	if !write {
		return nil
	}
	if !positive && !keep {
		out.Sampled |= bit
		return nil
	}
	inst := &pt.inst
	inst.ID, inst.TimeMS, inst.Revision = g.keys[0], g.open.TimeMS, int32(revision)
	inst.Final, inst.Late, inst.Weight = !em.Provisional, em.Late, 1
	if !positive {
		inst.Weight = pt.sampler.Weight()
	}
	if pt.deferred {
		g.putOff(exp, em, positive)
	} else if err := g.write(exp, g.row); err != nil {
		return err
	}
	out.Written |= bit
	if positive {
		out.Positive |= bit
	}
	return nil
}

// write selects the instance's columns from row and puts it out.
func (g *program) write(exp int, row mortise.Row) error {
	pt := &g.parts[exp]
	inst := &pt.inst
	for i, slot := range pt.selects {
		inst.Selected[i] = row[slot]
	}
	return g.sink.Row(exp, inst)
}

// revision follows the experiment's emission policy. A row's number is how many
// rows of its impression were written before it; a first negative that sampling
// left out was not.
func revision(policy string, em joiner.Emission, positive, kept bool) (revision int, write bool) {
	switch policy {
	case "early_positive":
		return em.Positives, !em.Provisional || positive
	case "immediate_negative":
		if em.ArrivedNegative && kept && (!em.Provisional || positive) {
			return em.Positives + 1, true
		}
		return em.Positives, true
	}
	return 0, !em.Provisional
}

// positive reports whether a label of the future, not only a context, matched.
func (pt *part) positive() bool {
	for i := range pt.labels {
		if ev := &pt.labels[i]; ev.label >= 0 && ev.outcome && pt.inst.Labels[ev.label].Count > 0 {
			return true
		}
	}
	return false
}

func (g *program) sampledBy(pt *part) []byte {
	if pt.byslot < 0 {
		return g.keys[0]
	}
	key, ok := g.row[pt.byslot].AppendKey(g.sampleKey[:0])
	g.sampleKey = key
	if !ok {
		return g.keys[0]
	}
	return key
}

// Reject implements joiner.Program.
func (g *program) Reject(e *joiner.Entry, mask uint32, why *mortise.RecordError) error {
	return g.sink.DeadLetter(mask, g.pipeline.rejected(e, why))
}

// asRecordError is the fault of a record that cannot be read. An error that is
// none of the record's stops the task: what it does until then is not committed.
func (g *program) asRecordError(err error) *mortise.RecordError {
	if re, ok := errors.AsType[*mortise.RecordError](err); ok {
		return re
	}
	if g.fatal == nil {
		g.fatal = err
	}
	return &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: fmt.Sprint(err)}
}
