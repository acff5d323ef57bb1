package experiments

import (
	"fmt"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// ahead refuses the events of one input that lie further ahead of the wall clock
// than its source allows.
//
// It is the one judgement that depends on when a record was read, and a rebuild,
// which reads it again later, must come to the same. So what was refused is
// remembered and committed: not record by record, but in spans of offsets of which
// exactly the events from some time on were refused. A span grows for as long as
// that is true of it, so that a producer whose clock runs hours ahead takes a span
// for as many hours, however much it writes. Where there is no room for another
// span, an event is taken in as it is: it is then held until its time has come.
type ahead struct {
	source int
	maxMS  int64 // how far ahead is too far
	spans  []joiner.AheadSpan
	mostMS int64 // the greatest event time taken in since the last span began; NoTimeMS when the span cannot grow
	grows  bool
}

// maxSpans bounds what is committed for a task: some 20 bytes a span, and the
// metadata of an offset may have 4 KiB.
const maxSpans = 32

// refuses judges a record that is read for the first time. Without room it begins
// no span.
func (a *ahead) refuses(offset, timeMS, nowMS int64, room bool) bool {
	if timeMS <= nowMS+a.maxMS {
		a.mostMS = max(a.mostMS, timeMS)
		return false
	}
	if last := len(a.spans) - 1; last >= 0 && a.grows && min(a.spans[last].LeastMS, timeMS) > a.mostMS {
		s := &a.spans[last]
		s.To, s.LeastMS = offset+1, min(s.LeastMS, timeMS)
		return true
	}
	if !room {
		a.mostMS = max(a.mostMS, timeMS)
		return false
	}
	a.spans = append(a.spans, joiner.AheadSpan{Source: a.source, From: offset, To: offset + 1, LeastMS: timeMS})
	a.mostMS, a.grows = joiner.NoTimeMS, true
	return true
}

// refused says how a record was judged when it was read for the first time.
func (a *ahead) refused(offset, timeMS int64) bool {
	return slices.ContainsFunc(a.spans, func(s joiner.AheadSpan) bool {
		return s.From <= offset && offset < s.To && timeMS >= s.LeastMS
	})
}

// resume goes on from what is committed.
func (a *ahead) resume(committed []joiner.AheadSpan) {
	a.spans, a.grows = a.spans[:0], false // what was taken in since the last span began is not known
	for _, s := range committed {
		if s.Source == a.source {
			a.spans = append(a.spans, s)
		}
	}
}

// forget drops the spans that nobody will read again.
func (a *ahead) forget(low int64) {
	a.spans = slices.DeleteFunc(a.spans, func(s joiner.AheadSpan) bool { return s.To <= low })
}

// fault is why an event is refused.
func (a *ahead) fault(field string, timeMS int64) *mortise.RecordError {
	return &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: field,
		Detail: fmt.Sprintf("%s lies more than %s ahead of now (max_ahead)", timeText(timeMS), mortise.FormatDuration(time.Duration(a.maxMS)*time.Millisecond))}
}

// tooFarAhead judges the event in hand. What a rebuild reads was judged before.
func (r *runner) tooFarAhead(in int, offset, timeMS, nowMS int64) bool {
	a := &r.aheads[in]
	if r.rebuild != nil {
		return a.refused(offset, timeMS)
	}
	used := 0
	for i := range r.aheads {
		used += len(r.aheads[i].spans)
	}
	return a.refuses(offset, timeMS, nowMS, used < maxSpans)
}

// snapshot says where the task stands.
func (r *runner) snapshot(plan uint64) *joiner.Snapshot {
	s := r.task.Snapshot(plan, r.next)
	for in := range r.aheads {
		r.aheads[in].forget(s.Lows[in])
		s.Ahead = append(s.Ahead, r.aheads[in].spans...)
	}
	return s
}
