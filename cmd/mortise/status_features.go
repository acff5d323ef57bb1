package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mortise-dev/mortise/experiments"
)

// printFeatures shows how far a worker's features are.
func (c *console) printFeatures(all []experiments.FeatureStatus) {
	if len(all) == 0 {
		fmt.Fprintln(c.out, "  the worker's rows have no features")
		return
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  features of\tgeneration\tfinal to\tlag\tevents\tlate\tunreadable\tcomplete from")
	for i := range all {
		f := &all[i]
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Source, f.Generation, finalTo(f.WatermarkMS), thousands(f.LagRecords), thousands(f.Writer.Events), thousands(f.Writer.Late),
			thousands(f.Unreadable), completeFrom(f))
	}
	_ = w.Flush() // to the console
	fmt.Fprintln(c.out)
}

func finalTo(ms int64) string {
	switch ms {
	case 0:
		return "nothing yet"
	case math.MaxInt64:
		return "the end"
	}
	return eventTime(ms)
}

// completeFrom lists the features whose first rows have less than their window,
// those with the same time together.
func completeFrom(f *experiments.FeatureStatus) string {
	byTime := map[int64][]string{}
	for name, ms := range f.CompleteFromMS {
		byTime[ms] = append(byTime[ms], name)
	}
	if len(byTime) == 0 {
		return "the first row"
	}
	var times []int64
	for ms, names := range byTime {
		times = append(times, ms)
		slices.Sort(names)
	}
	slices.Sort(times)
	var parts []string
	for _, ms := range times {
		parts = append(parts, strings.Join(byTime[ms], ", ")+": "+since(ms))
	}
	return strings.Join(parts, "; ")
}

func since(ms int64) string {
	if ms == math.MaxInt64 {
		return "not yet"
	}
	return eventTime(ms)
}
