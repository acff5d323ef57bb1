package main

import (
	"fmt"
	"math"
	"time"

	"github.com/mortise-dev/mortise/experiments/backfill"
)

func (c *console) printEstimate(e *backfill.Estimate, f *backfillFlags) error {
	if f.json {
		return c.printJSON(e)
	}
	for _, in := range e.Inputs {
		about := "about "
		if in.Exact {
			about = ""
		}
		bytes := "of unknown size"
		if in.Bytes >= 0 {
			bytes = size(in.Bytes)
		}
		fmt.Fprintf(c.out, "%-20s %s, %s, %s%s records\n", in.Source, count(in.Files, "file"), bytes, about, thousands(round(in.Records, in.Exact)))
	}
	fmt.Fprintln(c.out)
	if e.Hours > 0 {
		fmt.Fprintf(c.out, "event time    %s to %s, as far as was looked: up to %d hours of rows\n", eventTime(e.FromMS), eventTime(e.ToMS), e.Hours)
	}
	fmt.Fprintf(c.out, "splits        %d", e.Splits)
	if e.Finished > 0 {
		fmt.Fprintf(c.out, ", of which %d are finished in %s", e.Finished, f.out)
	}
	fmt.Fprintf(c.out, "\nscratch       about %s in %s\n", size(e.ScratchBytes), f.scratch)
	fmt.Fprintf(c.out, "dataset       about %s in %s\n", size(e.OutBytes), f.out)
	fmt.Fprintf(c.out, "memory        about %s\n", size(e.MemoryBytes))
	fmt.Fprintf(c.out, "time          about %s with %s: %s rows a second each in a trial\n", roughly(e.Seconds), count(f.workers, "worker"), thousands(round(int64(e.RowsASecond), false)))
	return nil
}

// round leaves two digits of what is not exact.
func round(n int64, exact bool) int64 {
	if exact || n < 100 {
		return n
	}
	unit := int64(math.Pow10(int(math.Log10(float64(n))) - 1))
	return (n + unit/2) / unit * unit
}

// roughly writes seconds as people say them.
func roughly(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}
