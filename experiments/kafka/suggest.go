package kafka

import (
	"fmt"
	"slices"
	"strings"
)

// MissingTopicError says that a topic does not exist.
type MissingTopicError struct {
	Topic    string
	Existing []string // sorted
}

// Error names the topic, the likeliest one that was meant, and how to make it.
func (e *MissingTopicError) Error() string {
	msg := fmt.Sprintf("topic %q does not exist", e.Topic)
	if near := nearest(e.Topic, e.Existing); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return msg + ": correct the name, or create the topic"
}

// nearest returns the name that is closest to want by edits, if one is close
// enough to be a slip: at most a third of want's letters. It is never want
// itself, which may have come to be in the meantime.
func nearest(want string, names []string) string {
	best, bestEdits := "", len(want)/3+1
	for _, name := range names {
		if d := edits(want, name); d < bestEdits && name != want {
			best, bestEdits = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes, after case.
func edits(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func join(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
