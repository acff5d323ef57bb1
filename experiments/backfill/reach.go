package backfill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// Whether what was read reaches as far as the range needs: a label that is not in
// the inputs makes a negative of a positive, and nothing else would tell.

// shortMS is by how much a stream may begin or end beside the range before it is
// worth telling.
const shortMS = 10 * 60 * 1000

// ShortError says that a label stream ends before the windows of the range do.
type ShortError struct {
	Sources      []string
	LastMS, ToMS int64 // its last event; the end of the range
	Within       time.Duration
}

// Error says what is missing, and what to do.
func (e *ShortError) Error() string {
	return fmt.Sprintf("%s end at %s, and impressions up to %s have labels for another %s: the rows would lack them; "+
		"add the files that hold them to --input, or take what there is with --accept-gap",
		strings.Join(e.Sources, ", "), timeText(e.LastMS), timeText(e.ToMS), mortise.FormatDuration(e.Within))
}

// reach looks at the event times that were read.
func (r *run) reach() error {
	times := make([]*Range, len(r.lanes)) // first and last event of each lane
	for i := range r.scratch.notes {
		for lane, t := range r.scratch.notes[i].Times {
			if have := times[lane]; have != nil {
				t = Range{min(t.FromMS, have.FromMS), max(t.ToMS, have.ToMS)}
			}
			times[lane] = &t
		}
	}
	for i := range r.lanes {
		l := &r.lanes[i]
		name := strings.Join(l.names, ", ")
		switch {
		case times[i] == nil:
			r.warn("%s: there are no events with a readable time", name)
		case l.main:
			r.reachMain(name, *times[i])
		default:
			if err := r.reachLabels(l, *times[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) reachMain(name string, t Range) {
	asked := r.job.Range
	switch {
	case t.FromMS >= asked.ToMS || t.ToMS < asked.FromMS:
		r.warn("%s: none lies in the range; they are from %s to %s", name, timeText(t.FromMS), timeText(t.ToMS))
	case asked.FromMS != always.FromMS && t.FromMS > asked.FromMS+shortMS:
		r.warn("%s begin at %s, after the range does", name, timeText(t.FromMS))
	case asked.ToMS != always.ToMS && t.ToMS < asked.ToMS-shortMS:
		r.warn("%s end at %s, before the range does", name, timeText(t.ToMS))
	}
}

// reachLabels refuses labels that end with the range although their windows go on.
// One that is after its end shows that the inputs were not cut there.
func (r *run) reachLabels(l *lane, t Range) error {
	asked := r.job.Range
	if asked.FromMS != always.FromMS && t.FromMS > asked.FromMS+shortMS {
		r.warn("%s begin at %s, after the range does", strings.Join(l.names, ", "), timeText(t.FromMS))
	}
	if asked.ToMS == always.ToMS || l.toMS <= asked.ToMS || t.ToMS >= asked.ToMS {
		return nil
	}
	short := &ShortError{Sources: l.names, LastMS: t.ToMS, ToMS: asked.ToMS, Within: time.Duration(l.toMS-asked.ToMS) * time.Millisecond}
	if !r.job.AcceptGap {
		return short
	}
	r.warn("%s end at %s, before the windows of the last impressions do", strings.Join(l.names, ", "), timeText(t.ToMS))
	return nil
}

func (r *run) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// checkFolders makes sure that the range ends where folders of the dataset do: a
// folder with a part of its hour would never be complete.
func checkFolders(r Range, partition []string) error {
	spanMS := int64(hourMS)
	switch {
	case len(partition) == 0 && partition != nil:
		return nil
	case !slices.Contains(partition, "hour") && partition != nil:
		spanMS = 24 * hourMS
	}
	for _, end := range []struct {
		name string
		ms   int64
	}{{"begins", r.FromMS}, {"ends", r.ToMS}} {
		if end.ms == always.FromMS || end.ms == always.ToMS {
			continue
		}
		if past := ((end.ms % spanMS) + spanMS) % spanMS; past != 0 {
			return fmt.Errorf("the range %s at %s, within a folder of the dataset: it would never be complete; take %s or %s",
				end.name, timeText(end.ms), timeText(end.ms-past), timeText(end.ms-past+spanMS))
		}
	}
	return nil
}
