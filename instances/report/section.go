package report

import (
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances/profile"
)

// section is an experiment as the page shows it.
type section struct {
	*Experiment
	ID       string
	Tiles    []tile
	Ledgers  []ledgerBar
	Rates    []rateView
	Steps    string
	Hours    *chart
	Labels   []labelView
	Columns  []columnView
	Degraded []share
	Weights  []share

	HasBeside, BesideWide, HoursWide bool
}

// tile is one figure at the top.
type tile struct{ Value, Name, More string }

// share is a part of a whole, with a bar.
type share struct {
	Name, Count, Percent string
	Width                float64 // of 100
}

func newShare(name string, part, of int64) share {
	s := share{Name: name, Count: whole(part), Percent: percent(part, of)}
	if of > 0 {
		s.Width = max(100*float64(part)/float64(of), 0.5)
	}
	return s
}

func newSection(e *Experiment, i int) section {
	s := section{Experiment: e, ID: fmt.Sprintf("e%d", i)}
	p := e.Profile
	if p == nil {
		p = &profile.Summary{}
	}
	s.Tiles = tiles(p)
	if e.Ledger != nil {
		s.Ledgers = ledgerBars(e.Ledger)
	}
	if p.Rows == 0 {
		return s
	}
	s.Rates, s.Steps = rateCharts(p)
	for i := range p.Labels {
		s.Labels = append(s.Labels, newLabelView(&p.Labels[i], p, e.DelayMS))
	}
	for i := range p.Columns {
		s.Columns = append(s.Columns, newColumnView(&p.Columns[i], p.Rows))
	}
	for _, d := range p.Dimensions {
		s.Degraded = append(s.Degraded, newShare(d.Value, d.Count, p.Rows))
	}
	if len(p.Weights) > 1 {
		for _, w := range p.Weights {
			s.Weights = append(s.Weights, newShare("weight "+number(w.Weight), w.Rows, p.Rows))
		}
	}
	s.arrange(p)
	return s
}

// arrange lays the cards of one column side by side: labels that lie before the
// impression have one card, the hours another, dimensions and weights a third.
func (s *section) arrange(p *profile.Summary) {
	odd := false
	for i := range s.Labels {
		odd = odd != (s.Labels[i].Mirrored && s.Labels[i].Rows > 0)
	}
	s.HasBeside = len(s.Degraded)+len(s.Weights) > 0
	s.BesideWide = odd
	s.HoursWide = !odd && !s.HasBeside
	width := halfWidth
	if s.HoursWide {
		width = wideWidth
	}
	s.Hours = hoursChart(p, width)
}

func tiles(p *profile.Summary) []tile {
	t := []tile{
		{whole(p.Rows), "instances", ""},
		{whole(p.Positives), "positive", percent(p.Positives, p.Rows)},
		{whole(p.Late), "late", percent(p.Late, p.Rows)},
		{whole(p.Degraded), "degraded", percent(p.Degraded, p.Rows)},
	}
	if p.Provisional > 0 {
		t = append(t, tile{whole(p.Provisional), "provisional rows", "written before their windows closed"})
	}
	if p.Rows > 0 {
		t = append(t, tile{duration(p.LastMS - p.FirstMS), "of event time", clock(p.FirstMS)[:16] + " to " + clock(p.LastMS)[:16] + " UTC"})
	}
	return t
}

// ledgerBar is one side of the ledger: where all that came in has gone.
type ledgerBar struct {
	Name, In string
	Parts    []ledgerPart
}

type ledgerPart struct {
	share
	Class string
	X     float64 // of 100
}

func ledgerBars(l *mortise.Ledger) []ledgerBar {
	i, b := &l.Impressions, &l.Labels
	return []ledgerBar{
		newLedgerBar("impressions", i.In, &i.Dropped, []named{{"emitted", i.Emitted, "good"}, {"pending", i.Pending, "wait"}}),
		newLedgerBar("labels", b.In, &b.Dropped, []named{{"attached", b.Attached, "good"}, {"unmatched", b.Unmatched, "c3"}, {"late", b.Late, "warn"}, {"pending", b.Pending, "wait"}}),
	}
}

type named struct {
	name  string
	n     int64
	class string
}

func newLedgerBar(name string, in int64, dropped *mortise.Dropped, parts []named) ledgerBar {
	for r, n := range dropped {
		if n > 0 {
			parts = append(parts, named{"dropped: " + strings.ReplaceAll(mortise.Reason(r).String(), "_", " "), n, "bad"})
		}
	}
	bar := ledgerBar{Name: name, In: whole(in)}
	x := 0.0
	for _, p := range parts {
		if p.n == 0 {
			continue
		}
		s := newShare(p.name, p.n, in)
		s.Width = 100 * float64(p.n) / float64(max(in, 1))
		bar.Parts = append(bar.Parts, ledgerPart{s, p.class, x})
		x += s.Width
	}
	return bar
}
