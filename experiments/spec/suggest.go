package spec

import "strings"

// didYouMean makes the help for a name that is not one of those known: the
// nearest one, or all of them when they are few. It is "" when there is nothing
// to say.
func didYouMean(name string, known []string) string {
	if help := nearestHelp(name, known); help != "" {
		return help
	}
	if len(known) > 0 && len(known) <= 12 {
		return "there is " + strings.Join(known, ", ")
	}
	return ""
}

// nearestHelp is didYouMean where the message itself lists all of them.
func nearestHelp(name string, known []string) string {
	if best := Nearest(name, known); best != "" {
		return "did you mean `" + best + "`?"
	}
	return ""
}

// Nearest is the known name that a typing error may have made name of, or "".
func Nearest(name string, known []string) string {
	best, distance := "", max(len(name)/3, 1)+1
	for _, k := range known {
		d := editDistance(strings.ToLower(name), strings.ToLower(k), distance)
		if d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment), or limit when it is
// not less.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
