package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// A partition to which nothing comes may have ended, or its broker may be away, or
// what lies there may be on its way: the client says nothing of any. Who waits for
// silence must know which, so brokers are asked where such partitions end, beside
// the reading; what they say is reported as of the time of asking.

const (
	endsEvery  = 500 * time.Millisecond
	endsWithin = 10 * time.Second
)

// endWatch asks for ends in the background, one request at a time.
type endWatch struct {
	ask func(context.Context, []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error)

	asked   time.Time // when it began to ask last
	running sync.WaitGroup
	cancel  context.CancelFunc // of what was asked last; nil before

	mu     sync.Mutex
	asking bool
	answer map[experiments.TopicPartition]int64 // nil for none
}

// due reports whether to ask at now.
func (w *endWatch) due(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.asking && w.answer == nil && now.Sub(w.asked) >= endsEvery
}

// begin asks where parts end.
func (w *endWatch) begin(now time.Time, parts []experiments.TopicPartition) {
	w.asked = now
	w.mu.Lock()
	w.asking = true
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), endsWithin)
	w.cancel = cancel
	w.running.Go(func() {
		defer cancel()
		ends, err := w.ask(ctx, parts)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asking = false
		if err == nil { // otherwise they are asked again; nobody counts as silent meanwhile
			w.answer = ends
		}
	})
}

// take returns an answer that has come, and when it was asked for.
func (w *endWatch) take() (ends map[experiments.TopicPartition]int64, asOf time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ends, w.answer = w.answer, nil
	return ends, w.asked
}

func (w *endWatch) close() {
	if w.cancel != nil {
		w.cancel()
	}
	w.running.Wait()
}

// isQuiet reports whether the lane has been read to its end, as last known.
func (l *lane) isQuiet() bool { return l.count == 0 && l.next >= l.end }

// watchEnds takes what brokers have said of quiet lanes, and asks them again.
func (in *intake) watchEnds() {
	if ends, asOf := in.ends.take(); ends != nil {
		for _, l := range in.lanes {
			end, ok := ends[l.tp]
			// A lane that was started anew meanwhile has been asked about since.
			if !ok || !asOf.After(l.asOf) {
				continue
			}
			quiet := l.isQuiet()
			l.end, l.asOf = max(l.end, end), asOf
			l.due = l.due || quiet
		}
	}
	now := time.Now()
	if !in.ends.due(now) {
		return
	}
	var parts []experiments.TopicPartition
	for _, l := range in.lanes {
		if l.isQuiet() {
			parts = append(parts, l.tp)
		}
	}
	if len(parts) > 0 {
		in.ends.begin(now, parts)
	}
}
