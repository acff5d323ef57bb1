package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/mortise-dev/mortise/instances/profile"
)

// columnView is a column as the page shows it.
type columnView struct {
	*profile.Column
	Null      share
	Distincts string
	Spread    string
	Spark     *chart
	Logarithm bool
	Of        string // what the numbers are, where they are not the values
	Shares    []share
}

func newColumnView(col *profile.Column, rows int64) columnView {
	v := columnView{Column: col, Null: newShare("", col.Nulls, rows)}
	if col.Nulls == 0 {
		v.Null.Width = 0
	}
	if col.Distinct > 0 {
		v.Distincts = whole(col.Distinct)
		if !col.DistinctExact {
			v.Distincts = "≈ " + number(roundTo(float64(col.Distinct), 3))
		}
	}
	if d := &col.Numbers; d.Count > 0 {
		show := number
		if col.Type == "timestamp" || col.Type == "timestamp?" {
			show = func(f float64) string { return duration(int64(f)) }
			v.Of = "from the impression on"
		}
		if strings.HasPrefix(col.Type, "[") {
			v.Of = "elements"
		}
		v.Spread = fmt.Sprintf("%s … %s … %s", show(d.Min), show(d.P50), show(d.Max))
		v.Spark, v.Logarithm = spark(d)
	}
	const most = 5
	for _, top := range col.Top[:min(most, len(col.Top))] {
		name := top.Value
		if name == "" {
			name = "(empty)"
		}
		v.Shares = append(v.Shares, newShare(name, top.Count, max(col.Values, 1)))
	}
	return v
}

// roundTo rounds to so many digits.
func roundTo(v float64, digits int) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-float64(digits-1))
	return math.Round(v/unit) * unit
}

// spark draws a small histogram: linear, or logarithmic for positive numbers of
// very different size.
func spark(d *profile.Distribution) (*chart, bool) {
	const width, height, most = 200, 36, 40
	c := &chart{Width: width, Height: height, Label: "distribution", Left: 0, Right: width, Top: 2, Foot: height - 1}
	log := d.Min > 0 && d.P99 > 50*d.P01
	from, to := d.Min, d.Max
	if !log && d.P99 > d.P01 { // the tails would squeeze everything else
		spread := d.P99 - d.P01
		from, to = max(from, d.P01-spread/2), min(to, d.P99+spread/2)
	}
	bins := most
	if isWhole(d) && to-from < most {
		from, to = math.Floor(from), math.Floor(to)+1
		bins = int(to - from)
	}
	if to == from {
		to = from + 1
	}
	x := scale{from: from, to: to, a: 0, b: float64(bins), log: log}
	counts := make([]float64, bins)
	for _, b := range d.Bins {
		spread(counts, x, b)
	}
	var top float64
	for _, n := range counts {
		top = max(top, n)
	}
	w := float64(width) / float64(bins)
	for i, n := range counts {
		if n > 0 {
			h := max((c.Foot-c.Top)*n/top, 1)
			c.Bars = append(c.Bars, bar{X: float64(i)*w + .4, Y: c.Foot - h, W: max(w-.8, .8), H: h, Class: "c0"})
		}
	}
	return c, log
}

// isWhole reports whether all numbers are small whole ones, so that every bin
// holds one of them.
func isWhole(d *profile.Distribution) bool {
	for _, b := range d.Bins {
		lower := math.Min(math.Abs(b.From), math.Abs(b.To))
		if lower != math.Trunc(lower) || lower >= 32 {
			return false
		}
	}
	return true
}

// spread shares a bin out over the bars that it covers.
func spread(counts []float64, x scale, b profile.Bin) {
	from, to := x.at(b.From), x.at(b.To)
	if b.From == b.To || to <= from {
		to = from
	}
	if to-from < 1e-9 || isSingle(b) {
		if i := int(math.Floor(from + 1e-9)); from >= -1e-9 && i < len(counts) {
			counts[max(i, 0)] += float64(b.Count)
		}
		return
	}
	shareOut(counts, from, to, float64(b.Count))
}

// isSingle reports whether a bin of whole numbers holds just one.
func isSingle(b profile.Bin) bool {
	return b.From == math.Trunc(b.From) && b.From > 0 && b.To-b.From <= 1 && b.From < 32
}
