package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
)

// printDimensions shows how a worker reads dimensions.
func (c *console) printDimensions(all []experiments.DimensionStatus) {
	if len(all) == 0 {
		fmt.Fprintln(c.out, "  the worker's rows have no dimensions")
		return
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  dimension\tstore\thit\tread\tstale\tdefault\tmissing\trequests\tfailed\ttimed out\trefused\tbreaker\tcached")
	for i := range all {
		d, s := &all[i], &all[i].Stats
		fmt.Fprintf(w, "  %s\t%s", d.Name, d.Store)
		for served := dimjoin.ServedHit; served <= dimjoin.ServedMissing; served++ {
			fmt.Fprintf(w, "\t%s", thousands(s.Served[served]))
		}
		fmt.Fprintf(w, "\t%s\t%s\t%s\t%s\t%s\t%s keys\n", thousands(s.Requests), thousands(s.Failed), thousands(s.TimedOut), thousands(s.Refused), s.Breaker, thousands(int64(s.CacheKeys)))
	}
	_ = w.Flush() // to the console
	for i := range all {
		if cl := all[i].Clusters; cl != nil {
			fmt.Fprintf(c.out, "  %s: cluster a has %.0f %% of the requests, its breaker is %s, b's %s; %s hedges\n", all[i].Name, 100*cl.ShareA, cl.Sides[0].Breaker, cl.Sides[1].Breaker, thousands(cl.Hedges))
		}
	}
	fmt.Fprintln(c.out)
}

// printParking shows which rows of a worker wait for dimensions.
func (c *console) printParking(all []experiments.ParkingStatus) {
	for i := range all {
		p := &all[i]
		oldest := ""
		if p.OldestMS > 0 {
			oldest = fmt.Sprintf(", since %s", eventTime(p.OldestMS))
		}
		fmt.Fprintf(c.out, "  %s rows wait for dimensions, in %s%s; %s found them, %s waited in vain, %s could not wait\n\n", thousands(p.Rows), p.Topic, oldest,
			thousands(p.Found), thousands(p.InVain), thousands(p.Refused))
	}
}

// printCorrections shows which rows of a worker may be corrected.
func (c *console) printCorrections(all []experiments.ParkingStatus) {
	for i := range all {
		p := &all[i]
		fmt.Fprintf(c.out, "  %s rows may be corrected, in %s; %s were, of %s the dimension did not come in time, %s were too many\n\n", thousands(p.Rows), p.Topic,
			thousands(p.Found), thousands(p.InVain), thousands(p.Refused))
	}
}
