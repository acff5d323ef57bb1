package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// TestOrphanedTransactionIsEnded has a worker go with a transaction open, offsets
// included. Whoever gets its tasks neither waits for the transaction timeout nor
// sees any of it; should it only have been asleep, it begins again.
func TestOrphanedTransactionIsEnded(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	o := workerOptions(c, "g.gone")
	o.TransactionTimeout = time.Minute
	gone := open(t, o)
	begin(t, gone, 4)
	if err := gone.Produce(out("first")); err != nil {
		t.Fatal(err)
	}
	if err := gone.Commit(t.Context(), at(3, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := gone.Produce(out("never")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(gone.producer.flush(t.Context()), gone.asMember(t.Context(), at(9, 0, 1), gone.addOffsets)); err != nil {
		t.Fatal(err)
	}
	throwOut(t, gone)
	began := time.Now()
	o.TransactionalID = "g.next"
	next := open(t, o)
	for tp, co := range gained(t, next, 4) {
		if want := at(3, tp.Partition)[tp]; co != want {
			t.Errorf("%v: got %+v, want %+v", tp, co, want)
		}
	}
	want(t, "outputs", tailed(t, c, "out"), []string{"first"})
	if took := time.Since(began); took > testTimeout/2 {
		t.Errorf("it took %s", took)
	}
	if err := gone.Commit(t.Context(), at(9, 0, 1)); !errors.Is(err, experiments.ErrRebalanced) {
		t.Errorf("who was taken for dead commits: got %v, want ErrRebalanced", err)
	}
	if err := gone.Abort(t.Context()); err != nil {
		t.Errorf("who was taken for dead begins again: %v", err)
	}
}

// throwOut removes a member from its group behind its back, as when the group has
// not heard of it for long.
func throwOut(t *testing.T, tr *Transport) {
	t.Helper()
	member, _ := tr.group.client.GroupMetadata()
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.MemberID = tr.opts.Group, member
	leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: member}}
	if _, err := leave.RequestWith(t.Context(), tr.admin.client); err != nil {
		t.Fatal(err)
	}
}

// TestReturnToTheSameTasks throws a member out that comes back by itself, under
// another id and with the tasks it had, on which others have worked in between.
func TestReturnToTheSameTasks(t *testing.T) {
	for _, exactly := range []bool{true, false} {
		t.Run(fmt.Sprintf("exactly once %t", exactly), func(t *testing.T) {
			c := connect(t)
			topics(t, c, 2, "in", "more", "out")
			o := workerOptions(c, "g.w")
			o.ExactlyOnce = exactly
			tr := open(t, o)
			gained(t, tr, 4)
			throwOut(t, tr)
			others := kadm.Offsets{}
			for tp, co := range at(5, 0, 1) {
				others.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: co.Next, Metadata: co.Metadata, LeaderEpoch: -1})
			}
			if err := tr.admin.adm.CommitAllOffsets(t.Context(), o.Group, others); err != nil {
				t.Fatal(err)
			}
			before, _ := tr.group.client.GroupMetadata()
			tr.group.client.ForceRebalance()
			for ctx := testContext(t); ; pause(ctx, 10*time.Millisecond) {
				if now, generation := tr.group.client.GroupMetadata(); now != before && now != "" && generation > 0 {
					break
				}
				if ctx.Err() != nil {
					t.Fatal("it did not come back")
				}
			}
			if err := tr.Produce(out("stale")); err != nil && !errors.Is(err, experiments.ErrRebalanced) {
				t.Fatal(err)
			}
			if err := tr.Commit(t.Context(), at(4, 0, 1)); !errors.Is(err, experiments.ErrRebalanced) {
				t.Errorf("committing what others have gone beyond: got %v, want ErrRebalanced", err)
			}
			if err := tr.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := gained(t, tr, 4); !maps.Equal(got, at(5, 0, 1)) {
				t.Errorf("it begins again at %v, want %v", got, at(5, 0, 1))
			}
		})
	}
}

// TestOtherGroupsTransactionsAreLeftAlone has transactions of ids that begin like
// this group's, and of a live member.
func TestOtherGroupsTransactionsAreLeftAlone(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	other, member := workerOptions(c, "g.other.worker"), workerOptions(c, "g.member")
	other.Group = "g.other"
	var writers []*Transport
	for _, o := range []Options{other, member} {
		tr := open(t, o)
		begin(t, tr, 4)
		if err := tr.Produce(out(o.TransactionalID)); err != nil {
			t.Fatal(err)
		}
		if err := tr.producer.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, tr)
	}
	joining := open(t, workerOptions(c, "g.joining"))
	change := untilChange(t, writers[1])
	if err := writers[1].Release(change.Revoked); err != nil {
		t.Fatal(err)
	}
	gained(t, joining, 2)
	for _, tr := range writers {
		if err := tr.Commit(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	want(t, "outputs", tailed(t, c, "out"), []string{"g.member", "g.other.worker"})
}

// TestTopicsAreWidened gives the inputs more partitions, all of them and then one.
func TestTopicsAreWidened(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	o := workerOptions(c, "w")
	o.MetadataEvery = 100 * time.Millisecond
	tr := open(t, o)
	begin(t, tr, 4)
	widen := func(to int, topics ...string) {
		t.Helper()
		if _, err := kadm.NewClient(tr.admin.client).UpdatePartitions(t.Context(), to, topics...); err != nil {
			t.Fatal(err)
		}
	}
	widen(3, "in", "more")
	if got := begin(t, tr, 2); got[tp("in", 2)].Next != -1 || got[tp("more", 2)].Next != -1 {
		t.Errorf("gained %v, want partition 2 of both", got)
	}
	if err := tr.Commit(t.Context(), at(0, 0, 1, 2)); err != nil {
		t.Errorf("what was there goes on: %v", err)
	}
	widen(4, "in")
	ctx := testContext(t)
	for {
		change, err := tr.Assigned()
		if len(change.Gained) > 0 {
			t.Fatalf("gained %v, of which more has none", change.Gained)
		}
		if err == nil {
			_, err = tr.Poll(ctx, 1, 20*time.Millisecond)
		}
		if err == nil {
			continue
		}
		var width *WidthError
		if !errors.As(err, &width) || width.Widths != [2]int{4, 3} {
			t.Errorf("got %v, want a WidthError of 4 and 3", err)
		}
		return
	}
}

// progress waits until every task of the feed has committed something later than
// now, and returns how long that took.
func (r *feedRun) progress(t *testing.T, a *Admin) time.Duration {
	t.Helper()
	began, ctx := time.Now(), testContext(t)
	first := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for {
		g := r.group(t, a)
		moved := 0
		for _, p := range g.Partitions {
			if was, ok := first[p.TopicPartition]; !ok {
				first[p.TopicPartition] = p.CommittedOffset
			} else if p.Topic == "imps" && was != p.CommittedOffset {
				moved++
			}
		}
		if moved == feedTasks {
			return time.Since(began)
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// group describes the feed's group, once its coordinator is there.
func (r *feedRun) group(t *testing.T, a *Admin) *GroupStatus {
	t.Helper()
	for ctx := testContext(t); ; pause(ctx, 20*time.Millisecond) {
		g, err := a.Group(ctx, "feed")
		if err == nil {
			return g
		}
		if !isAway(err) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// members waits until the feed's group has so many and is stable.
func (r *feedRun) members(t *testing.T, a *Admin, n int) {
	t.Helper()
	for ctx := testContext(t); ; pause(ctx, 20*time.Millisecond) {
		g := r.group(t, a)
		if g.Members == n && g.State == "Stable" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the group has %d members, want %d", g.Members, n)
		}
	}
}

// feedOver is how long there is load.
const feedOver = 8 * time.Second

// consumed waits until nearly all of the inputs is read: what is ahead of an input
// that has ended waits, and windows that nothing closes stay open.
func (r *feedRun) consumed(t *testing.T, a *Admin) {
	t.Helper()
	r.awaitPublished(t)
	for deadline := time.Now().Add(3 * testTimeout); ; pause(t.Context(), 20*time.Millisecond) {
		lag := int64(0)
		for _, p := range r.group(t, a).Partitions {
			lag += p.Lag
		}
		if lag < 300 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records are not read", lag)
		}
	}
}

// finish closes what is open, and checks what was written.
func (r *feedRun) finish(t *testing.T, reader *thirdParty) string {
	t.Helper()
	f := &feedWorker{conn: r.conn, dir: t.TempDir(), name: "last", dynamic: true}
	if err := f.work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	return reader.stop(t, r.rows)
}

// crew starts so many workers, each a process: with a seed of 0 they go on for ever.
func (r *feedRun) crew(t *testing.T, n int, seed uint64) (workers []*exec.Cmd) {
	t.Helper()
	for i := range n {
		cmd := r.child(fmt.Sprint("w", i), t.TempDir(), seed)
		said := new(bytes.Buffer)
		cmd.Stderr = said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, _ = cmd.Process.Kill(), cmd.Wait() // where it lives still
			if t.Failed() {
				t.Logf("worker %d: %v: %s", i, cmd.ProcessState, said)
			}
		})
		workers = append(workers, cmd)
	}
	return workers
}

func killAll(t *testing.T, workers []*exec.Cmd) {
	t.Helper()
	for _, cmd := range workers {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWorkerOfThreeIsKilled has the others take over its task within the session
// timeout and five seconds.
func TestWorkerOfThreeIsKilled(t *testing.T) {
	r := newFeedOver(t, feedOver)
	reader, a := r.follow(t), admin(t, r.conn)
	workers := r.crew(t, 3, 0)
	r.members(t, a, 3)
	r.progress(t, a)
	killAll(t, workers[:1])
	took := r.progress(t, a)
	if took > feedSession+5*time.Second {
		t.Errorf("its task was at work again after %s, want %s at most", took, feedSession+5*time.Second)
	}
	r.consumed(t, a)
	killAll(t, workers[1:])
	t.Logf("at work again after %s, with a session timeout of %s; %s", took.Round(time.Millisecond), feedSession, r.finish(t, reader))
}

// TestStoppedWorkerGoesOn stops a worker for longer than session and transaction
// may last, alone and beside another, and lets it go on.
func TestStoppedWorkerGoesOn(t *testing.T) {
	for _, others := range []int{0, 1} {
		t.Run(fmt.Sprint(others, " others"), func(t *testing.T) {
			r := newFeedOver(t, feedOver)
			reader, a := r.follow(t), admin(t, r.conn)
			workers := r.crew(t, 1+others, 0)
			r.members(t, a, 1+others)
			r.progress(t, a)
			if err := workers[0].Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			pause(t.Context(), feedTransaction+2*time.Second)
			if err := workers[0].Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			r.members(t, a, 1+others)
			r.consumed(t, a)
			killAll(t, workers)
			t.Log(r.finish(t, reader))
		})
	}
}

// longestPause is how long a task that stays may stand still while others come
// and go: the commit before one is released, and the copy of its state.
const longestPause = 3 * time.Second

// TestWorkersComeAndGo goes from one worker to three and to two, under load.
func TestWorkersComeAndGo(t *testing.T) {
	r := newFeedOver(t, feedOver)
	reader, a := r.follow(t), admin(t, r.conn)
	ctx, stopAll := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stopAll()
	pauses := make([]time.Duration, 3)
	join := func(i int) (leave context.CancelFunc) {
		life, leave := context.WithCancel(ctx)
		var last time.Time
		f := &feedWorker{conn: r.conn, dir: t.TempDir(), name: fmt.Sprint("w", i), dynamic: true, forever: true, pollRecords: 200, until: time.Hour,
			pace: 20 * time.Millisecond, beforeCommit: func(n int) {
				if now := time.Now(); n > 1 {
					pauses[i] = max(pauses[i], now.Sub(last))
				}
				last = time.Now()
			}}
		running.Go(func() {
			if err := f.work(life); err != nil {
				t.Error(err)
			}
		})
		return leave
	}
	join(0)
	r.members(t, a, 1)
	r.progress(t, a)
	leave := join(1)
	join(2)
	r.members(t, a, 3)
	r.progress(t, a)
	leave()
	r.members(t, a, 2)
	r.consumed(t, a)
	stopAll()
	running.Wait()
	if pauses[0] > longestPause {
		t.Errorf("the worker that stayed stood still for %s, want %s at most", pauses[0], longestPause)
	}
	t.Logf("the worker that stayed stood still for %s at the longest; %s", pauses[0].Round(time.Millisecond), r.finish(t, reader))
}

// TestUntilTheGroupEnds runs more workers than there are tasks, to the end: one
// that has a task is killed on the way, one that has none comes to have it, and
// all that are left end well, when all is done.
func TestUntilTheGroupEnds(t *testing.T) {
	r := newFeed(t)
	a := admin(t, r.conn)
	workers := r.crew(t, feedTasks+1, untilGroupEnds)
	r.members(t, a, feedTasks+1)
	r.progress(t, a)
	victim := r.owner(t, a)
	killAll(t, workers[victim:victim+1])
	for i, cmd := range workers {
		if err := cmd.Wait(); (err == nil) == (i == victim) {
			t.Errorf("worker %d, of which %d was killed: %v", i, victim, err)
		}
	}
	r.check(t)
}

// owner returns the number of a worker that has a task.
func (r *feedRun) owner(t *testing.T, a *Admin) int {
	t.Helper()
	described, err := a.adm.DescribeGroups(testContext(t), "feed")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range described["feed"].Members {
		if as, ok := m.Assigned.AsConsumer(); ok && len(as.Topics) > 0 {
			n, err := strconv.Atoi(strings.TrimPrefix(m.ClientID, "feed.w"))
			if err != nil {
				t.Fatalf("member %s: %v", m.ClientID, err)
			}
			return n
		}
	}
	t.Fatal("no member has a task")
	return 0
}
