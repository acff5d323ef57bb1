package backfill

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// OtherPlanError says that the dataset's folder holds the rows of another backfill.
type OtherPlanError struct {
	Where        string
	There, Asked request
}

// Error says what differs, and what to do.
func (e *OtherPlanError) Error() string {
	return fmt.Sprintf("%s holds another backfill: %s: name another folder with --out, or have this one emptied first with --overwrite", e.Where, e.difference())
}

func (e *OtherPlanError) difference() string {
	a, b := &e.There, &e.Asked
	switch {
	case a.Experiment != b.Experiment:
		return fmt.Sprintf("of experiment %s, not of %s", a.Experiment, b.Experiment)
	case a.Version != b.Version || a.Config != b.Config:
		return fmt.Sprintf("of another definition of %s (version %d, config %.12s; the file is now version %d, config %.12s)", a.Experiment, a.Version, a.Config, b.Version, b.Config)
	case bound(a.FromMS) != bound(b.FromMS) || bound(a.ToMS) != bound(b.ToMS):
		return fmt.Sprintf("of event times from %s to %s, not from %s to %s", bound(a.FromMS), bound(a.ToMS), bound(b.FromMS), bound(b.ToMS))
	case a.Splits != b.Splits:
		return fmt.Sprintf("in %s, not in %s", splitsText(a.Splits), splitsText(b.Splits))
	}
	for i := range min(len(a.Inputs), len(b.Inputs)) {
		for _, there := range a.Inputs[i].Data {
			if !slices.Contains(b.Inputs[i].Data, there) {
				return fmt.Sprintf("of %s from %s, which is not what is to be read now", strings.Join(a.Inputs[i].Sources, ", "), there)
			}
		}
		for _, asked := range b.Inputs[i].Data {
			if !slices.Contains(a.Inputs[i].Data, asked) {
				return fmt.Sprintf("of %s without %s", strings.Join(b.Inputs[i].Sources, ", "), asked)
			}
		}
	}
	return "of other inputs"
}

func splitsText(n int) string {
	if n == 0 {
		return "as many splits as fit the size of the inputs"
	}
	return fmt.Sprintf("%d splits", n)
}

// bound writes an end of a range; nil is none.
func bound(ms *int64) string {
	if ms == nil {
		return "any"
	}
	return timeText(*ms)
}

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z") }
