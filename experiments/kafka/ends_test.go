package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// TestSilenceIsAskedAbout reads partitions to which nothing comes: they are reported
// again as of when a broker was asked, and not while none answers. What a partition
// has and does not give is known.
func TestSilenceIsAskedAbout(t *testing.T) {
	cluster, c := fake(t)
	topics(t, c, 1, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr, 2)
	last := map[experiments.TopicPartition]experiments.Fetched{}
	until := func(what string, done func() bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for !done() {
			fetched, err := tr.Poll(ctx, 10, 10*time.Millisecond)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, f := range fetched {
				if f.EndAsOfMS < last[f.TopicPartition].EndAsOfMS || f.EndAsOfMS > time.Now().UnixMilli() {
					t.Fatalf("%s: %v as of %d after %d", what, f.TopicPartition, f.EndAsOfMS, last[f.TopicPartition].EndAsOfMS)
				}
				f.Records = nil
				last[f.TopicPartition] = f
			}
		}
	}
	both := []experiments.TopicPartition{tp("in", 0), tp("more", 0)}
	until("the first report", func() bool { return len(last) == 2 })
	for range 2 {
		since := time.Now().UnixMilli()
		until("silence", func() bool { return last[both[0]].EndAsOfMS >= since && last[both[1]].EndAsOfMS >= since })
	}

	// No broker tells: the reports stop.
	var refused atomic.Int32
	var refuse atomic.Bool
	refuse.Store(true)
	cluster.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !refuse.Load() {
			return nil, nil, false
		}
		refused.Add(1)
		return nil, errors.New("away"), true
	})
	until("what was asked before", func() bool { return refused.Load() > 0 })
	before := last[both[0]].EndAsOfMS
	until("more refusals", func() bool { return refused.Load() > 3 })
	if at := last[both[0]].EndAsOfMS; at != before {
		t.Errorf("a partition of which no broker tells was reported as of %d ms later", at-before)
	}
	refuse.Store(false)
	since := time.Now().UnixMilli()
	until("a broker that is back", func() bool { return last[both[0]].EndAsOfMS >= since })

	// A record is there, and cannot be read.
	var mute atomic.Bool
	mute.Store(true)
	cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !mute.Load() {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	publish(t, c, "more", 1)
	until("what cannot be read to be known", func() bool { return last[both[1]].HighWatermark == 1 })
	if got := last[both[1]].Next; got != 0 {
		t.Errorf("next is %d, though nothing could be read", got)
	}
	mute.Store(false)
	since = time.Now().UnixMilli()
	until("the record", func() bool { return last[both[1]].Next == 1 && last[both[1]].EndAsOfMS >= since })
}
