package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/instances/profile"
)

// rateCharts draws each label's rate over event time, on an axis of its own, and
// behind it how many instances there are. It says how long a step is and how many
// instances the busiest holds.
func rateCharts(p *profile.Summary) (charts []rateView, steps string) {
	const most = 160
	step := p.StepMS
	for (p.LastMS-p.FirstMS)/step >= most {
		step *= 2
	}
	joined := joinSteps(p.Time, step, len(p.Labels))
	width := halfWidth
	if len(p.Labels) == 1 {
		width = wideWidth
	}
	for i, l := range p.Labels {
		charts = append(charts, rateView{l.Name, percent(l.Rows, p.Rows), rateChart(&p.Labels[i], i, joined, step, width)})
	}
	var busiest int64
	for _, m := range joined {
		busiest = max(busiest, m.Rows)
	}
	return charts, fmt.Sprintf("%s, up to %s", duration(step), whole(busiest))
}

// rateView is a label's rate over event time.
type rateView struct {
	Name, Mean string
	Chart      *chart
}

func rateChart(l *profile.Label, i int, steps []profile.Moment, step int64, width int) *chart {
	c := newChart("rate of "+l.Name+" over event time", width)
	x := c.x(float64(steps[0].StartMS), float64(steps[len(steps)-1].StartMS+step), false)
	c.timeTicks(x)
	top, busiest := 1e-9, int64(1)
	for _, m := range steps {
		busiest = max(busiest, m.Rows)
		top = max(top, float64(m.Labels[i])/float64(m.Rows))
	}
	y := c.y(top, axisPercent)
	volume := scale{from: 0, to: float64(busiest), a: c.Foot, b: c.Foot - (c.Foot-c.Top)*.3}
	pt := path{end: c.Foot}
	last := steps[0].StartMS
	for _, m := range steps {
		from, to, at := x.at(float64(m.StartMS)), x.at(float64(m.StartMS+step)), volume.at(float64(m.Rows))
		c.Bars = append(c.Bars, bar{from, at, max(to-from-.6, .6), c.Foot - at, "volume",
			fmt.Sprintf("%s: %s of %s instances, %s", clock(m.StartMS), whole(m.Labels[i]), whole(m.Rows), percent(m.Labels[i], m.Rows))})
		if m.StartMS-last > step {
			pt.gap()
		}
		last = m.StartMS
		pt.point((from+to)/2, y.at(float64(m.Labels[i])/float64(m.Rows)))
	}
	c.Lines = append(c.Lines, line{Path: pt.b.String(), Class: "c0"})
	return c
}

// joinSteps joins steps of time into longer ones.
func joinSteps(all []profile.Moment, step int64, labels int) (joined []profile.Moment) {
	for _, m := range all {
		start := m.StartMS - (m.StartMS%step+step)%step
		if n := len(joined); n == 0 || joined[n-1].StartMS != start {
			joined = append(joined, profile.Moment{StartMS: start, Labels: make([]int64, labels)})
		}
		last := &joined[len(joined)-1]
		last.Rows += m.Rows
		for i, n := range m.Labels {
			last.Labels[i] += n
		}
	}
	return joined
}

// hoursChart draws positives by the hour of the day.
func hoursChart(p *profile.Summary, width int) *chart {
	c := newChart("positives by hour of the day, UTC", width)
	var top int64
	for _, h := range p.Hours {
		top = max(top, h.Positives)
	}
	y := c.y(max(float64(top), 1), number)
	x := c.x(0, 24, false)
	for i, h := range p.Hours {
		at, next := x.at(float64(i)), x.at(float64(i+1))
		place := y.at(float64(h.Positives))
		c.Bars = append(c.Bars, bar{at + 2, place, next - at - 4, c.Foot - place, "c0", fmt.Sprintf("%02d:00 UTC: %s positive of %s, %s", i, whole(h.Positives), whole(h.Rows), percent(h.Positives, h.Rows))})
		if i%3 == 0 {
			c.Ticks = append(c.Ticks, tick{(at + next) / 2, fmt.Sprintf("%02d", i)})
		}
	}
	return c
}

// labelView is a label as the page shows it.
type labelView struct {
	*profile.Label
	Share      string
	Delay      *chart
	Seen       *chart
	Waits      []wait
	Sentence   string
	Mirrored   bool // a label that lies before its impression
	HasRepeats bool
	Repeats    string
}

// wait is one line of the table of waiting times.
type wait struct {
	Wait, Seen string
	Width      float64
	IsDelay    bool
}

func newLabelView(l *profile.Label, p *profile.Summary, delayMS int64) labelView {
	v := labelView{Label: l, Share: percent(l.Rows, p.Rows), HasRepeats: l.Repeated > 0, Repeats: percent(l.Repeated, l.Rows)}
	if l.Rows == 0 {
		return v
	}
	v.Mirrored = l.DelayMS.Max <= 0 && l.Before > 0
	v.Delay = delayChart(l, v.Mirrored, halfWidth)
	if v.Mirrored {
		v.Sentence = fmt.Sprintf("Half of them lie within %s before the impression, 99 of 100 within %s.", duration(-ms(l.DelayMS.P50)), duration(-ms(l.DelayMS.P01)))
		return v
	}
	v.Seen = seenChart(l, delayMS)
	for _, at := range waits {
		if at >= ms(l.DelayMS.Min) && at < delayMS {
			v.Waits = append(v.Waits, newWait(l, at, false))
		}
	}
	v.Waits = append(v.Waits, newWait(l, delayMS, true))
	v.Sentence = fmt.Sprintf("Half of them come within %s, 90 of 100 within %s, 99 of 100 within %s.", duration(waitFor(l, .5)), duration(waitFor(l, .9)), duration(waitFor(l, .99)))
	return v
}

var waits = []int64{1000, 10_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000, 24 * 3_600_000, 3 * 86_400_000, 7 * 86_400_000}

func ms(v float64) int64 { return int64(math.Round(v)) }

// seenBy returns which share of the labels has been seen after a wait, at least.
func seenBy(l *profile.Label, waitMS int64) (share float64) {
	for _, at := range l.Seen {
		if at.WaitMS <= waitMS {
			share = at.Share
		}
	}
	return share
}

// waitFor returns a wait after which a share of the labels has been seen.
func waitFor(l *profile.Label, share float64) int64 {
	for _, at := range l.Seen {
		if at.Share >= share {
			return at.WaitMS
		}
	}
	return ms(l.DelayMS.Max)
}

func newWait(l *profile.Label, at int64, isDelay bool) wait {
	share := seenBy(l, at)
	return wait{duration(at), percentage(share), 100 * share, isDelay}
}

// delayChart draws how long labels take, on a logarithmic axis: the bins of the
// profile shared out over bars of equal width.
func delayChart(l *profile.Label, mirrored bool, width int) *chart {
	bins := delayBins(l, mirrored)
	if len(bins) == 0 {
		return nil
	}
	least, greatest := bins[0].From, bins[0].To
	for _, b := range bins {
		least, greatest = min(least, b.From), max(greatest, b.To)
	}
	c := newChart("time from the impression to "+l.Name, width)
	x := c.x(least, greatest, true)
	c.waitTicks(x)
	bars := scale{from: least, to: greatest, a: 0, b: float64(width / 10), log: true}
	counts := make([]float64, width/10)
	for _, b := range bins {
		shareOut(counts, bars.at(b.From), bars.at(b.To), float64(b.Count))
	}
	y := c.y(slices.Max(counts), number)
	w := (c.Right - c.Left) / float64(len(counts))
	for i, n := range counts {
		if n < .05 {
			continue
		}
		from, to := least*math.Pow(greatest/least, float64(i)/bars.b), least*math.Pow(greatest/least, float64(i+1)/bars.b)
		at := y.at(n)
		c.Bars = append(c.Bars, bar{c.Left + float64(i)*w + .5, at, w - 1, c.Foot - at, "c0",
			fmt.Sprintf("%s to %s: about %s labels, %s", duration(ms(from)), duration(ms(to)), whole(ms(n)), percentage(n/float64(l.Rows)))})
	}
	return c
}

// delayBins returns the bins of a label's delays as spans of 1 ms and more, those
// before the impression only where the label lies there.
func delayBins(l *profile.Label, mirrored bool) (bins []profile.Bin) {
	for _, b := range l.DelayMS.Bins {
		if mirrored {
			b.From, b.To = -b.To, -b.From
		}
		if b.From >= 0 {
			b.From = max(b.From, 1)
			b.To = max(b.To, b.From*1.0625)
			bins = append(bins, b)
		}
	}
	return bins
}

// shareOut adds n to the counters that the span from from to to covers.
func shareOut(counts []float64, from, to, n float64) {
	from, to = max(from, 0), min(to, float64(len(counts)))
	for i := math.Floor(from); i < math.Ceil(to); i++ {
		counts[int(i)] += n * (min(to, i+1) - max(from, i)) / (to - from)
	}
}

// seenChart draws which share of the labels has been seen after a wait.
func seenChart(l *profile.Label, delayMS int64) *chart {
	c := newChart("share of "+l.Name+" seen against waiting time", halfWidth)
	least := math.Max(float64(l.Seen[0].WaitMS)/2, 1)
	x := c.x(least, math.Max(float64(delayMS), 2*l.DelayMS.Max), true)
	if delayMS > 0 {
		x.to = math.Max(float64(delayMS)*1.15, l.DelayMS.Max*1.05)
	}
	c.waitTicks(x)
	y := c.y(1, axisPercent)
	p := path{end: c.Foot}
	p.point(x.at(least), y.at(0))
	for _, at := range l.Seen {
		p.point(x.at(math.Max(float64(at.WaitMS), least)), y.at(at.Share))
	}
	p.point(c.Right, y.at(1))
	p.gap()
	c.Lines = append(c.Lines, line{Path: p.b.String(), Class: "c0", Area: p.area.String()})
	for i, share := range []float64{.5, .9, .99} {
		at := waitFor(l, share)
		c.Marks = append(c.Marks, mark{x.at(math.Max(float64(at), least)), c.Foot - 10 - 16*float64(i), fmt.Sprintf("%.0f %% after %s", 100*share, duration(at)), "end", "quiet"})
	}
	if delayMS > 0 {
		c.Marks = append(c.Marks, mark{x.at(float64(delayMS)), c.Top + 30, "delay " + duration(delayMS), "end", "strong"})
	}
	return c
}
