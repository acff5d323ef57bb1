package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// tellFeatures shows of which tiles the features of a row are made.
func (c *console) tellFeatures(all []experiments.FeatureStory) {
	for i := range all {
		f := &all[i]
		fmt.Fprintf(c.out, "      %s = %s: %s of %s %q in [%s, %s)", f.Name, jsonText(f.Value), f.Is, f.Source, f.Entity, moment(f.FromMS), moment(f.ToMS))
		if len(f.Tiles) == 0 {
			fmt.Fprintln(c.out, ", which has no events")
			continue
		}
		fmt.Fprintln(c.out)
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		for _, t := range f.Tiles {
			fmt.Fprintf(w, "          %s\t%s\tlevel %d\t%s\t%s\n", moment(t.FromMS), mortise.FormatDuration(time.Duration(t.ToMS-t.FromMS)*time.Millisecond), t.Level, jsonText(t.Value), count(t.Bytes, "byte"))
		}
		w.Flush()
	}
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // not a number
	}
	return string(b)
}
