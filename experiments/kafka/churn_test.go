package kafka

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// TestCopyIsExactOverRebalances copies a topic with members that come and go
// while partitions change their leaders and the group its coordinator. Each
// record must arrive once.
func TestCopyIsExactOverRebalances(t *testing.T) {
	const records, rounds = 4000, 4
	cluster, c := fake(t)
	topics(t, c, 4, "in", "more", "out")
	sent := publish(t, c, "in", records)

	ctx, stop := context.WithCancel(testContext(t))
	var members sync.WaitGroup
	defer members.Wait()
	defer stop()
	failed := make(chan error, 2*(rounds+1))
	join := func(id string) (leave context.CancelFunc) {
		tr, err := Open(ctx, workerOptions(c, id))
		if err != nil {
			t.Fatal(err)
		}
		life, leave := context.WithCancel(ctx)
		members.Go(func() {
			if err := copyOverRebalances(life, tr); err != nil && life.Err() == nil {
				failed <- err
			}
			if err := tr.Close(); err != nil {
				failed <- err
			}
		})
		return leave
	}
	join("constant")
	var leave context.CancelFunc
	for round := range rounds {
		committed := lag(t, c)
		if leave != nil {
			leave()
		}
		leave = join(strconv.Itoa(round))
		cluster.ShufflePartitionLeaders()
		if round%2 == 1 {
			cluster.RehashCoordinators()
		}
		awaitLag(t, c, failed, func(now int64) bool { return now == 0 || committed-now > records/(2*rounds) })
	}
	awaitLag(t, c, failed, func(now int64) bool { return now == 0 })
	stop()
	members.Wait()
	if len(failed) > 0 {
		t.Error(<-failed)
	}
	want(t, "copied", tailed(t, c, "out"), sent)
}

// lag is how many records of "in" the group has not committed yet.
func lag(t *testing.T, c Connection) int64 {
	t.Helper()
	a := admin(t, c)
	ends, err := a.Ends(testContext(t), "in")
	if err != nil {
		t.Fatal(err)
	}
	group, err := a.Group(testContext(t), "g")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, end := range ends {
		n += end
	}
	for _, p := range group.Partitions {
		if p.Topic == "in" {
			n -= p.Next
		}
	}
	return n
}

func awaitLag(t *testing.T, c Connection, failed <-chan error, enough func(int64) bool) {
	t.Helper()
	deadline := time.After(testTimeout)
	for {
		now := lag(t, c)
		if enough(now) {
			return
		}
		select {
		case err := <-failed:
			t.Fatal(err)
		case <-deadline:
			t.Fatalf("still %d records behind", now)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// copyOverRebalances is a worker: it follows the group, and begins again when it
// lost something.
func copyOverRebalances(ctx context.Context, tr *Transport) error {
	for {
		err := copyAssigned(ctx, tr)
		if !errors.Is(err, experiments.ErrRebalanced) {
			return err
		}
		if err := tr.Abort(ctx); err != nil {
			return err
		}
	}
}

// copyAssigned commits once in several polls, so that a rebalance mostly finds
// something produced and not yet committed.
func copyAssigned(ctx context.Context, tr *Transport) error {
	done := offsets{}
	for polls := 1; ; polls++ {
		change, err := tr.Assigned()
		if err != nil {
			return err
		}
		if len(change.Revoked) > 0 {
			if err := tr.Commit(ctx, done); err != nil {
				return err
			}
			clear(done)
			if err := tr.Release(change.Revoked); err != nil {
				return err
			}
		}
		if len(change.Gained) > 0 {
			if err := tr.Start(startsOf(change.Gained)); err != nil {
				return err
			}
		}
		fetched, err := tr.Poll(ctx, 10, 20*time.Millisecond)
		if err != nil {
			return err
		}
		for _, f := range fetched {
			for _, r := range f.Records {
				if err := tr.Produce(&experiments.Output{Topic: "out", Value: r.Value}); err != nil {
					return err
				}
			}
			done[f.TopicPartition] = experiments.CommittedOffset{Next: f.Next}
		}
		if polls%16 > 0 {
			continue
		}
		if err := tr.Commit(ctx, done); err != nil {
			return err
		}
		clear(done)
	}
}
