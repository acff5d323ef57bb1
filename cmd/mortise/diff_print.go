package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mortise-dev/mortise/instances/compare"
)

// printDiff prints how two sets of instances differ, for people.
func (c *console) printDiff(r *compare.Result, sides [2]*operand) {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	c.printSide("A", sides[0].text, &r.A)
	c.printSide("B", sides[1].text, &r.B)
	fmt.Fprintln(c.out)
	if r.Same() {
		fmt.Fprintf(c.out, "no difference: %s rows are equal%s\n", thousands(r.Equal), repeated(r))
		return
	}
	for _, line := range []struct {
		n    int64
		what string
	}{{r.Equal, "equal"}, {r.Changed, "changed"}, {r.Removed, "only in A"}, {r.Added, "only in B"}} {
		fmt.Fprintf(w, "%s\t  %s\n", thousands(line.n), line.what)
	}
	w.Flush()
	c.printCauses(r)
	c.printColumns(r)
	c.printHours(r)
	c.printSamples(r)
}

func (c *console) printSide(name, text string, s *compare.SideSummary) {
	fmt.Fprintf(c.out, "%s  %s: %s rows", name, text, thousands(s.Rows))
	if s.Rows > 0 {
		fmt.Fprintf(c.out, ", event time %s to %s", eventTime(s.FirstMS), eventTime(s.LastMS))
	}
	for _, part := range []struct {
		n    int64
		what string
	}{{s.Late, "late"}, {s.Duplicates, "duplicate"}, {s.Provisional, "provisional left out"}} {
		if part.n > 0 {
			fmt.Fprintf(c.out, ", %s %s", thousands(part.n), part.what)
		}
	}
	if v := slices.Sorted(maps.Keys(s.Versions)); len(v) > 0 {
		const most = 3
		more := ""
		if len(v) > most {
			v, more = v[:most], ", …"
		}
		fmt.Fprintf(c.out, ", by %s%s", strings.Join(v, ", "), more)
	}
	fmt.Fprintln(c.out)
}

func repeated(r *compare.Result) string {
	if r.A.Duplicates == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them duplicates on both sides", thousands(r.A.Duplicates))
}

func (c *console) printCauses(r *compare.Result) {
	if r.Differing() == 0 {
		return
	}
	fmt.Fprintln(c.out, "\nwhy")
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, class := range compare.Classes() {
		if n := r.Classes[class]; n > 0 {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", class, thousands(n), class.Explain())
		}
	}
	w.Flush()
}

func (c *console) printColumns(r *compare.Result) {
	if len(r.Columns) > 0 {
		fmt.Fprintln(c.out, "\ncolumns that changed")
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, col := range r.Columns {
		var more []string
		if col.NullInA > 0 {
			more = append(more, "null in A "+thousands(col.NullInA))
		}
		if col.NullInB > 0 {
			more = append(more, "null in B "+thousands(col.NullInB))
		}
		if col.MaxDelta > 0 {
			more = append(more, fmt.Sprintf("by up to %g", col.MaxDelta))
		}
		fmt.Fprintf(w, "  %s\t%s", col.Name, thousands(col.Changed))
		if len(more) > 0 {
			fmt.Fprintf(w, "\t%s", strings.Join(more, ", "))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	for i, s := range r.Schema {
		if i == 0 {
			fmt.Fprintln(c.out, "\ncolumns of one side")
		}
		fmt.Fprintf(c.out, "  %s only in %s\n", s.Column, strings.ToUpper(s.OnlyIn))
	}
}

// printHours names the hours with the most differences.
func (c *console) printHours(r *compare.Result) {
	const most = 5
	if len(r.Hours) == 0 {
		return
	}
	differing := func(h compare.HourSummary) int64 { return h.Changed + h.Removed + h.Added }
	hours := slices.Clone(r.Hours)
	slices.SortStableFunc(hours, func(a, b compare.HourSummary) int { return int(differing(b) - differing(a)) })
	fmt.Fprintf(c.out, "\nhours of event time with differences: %d", len(hours))
	if len(hours) > most {
		hours = hours[:most]
		fmt.Fprintf(c.out, ", most in")
	}
	fmt.Fprintln(c.out)
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, h := range hours {
		fmt.Fprintf(w, "  %s\t%s\n", eventTime(h.StartMS), thousands(differing(h)))
	}
	w.Flush()
}

func (c *console) printSamples(r *compare.Result) {
	for i := range r.Samples {
		s := &r.Samples[i]
		if i == 0 {
			fmt.Fprintln(c.out, "\nfor example")
		}
		what := map[string]string{"changed": "changed", "removed": "only in A", "added": "only in B"}[s.Kind]
		fmt.Fprintf(c.out, "  %s  %s  revision %d: %s, %s\n", s.ID, eventTime(s.TimeMS), s.Revision, what, s.Class)
		if s.Kind == "changed" {
			for _, cell := range s.Columns {
				fmt.Fprintf(c.out, "      %s: %s → %s\n", cell.Column, asJSON(cell.A), asJSON(cell.B))
			}
			continue
		}
		var cells []string
		for _, cell := range s.Columns {
			v := cell.A
			if s.Kind == "added" {
				v = cell.B
			}
			cells = append(cells, cell.Column+" "+asJSON(v))
		}
		fmt.Fprintf(c.out, "      %s\n", strings.Join(cells, ", "))
	}
}

func asJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "?"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
