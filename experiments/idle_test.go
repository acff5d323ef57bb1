package experiments_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// pollTransport has a say before every poll.
type pollTransport struct {
	*simTransport
	before func()
}

func (t *pollTransport) Poll(ctx context.Context, limit int, wait time.Duration) ([]experiments.Fetched, error) {
	t.before()
	return t.simTransport.Poll(ctx, limit, wait)
}

// TestIdleOnlyOnceAllIsPublished leaves an input silent for hours while more is
// being published, and then for good: only then does wall time close the window.
func TestIdleOnlyOnceAllIsPublished(t *testing.T) {
	b := newSimBroker(1)
	for _, name := range []string{"imps", "clicks", "orders", "queries"} {
		b.topic(name)
	}
	b.publish("imps", 0, `{"impression_id":"i","request_id":"r","ts":1750000000000,"user_segment":"s","item_id":"x","position":1,"propensity":0.5}`)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	published := make(chan struct{})
	nowMS, polls := int64(1_760_000_000_000), 0
	var early int
	tr := &pollTransport{newSimTransport(b, rand.New(rand.NewPCG(1, 1)), []string{"imps", "clicks", "orders", "queries"}), func() {
		nowMS += time.Hour.Milliseconds()
		switch polls++; {
		case polls == 20:
			early = len(b.output["out"])
			close(published)
		case polls == 40:
			cancel()
		}
	}}
	w, err := experiments.NewWorker(newPlan(t, parse(t, "hostile.yaml", hostile)).Pipelines[0], tr, &simStates{disks: map[string]*memory.Disk{}}, "group",
		experiments.WorkerOptions{InputDone: published, CommitEvery: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(nowMS) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if early != 0 {
		t.Errorf("%d rows came out while more was being published, want 0", early)
	}
	if got := len(b.output["out"]); got != 1 {
		t.Errorf("%d rows came out when the inputs were silent, want 1", got)
	}
}

// tellingTransport says of each partition when it was known where it ends: of those
// that it may tell, again at every poll.
type tellingTransport struct {
	*pollTransport
	asOfMS func(topic string) int64
}

func (t *tellingTransport) Poll(ctx context.Context, limit int, wait time.Duration) ([]experiments.Fetched, error) {
	out, err := t.pollTransport.Poll(ctx, limit, wait)
	told := map[experiments.TopicPartition]bool{}
	for i := range out {
		out[i].EndAsOfMS, told[out[i].TopicPartition] = t.asOfMS(out[i].Topic), true
	}
	for tp, next := range t.next {
		if !told[tp] {
			out = append(out, experiments.Fetched{TopicPartition: tp, Next: next, HighWatermark: next, EndAsOfMS: t.asOfMS(tp.Topic)})
		}
	}
	return out, err
}

// TestWhatCannotBeAskedIsNotSilent has the broker of the clicks not answer for hours,
// while the impressions' says that nothing comes: the click that it holds is waited for.
func TestWhatCannotBeAskedIsNotSilent(t *testing.T) {
	const start = int64(1_700_000_000_000)
	b := newSimBroker(1)
	b.topic("clicks")
	b.publish("imps", 0, fmt.Sprintf(`{"id":"a","ts":%d}`, start))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now := time.UnixMilli(start).AddDate(1, 0, 0)
	away := now.UnixMilli() // since when nobody has heard of the clicks' broker
	var w *experiments.Worker
	polls := 0
	tr := &tellingTransport{&pollTransport{newSimTransport(b, rand.New(rand.NewPCG(1, 1)), []string{"imps", "clicks"}), func() {
		now = now.Add(10 * time.Minute)
		switch polls++; {
		case polls == 100:
			if rows := len(b.output["rows"]); rows > 0 {
				t.Errorf("%d rows, although nobody knows whether there are clicks", rows)
			}
			b.publish("clicks", 0, fmt.Sprintf(`{"id":"a","ts":%d}`, start+1000))
			away = 0
		case polls > 100 && len(b.output["rows"]) > 0, polls > 1000:
			cancel()
		}
	}}, func(topic string) int64 {
		if topic == "clicks" && away > 0 {
			return away
		}
		return now.UnixMilli()
	}}
	w, err := experiments.NewWorker(newPlan(t, parse(t, "quiet.yaml", quiet)).Pipelines[0], tr, &simStates{disks: map[string]*memory.Disk{}}, "g",
		experiments.WorkerOptions{PollRecords: 10, Parallel: 1, CommitEvery: time.Minute, Now: func() time.Time { return now }, Go: func(job func()) { job() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if l := w.Status().Experiments[0].Ledger; l.Instances != 1 || l.Positives != 1 {
		t.Errorf("%d rows, %d of them positive; want the one that was clicked", l.Instances, l.Positives)
	}
}
