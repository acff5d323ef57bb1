package joiner_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/joiner"
)

// record is an event of the model: a key per key set, a value for labels.
type record struct {
	keys   []string
	timeMS int64
	value  float64
}

// oracle says which final rows the join must give, the naive way: every
// impression against every label. streams[0] is the main stream; a record's
// offset is its index. It also counts the labels that attach to something.
func oracle(o joiner.Options, names []string, streams [][]record) (rows []string, attached int) {
	order := make([]int, len(streams[0]))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(streams[0][a].timeMS - streams[0][b].timeMS) })
	kept, hit := map[string]int64{}, map[[2]int]bool{}
	for _, i := range order {
		imp := streams[0][i]
		if at, ok := kept[imp.keys[0]]; ok && o.Dedup && imp.timeMS < at+o.DelayMS {
			continue
		}
		kept[imp.keys[0]] = imp.timeMS
		row := fmt.Sprintf("emit %s t=%s", imp.keys[0], at(imp.timeMS))
		for w, def := range o.Windows {
			var s labelSum
			mine := slices.Index(o.Sources[0].KeySets, def.KeySet)
			theirs := slices.Index(o.Sources[def.Source].KeySets, def.KeySet)
			for j, l := range streams[def.Source] {
				if l.keys[theirs] != imp.keys[mine] || l.timeMS < imp.timeMS-def.BeforeMS || l.timeMS >= imp.timeMS+def.WithinMS {
					continue
				}
				if s.count == 0 || l.timeMS < s.firstMS {
					s.firstMS = l.timeMS
				}
				s.sum, s.count = s.sum+l.value, s.count+1
				hit[[2]int{def.Source, j}] = true
			}
			if s.count > 0 {
				row += fmt.Sprintf(" %s=%g@%s*%d", names[w], s.sum, at(s.firstMS), s.count)
			}
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows, len(hit)
}

// finals keeps the final rows of what a run put out, without their revision, sorted.
func finals(out []string) (rows []string) {
	for _, line := range out {
		if row, ok := strings.CutSuffix(line, " final"); ok {
			rows = append(rows, row[:strings.LastIndex(row, " rev=")])
		}
	}
	slices.Sort(rows)
	return rows
}
