package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The geometry of charts, in units of the page's drawings: about a pixel each on
// a wide screen, so that text is as large as the page's.
const (
	wideWidth   = 1036
	halfWidth   = 490
	chartHeight = 210
	marginLeft  = 52
	marginRight = 14
	marginTop   = 12
	marginFoot  = 28
)

// chart is a drawing that the template knows how to write.
type chart struct {
	Width, Height int
	Label         string // for those who cannot see it
	Grid          []tick // of the vertical axis
	Ticks         []tick // of the horizontal axis
	Bars          []bar
	Lines         []line
	Marks         []mark
	Left, Right   float64 // of the plot
	Top, Foot     float64
}

// TextLeft is where the text beside the vertical axis ends.
func (c *chart) TextLeft() float64 { return c.Left - 8 }

type tick struct {
	At   float64
	Text string
}

type bar struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

type line struct {
	Path, Class string
	Area        string // the same closed below; empty for a line alone
}

// mark is a vertical line with a word.
type mark struct {
	X, Y   float64
	Text   string
	Anchor string
	Class  string
}

func newChart(label string, width int) *chart {
	return &chart{Width: width, Height: chartHeight, Label: label, Left: marginLeft, Right: float64(width - marginRight), Top: marginTop, Foot: chartHeight - marginFoot}
}

// scale maps numbers to places.
type scale struct {
	from, to float64 // of the numbers
	a, b     float64 // of the places
	log      bool
}

func (s scale) at(v float64) float64 {
	from, to := s.from, s.to
	if s.log {
		v, from, to = math.Log(v), math.Log(from), math.Log(to)
	}
	if to == from {
		return s.a
	}
	return s.a + (s.b-s.a)*(v-from)/(to-from)
}

func (c *chart) x(from, to float64, log bool) scale {
	return scale{from: from, to: to, a: c.Left, b: c.Right, log: log}
}

// y makes the vertical axis from 0 to a round number above top, with its grid.
func (c *chart) y(top float64, text func(float64) string) scale {
	step := niceStep(top / 4)
	n := math.Max(math.Ceil(top/step-1e-9), 1)
	s := scale{from: 0, to: n * step, a: c.Foot, b: c.Top}
	for i := 0.0; i <= n; i++ {
		c.Grid = append(c.Grid, tick{s.at(i * step), text(i * step)})
	}
	return s
}

// niceStep rounds up to 1, 2, 2.5 or 5 times a power of ten.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if f*base >= v*(1-1e-9) {
			return f * base
		}
	}
	return 10 * base
}

// timeTicks puts round times on a horizontal axis of event time.
func (c *chart) timeTicks(x scale) {
	span := x.to - x.from
	for _, step := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour, 84 * 24 * time.Hour, 364 * 24 * time.Hour, 3640 * 24 * time.Hour} {
		ms := float64(step.Milliseconds())
		if span/ms > (c.Right-c.Left)/70 && step != 3640*24*time.Hour {
			continue
		}
		for v := math.Ceil(x.from/ms) * ms; v <= x.to; v += ms {
			at := time.UnixMilli(int64(v)).UTC()
			text := at.Format("15:04")
			switch {
			case step >= 24*time.Hour && span > 300*86_400_000:
				text = at.Format("2006-01-02")
			case step >= 24*time.Hour || at.Hour() == 0 && at.Minute() == 0:
				text = at.Format("2 Jan")
			}
			c.Ticks = append(c.Ticks, tick{x.at(v), text})
		}
		return
	}
}

// waitTicks puts round spans of time on a logarithmic axis of ms.
func (c *chart) waitTicks(x scale) {
	const s, m, h, d = 1000, 60_000, 3_600_000, 86_400_000
	all := []int64{1, 10, 100, s, 10 * s, m, 10 * m, h, 6 * h, d, 7 * d, 30 * d, 365 * d}
	last := math.Inf(-1)
	for _, ms := range all {
		if v := float64(ms); v >= x.from*(1-1e-9) && v <= x.to*(1+1e-9) {
			if at := x.at(v); at-last > 42 {
				c.Ticks = append(c.Ticks, tick{at, duration(ms)})
				last = at
			}
		}
	}
}

// path draws points as a line, broken where there is none.
type path struct {
	b          strings.Builder
	firstX     float64
	lastX, end float64
	open       bool
	area       strings.Builder
}

func (p *path) point(x, y float64) {
	if !p.open {
		fmt.Fprintf(&p.b, "M%.1f %.1f", x, y)
		p.firstX, p.open = x, true
		fmt.Fprintf(&p.area, "M%.1f %.1fL%.1f %.1f", x, p.end, x, y)
	} else {
		fmt.Fprintf(&p.b, "L%.1f %.1f", x, y)
		fmt.Fprintf(&p.area, "L%.1f %.1f", x, y)
	}
	p.lastX = x
}

func (p *path) gap() {
	if p.open {
		fmt.Fprintf(&p.area, "L%.1f %.1fZ", p.lastX, p.end)
	}
	p.open = false
}
