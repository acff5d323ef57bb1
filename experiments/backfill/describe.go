package backfill

import (
	"slices"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
)

// Need is what a backfill of some range of event time reads of one stream, and
// what for.
type Need struct {
	Sources  []string // as the experiment file calls them
	For      string   // impressions, labels or features
	BeforeMS int64    // how far before the range's beginning it reads
	AfterMS  int64    // how far after its end
}

// Needs lists what a backfill of any range reads: the main stream first, then
// labels, then the streams of features, which are read in a pass of their own.
func Needs(p *experiments.Pipeline) (needs []Need) {
	_, lanes := newLanes(p, Range{})
	for i := range lanes {
		l := &lanes[i]
		n := Need{Sources: l.names, For: "labels", BeforeMS: -l.fromMS, AfterMS: l.toMS}
		if l.main {
			n.For = "impressions"
		}
		needs = append(needs, n)
	}
	if len(p.Features) == 0 {
		return needs
	}
	of := Need{For: "features", BeforeMS: tiling.Horizon(p.Features)}
	for i := range p.Features {
		if name := p.Features[i].Source.Name; !slices.Contains(of.Sources, name) {
			of.Sources = append(of.Sources, name)
		}
	}
	return append(needs, of)
}
