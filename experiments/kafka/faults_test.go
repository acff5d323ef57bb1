package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/spec"
)

var (
	workerKills = flag.Int("workerkills", 50, "how often the worker is killed on Apache Kafka; a fifth under -short")
	brokerKills = flag.Int("brokerkills", 6, "how often Apache Kafka is killed; a fifth under -short")
	faultSeed   = flag.Uint64("faultseed", 0, "seed of the moments of the kills; 0 takes a random one")
)

// faults are kills to come, at random moments.
func faults(t *testing.T, kills int) (*rand.Rand, int) {
	t.Helper()
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-faultseed %d", seed)
	if testing.Short() {
		kills = max(kills/5, 2)
	}
	return rand.New(rand.NewPCG(seed, 0)), kills
}

// child is a worker's process.
func (r *feedRun) child(name, dir string, seed uint64) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childBroker+"="+r.server.Plain, childName+"="+name, fmt.Sprintf("%s=%d", childSeed, seed))
	return cmd
}

// workUntilKilled is that process, which sends itself SIGKILL around one of its
// commits, or goes on for ever with a seed of 0, or until its group is done.
func workUntilKilled(addr, dir, name string, seed uint64) error {
	f := &feedWorker{conn: Connection{Kafka: spec.Kafka{SeedBrokers: []string{addr}}}, dir: dir, name: name, pollRecords: 10}
	if seed == 0 {
		f.dynamic, f.forever, f.until, f.pace, f.pollRecords = true, true, time.Hour, 20*time.Millisecond, 200
		return f.work(context.Background())
	}
	if seed == untilGroupEnds {
		f.dynamic, f.withGroup, f.until, f.pace, f.pollRecords = true, true, 3*testTimeout, 20*time.Millisecond, 50
		return f.work(context.Background())
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	at, delay := 1+rng.IntN(8), time.Duration(rng.IntN(15_000))*time.Microsecond
	f.beforeCommit = func(n int) {
		if n == at {
			time.AfterFunc(delay, func() {
				if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
					panic(err)
				}
			})
		}
	}
	return f.work(context.Background())
}

const untilGroupEnds = 1

// wasKilled reports whether a process ended by a signal.
func wasKilled(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// TestPipelineOnKafkaOverKills kills the worker's process around one of its
// commits, again and again, under a reader of another family; now and then the
// state directory is lost too.
func TestPipelineOnKafkaOverKills(t *testing.T) {
	r := newFeed(t)
	rng, kills := faults(t, *workerKills)
	reader := r.follow(t)
	dir, killed := t.TempDir(), 0
	for killed < kills {
		if rng.IntN(20) == 0 {
			dir = t.TempDir()
		}
		cmd := r.child("w", dir, 1+rng.Uint64()>>1)
		output, err := cmd.CombinedOutput()
		if err == nil {
			break // it came to the end
		}
		if !wasKilled(cmd) {
			t.Fatalf("after %d kills: %v\n%s", killed, err, output)
		}
		killed++
	}
	if killed < kills*3/4 {
		t.Errorf("the process was killed %d times, want %d", killed, kills)
	}
	f := &feedWorker{conn: r.conn, dir: dir, name: "w"}
	if err := f.work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	t.Logf("%d kills; %s", killed, reader.stop(t, r.rows))
}

// TestPipelineOnKafkaOverBrokerKills kills the broker under a worker that goes on.
func TestPipelineOnKafkaOverBrokerKills(t *testing.T) {
	r := newFeed(t)
	rng, kills := faults(t, *brokerKills)
	var killed atomic.Int32
	down, failed := make(chan struct{}, 1), make(chan error, kills)
	next := 2 + rng.IntN(5)
	f := &feedWorker{conn: r.conn, dir: t.TempDir(), name: "w", pollRecords: 15, until: time.Duration(kills+2) * testTimeout, beforeCommit: func(n int) {
		if n < next || int(killed.Load()) == kills {
			return
		}
		select {
		case down <- struct{}{}: // it is up
		default:
			return
		}
		killed.Add(1)
		next = n + 1 + rng.IntN(20)
		time.AfterFunc(time.Duration(rng.IntN(60_000))*time.Microsecond, func() {
			failed <- errors.Join(r.server.Kill(), r.server.Restart())
			<-down
		})
	}}
	err := f.work(t.Context())
	for range killed.Load() {
		err = errors.Join(err, <-failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if int(killed.Load()) < kills*3/4 {
		t.Errorf("the broker was killed %d times, want %d", killed.Load(), kills)
	}
	r.check(t)
}

// TestPipelineOnKafkaOverKillsOfBoth kills worker and broker close together, so
// that neither can tell the other what became of a commit.
func TestPipelineOnKafkaOverKillsOfBoth(t *testing.T) {
	r := newFeed(t)
	rng, kills := faults(t, *brokerKills/2)
	dir := t.TempDir()
	for killed := range kills {
		cmd := r.child("w", dir, 1+rng.Uint64()>>1)
		err := cmd.Run() // kills itself
		if err == nil {
			t.Fatalf("it came to the end after %d kills", killed)
		}
		if !wasKilled(cmd) {
			t.Fatal(err)
		}
		if err := errors.Join(r.server.Kill(), r.server.Restart()); err != nil {
			t.Fatal(err)
		}
	}
	f := &feedWorker{conn: r.conn, dir: dir, name: "w"}
	if err := f.work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
}

// childNumber reads a number from the environment.
func childNumber(name string) (uint64, error) { return strconv.ParseUint(os.Getenv(name), 10, 64) }
