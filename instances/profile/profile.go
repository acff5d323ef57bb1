package profile

import (
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Profile collects what instances are like. One goroutine uses it.
type Profile struct {
	columns  *instances.Columns
	outcomes []bool

	rows        int64 // final ones; all below is about them
	provisional int64
	late        int64
	positives   int64
	span        span
	weights     map[float64]int64
	degraded    int64            // rows
	how         map[string]int64 // rows by dim:how
	time        timeline
	hours       [24]HourOfDay
	labels      []label
	fields      []field
}

// New makes a profile of an experiment's rows. outcomes says of each label
// whether a match makes an instance positive, which a label that lies before the
// impression does not; nil means that all do.
func New(c *instances.Columns, outcomes []bool) *Profile {
	if outcomes == nil {
		outcomes = slices.Repeat([]bool{true}, len(c.Labels()))
	}
	p := &Profile{columns: c, outcomes: outcomes, labels: make([]label, len(c.Labels()))}
	p.time.labels = len(c.Labels())
	for _, f := range c.Selected() {
		p.fields = append(p.fields, newField(f))
	}
	p.weights, p.how = map[float64]int64{}, map[string]int64{}
	return p
}

// maxTold bounds the distinct weights and degradations that are told apart.
const maxTold = 256

// Add takes a row; it keeps nothing of it. Provisional rows are only counted:
// their final ones follow.
func (p *Profile) Add(in *instances.Instance) {
	if !in.Final {
		p.provisional++
		return
	}
	p.rows++
	p.span.add(in.TimeMS)
	if in.Late {
		p.late++
	}
	if len(in.Degraded) > 0 {
		p.degraded++
		for _, how := range in.Degraded {
			if _, known := p.how[how]; known {
				p.how[how]++
			} else if len(p.how) < maxTold {
				p.how[strings.Clone(how)] = 1
			}
		}
	}
	positive := false
	at := p.time.at(in.TimeMS)
	for i := range in.Labels {
		if in.Labels[i].Count > 0 {
			at.labels[i]++
			positive = positive || p.outcomes[i]
			p.labels[i].add(&in.Labels[i], in.TimeMS)
		}
	}
	p.noteTime(at, in, positive)
	if w, ok := p.weights[in.Weight]; ok || len(p.weights) < maxTold {
		p.weights[in.Weight] = w + 1
	}
	for i := range p.fields {
		p.fields[i].add(&in.Selected[i], in.TimeMS)
	}
}

func (p *Profile) noteTime(at *moment, in *instances.Instance, positive bool) {
	h := &p.hours[hourOfDay(in.TimeMS)]
	at.rows++
	h.Rows++
	if positive {
		p.positives++
		at.positives++
		h.Positives++
	}
	if in.Late {
		at.late++
	}
	if len(in.Degraded) > 0 {
		at.degraded++
	}
}

// Rows returns how many final rows were added.
func (p *Profile) Rows() int64 { return p.rows }

// Merge adds what other has collected, of the same columns. other stays as it is.
func (p *Profile) Merge(other *Profile) {
	p.rows, p.provisional, p.late = p.rows+other.rows, p.provisional+other.provisional, p.late+other.late
	p.positives, p.degraded = p.positives+other.positives, p.degraded+other.degraded
	p.span.merge(other.span)
	for w, n := range other.weights {
		p.weights[w] += n
	}
	for how, n := range other.how {
		p.how[how] += n
	}
	p.time.merge(&other.time)
	for i := range p.hours {
		p.hours[i].Rows += other.hours[i].Rows
		p.hours[i].Positives += other.hours[i].Positives
	}
	for i := range p.labels {
		p.labels[i].merge(&other.labels[i])
	}
	for i := range p.fields {
		p.fields[i].merge(&other.fields[i])
	}
}

// span is the least and the greatest of some numbers.
type span struct {
	any      bool
	min, max int64
}

func (s *span) add(v int64) {
	if !s.any {
		*s = span{true, v, v}
		return
	}
	s.min, s.max = min(s.min, v), max(s.max, v)
}

func (s *span) merge(o span) {
	if o.any {
		s.add(o.min)
		s.add(o.max)
	}
}

// label is what one label is like.
type label struct {
	rows     int64 // with a match
	matches  int64
	repeated int64     // rows with more than one match
	delays   histogram // ms from the impression to the first match
	before   int64     // first matches before the impression
	values   histogram
}

func (l *label) add(v *instances.LabelValue, timeMS int64) {
	l.rows++
	l.matches += v.Count
	if v.Count > 1 {
		l.repeated++
	}
	delay := v.FirstMS - timeMS
	if delay < 0 {
		l.before++
	}
	l.delays.add(float64(delay))
	l.values.add(v.Value)
}

func (l *label) merge(o *label) {
	l.rows, l.matches, l.repeated, l.before = l.rows+o.rows, l.matches+o.matches, l.repeated+o.repeated, l.before+o.before
	l.delays.merge(&o.delays)
	l.values.merge(&o.values)
}

// field is what one selected column is like.
type field struct {
	def     mortise.Field
	nulls   int64
	empty   int64 // texts and lists
	values  values
	numbers histogram // of numbers, of timestamps from the event time on, or of the lengths of lists
	key     []byte
}

func newField(def mortise.Field) field { return field{def: def} }

func (f *field) add(v *mortise.Value, timeMS int64) {
	switch v.Kind {
	case mortise.String:
		if len(v.Text()) == 0 {
			f.empty++
		}
		f.values.add(v.Text())
	case mortise.Int:
		f.numbers.add(float64(v.Int()))
		f.addKey(v)
	case mortise.Bool:
		f.addKey(v)
	case mortise.Timestamp:
		f.numbers.add(float64(v.Int() - timeMS))
	case mortise.Float:
		if !f.numbers.add(v.Float()) {
			f.nulls++ // what is not finite is written as null
		}
	case mortise.List:
		f.addList(v.List())
	default:
		f.nulls++
	}
}

func (f *field) addList(list []mortise.Value) {
	if len(list) == 0 {
		f.empty++
	}
	f.numbers.add(float64(len(list)))
	for i := range list {
		if v := &list[i]; v.Kind == mortise.String {
			f.values.add(v.Text())
		} else {
			f.addKey(v)
		}
	}
}

// addKey counts a value in its key form; null has none, and of floats and
// timestamps hardly two are the same.
func (f *field) addKey(v *mortise.Value) {
	if v.Kind == mortise.Float || v.Kind == mortise.Timestamp {
		return
	}
	key, ok := v.AppendKey(f.key[:0])
	if f.key = key; ok {
		f.values.add(key)
	}
}

func (f *field) merge(o *field) {
	f.nulls, f.empty = f.nulls+o.nulls, f.empty+o.empty
	f.values.merge(&o.values)
	f.numbers.merge(&o.numbers)
}
