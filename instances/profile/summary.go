package profile

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
)

// Summary is a profile for people and tools to read. Counts are of final rows.
// Where a number is not exact, its comment says so.
type Summary struct {
	Rows        int64         `json:"rows"`
	Provisional int64         `json:"provisional"` // rows before the last word, not among Rows
	Positives   int64         `json:"positives"`
	Late        int64         `json:"late"`
	Degraded    int64         `json:"degraded"`
	FirstMS     int64         `json:"first_event_time"` // ms UTC; 0 without rows
	LastMS      int64         `json:"last_event_time"`
	Weights     []WeightCount `json:"weights"`    // by weight
	Dimensions  []ValueCount  `json:"dimensions"` // rows by what was degraded, as dim:how
	StepMS      int64         `json:"step_ms"`    // of Time
	Time        []Moment      `json:"time"`       // steps that hold rows, in order
	Hours       []HourOfDay   `json:"hours"`      // 24, UTC
	Labels      []Label       `json:"labels"`
	Columns     []Column      `json:"columns"` // the selected ones
}

// WeightCount is how many rows have a weight.
type WeightCount struct {
	Weight float64 `json:"weight"`
	Rows   int64   `json:"rows"`
}

// ValueCount is how often a value comes.
type ValueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Moment is one step of event time.
type Moment struct {
	StartMS   int64   `json:"start"` // ms UTC
	Rows      int64   `json:"rows"`
	Positives int64   `json:"positives"`
	Late      int64   `json:"late"`
	Degraded  int64   `json:"degraded"`
	Labels    []int64 `json:"labels"` // rows with a match, per label
}

// HourOfDay is one hour of the day, UTC, over all days.
type HourOfDay struct {
	Rows      int64 `json:"rows"`
	Positives int64 `json:"positives"`
}

// Label is what one label is like.
type Label struct {
	Name     string `json:"name"`
	Outcome  bool   `json:"outcome"`  // a match makes an instance positive
	Rows     int64  `json:"rows"`     // with a match
	Matches  int64  `json:"matches"`  // of all rows
	Repeated int64  `json:"repeated"` // rows with more than one match
	Before   int64  `json:"before"`   // rows whose first match lies before the impression
	// DelayMS is the time from the impression to the first match.
	DelayMS Distribution `json:"delay_ms"`
	Value   Distribution `json:"value"`
	// Seen is which share of the labels would have been seen had an instance been
	// closed so long after its impression.
	Seen []Seen `json:"seen"`
}

// Seen is one point of a label's completeness.
type Seen struct {
	WaitMS int64   `json:"wait_ms"`
	Share  float64 `json:"share"` // of the labels that came within the window
}

// Column is what one selected column is like.
type Column struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Nulls int64  `json:"nulls"` // for floats, what is not finite too
	Empty int64  `json:"empty"` // empty texts, or lists
	// Distinct is how many different values there are, for lists of elements;
	// about, unless DistinctExact. It is 0 for floats and timestamps.
	Distinct      int64        `json:"distinct"`
	DistinctExact bool         `json:"distinct_exact"`
	Values        int64        `json:"values"` // that Top is out of: rows, or elements of lists
	Top           []ValueCount `json:"top"`    // the most frequent; counts are upper bounds unless DistinctExact
	// Numbers are the values; of timestamps, ms from the impression on, below 0
	// before it; of lists, their lengths. Empty for texts and booleans.
	Numbers Distribution `json:"numbers"`
}

// Distribution is how numbers are spread. Least and greatest are exact; mean and
// quantiles are within about 3 %, by the width of bins.
type Distribution struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
	P01   float64 `json:"p01"`
	P25   float64 `json:"p25"`
	P50   float64 `json:"p50"`
	P75   float64 `json:"p75"`
	P99   float64 `json:"p99"`
	Bins  []Bin   `json:"bins,omitempty"` // that hold something, in order
}

// Bin counts the numbers from From up to To; of zero alone, both are 0.
type Bin struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Count int64   `json:"count"`
}

// topValues is how many of a column's values are listed.
const topValues = 10

// Summary sums up what was collected so far. The profile may go on.
func (p *Profile) Summary() *Summary {
	s := &Summary{Rows: p.rows, Provisional: p.provisional, Positives: p.positives, Late: p.late, Degraded: p.degraded,
		FirstMS: p.span.min, LastMS: p.span.max, StepMS: ladder[p.time.rung], Hours: slices.Clone(p.hours[:])}
	for _, w := range slices.Sorted(maps.Keys(p.weights)) {
		s.Weights = append(s.Weights, WeightCount{w, p.weights[w]})
	}
	for _, how := range slices.Sorted(maps.Keys(p.how)) {
		s.Dimensions = append(s.Dimensions, ValueCount{how, p.how[how]})
	}
	for start, m := range p.time.moments {
		s.Time = append(s.Time, Moment{start, m.rows, m.positives, m.late, m.degraded, slices.Clone(m.labels)})
	}
	slices.SortFunc(s.Time, func(a, b Moment) int { return cmp.Compare(a.StartMS, b.StartMS) })
	for i, name := range p.columns.Labels() {
		l := &p.labels[i]
		s.Labels = append(s.Labels, Label{Name: name, Outcome: p.outcomes[i], Rows: l.rows, Matches: l.matches, Repeated: l.repeated, Before: l.before,
			DelayMS: l.delays.distribution(), Value: l.values.distribution(), Seen: l.seen()})
	}
	for i := range p.fields {
		s.Columns = append(s.Columns, p.fields[i].summary())
	}
	return s
}

func (h *histogram) distribution() Distribution {
	d := Distribution{Count: h.count, Min: h.min, Max: h.max}
	if h.count == 0 {
		return d
	}
	d.Mean = h.mean()
	d.P01, d.P25, d.P50, d.P75, d.P99 = h.quantile(.01), h.quantile(.25), h.quantile(.5), h.quantile(.75), h.quantile(.99)
	h.each(func(from, to float64, n int64) { d.Bins = append(d.Bins, Bin{from, to, n}) })
	return d
}

// seen is the running sum of the delays, a point a bin: at its upper bound all
// that lies in it has been seen.
func (l *label) seen() (points []Seen) {
	sum := int64(0)
	l.delays.each(func(_, to float64, n int64) {
		sum += n
		wait := int64(max(min(to, l.delays.max), 0))
		if last := len(points) - 1; last >= 0 && points[last].WaitMS == wait {
			points = points[:last]
		}
		points = append(points, Seen{wait, float64(sum) / float64(l.rows)})
	})
	return points
}

func (f *field) summary() Column {
	numbers := f.numbers.distribution()
	if f.def.Type.Kind != mortise.Float { // whole ones: not the middle of a bin, but one that lies in it
		for _, q := range []*float64{&numbers.P01, &numbers.P25, &numbers.P50, &numbers.P75, &numbers.P99} {
			*q = math.Floor(*q)
		}
	}
	c := Column{Name: f.def.Name, Type: f.def.Type.String(), Nulls: f.nulls, Empty: f.empty, Values: f.values.count, Numbers: numbers}
	kind := f.def.Type.Kind
	if kind == mortise.List {
		kind = f.def.Type.Elem
	}
	if kind == mortise.Float || kind == mortise.Timestamp {
		return c
	}
	c.Distinct, c.DistinctExact = f.values.distinct()
	c.Top = f.values.top(topValues)
	for i := range c.Top {
		c.Top[i].Value = strings.ToValidUTF8(c.Top[i].Value, "\ufffd")
	}
	return c
}
