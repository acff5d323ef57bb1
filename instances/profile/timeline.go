package profile

// timeline counts rows by event time. Its step is the finest of the ladder at
// which not more than maxMoments steps hold rows: that depends on the rows
// alone, not on the order in which they came.
type timeline struct {
	labels  int
	rung    int // of ladder
	moments map[int64]*moment
	last    *moment
	lastAt  int64
}

// moment is what one step holds.
type moment struct {
	rows, positives, late, degraded int64
	labels                          []int64 // rows with a match, per label
}

const (
	minuteMS   = 60_000
	hourMS     = 60 * minuteMS
	dayMS      = 24 * hourMS
	maxMoments = 2000
)

// ladder is the steps; each is a multiple of the one before, so that moments can
// be joined.
var ladder = [...]int64{minuteMS, 5 * minuteMS, 15 * minuteMS, hourMS, 6 * hourMS, dayMS, 7 * dayMS, 28 * dayMS, 364 * dayMS, 3640 * dayMS, 36400 * dayMS}

func (t *timeline) at(timeMS int64) *moment {
	step := ladder[t.rung]
	start := floor(timeMS, step)
	if t.last != nil && start == t.lastAt {
		return t.last
	}
	m := t.moment(start)
	if len(t.moments) > maxMoments && t.rung < len(ladder)-1 {
		t.coarsen(t.rung + 1)
		return t.at(timeMS)
	}
	t.last, t.lastAt = m, start
	return m
}

func (t *timeline) moment(start int64) *moment {
	m := t.moments[start]
	if m == nil {
		if t.moments == nil {
			t.moments = map[int64]*moment{}
		}
		m = &moment{labels: make([]int64, t.labels)}
		t.moments[start] = m
	}
	return m
}

func (t *timeline) coarsen(rung int) {
	old := t.moments
	t.rung, t.moments, t.last = rung, nil, nil
	for start, m := range old {
		t.moment(floor(start, ladder[rung])).merge(m)
	}
}

func (t *timeline) merge(o *timeline) {
	if o.rung > t.rung {
		t.coarsen(o.rung)
	}
	for start, m := range o.moments {
		t.moment(floor(start, ladder[t.rung])).merge(m)
		for len(t.moments) > maxMoments && t.rung < len(ladder)-1 {
			t.coarsen(t.rung + 1)
		}
	}
}

func (m *moment) merge(o *moment) {
	m.rows, m.positives, m.late, m.degraded = m.rows+o.rows, m.positives+o.positives, m.late+o.late, m.degraded+o.degraded
	for i := range o.labels {
		m.labels[i] += o.labels[i]
	}
}

// floor rounds down to a multiple of step.
func floor(v, step int64) int64 {
	r := v % step
	if r < 0 {
		r += step
	}
	return v - r
}

func hourOfDay(timeMS int64) int64 { return (timeMS - floor(timeMS, dayMS)) / hourMS }
