package main

import (
	"fmt"

	"github.com/mortise-dev/mortise/experiments"
)

// tellDimensions shows how the dimensions of a row were looked up.
func (c *console) tellDimensions(all []experiments.DimensionStory) {
	for i := range all {
		d := &all[i]
		key := "no key, as a part of it is null"
		if d.Key != nil {
			key = fmt.Sprintf("key %q", *d.Key)
		}
		fmt.Fprintf(c.out, "      %s: %s in %s, as of %s: %s", d.Name, key, d.Store, d.AsOf, d.Served)
		if d.Absent {
			fmt.Fprint(c.out, ", there is no such row")
		}
		fmt.Fprintf(c.out, " %s", jsonText(d.Row))
		if d.FromMS != nil || d.ToMS != nil {
			fmt.Fprintf(c.out, ", valid in [%s, %s)", openMoment(d.FromMS), openMoment(d.ToMS))
		}
		fmt.Fprintln(c.out)
	}
}

func openMoment(ms *int64) string {
	if ms == nil {
		return "…"
	}
	return moment(*ms)
}
