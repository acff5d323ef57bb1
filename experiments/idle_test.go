package experiments_test

import (
	"context"
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
