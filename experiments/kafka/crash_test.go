package kafka

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// In the environment, these make the test binary the process that is killed.
const (
	childDir    = "MORTISE_KAFKA_CHILD_DIR"
	childSeed   = "MORTISE_KAFKA_CHILD_SEED"
	childBroker = "MORTISE_KAFKA_CHILD_BROKER" // of Apache Kafka: work on the pipeline there
	childName   = "MORTISE_KAFKA_CHILD_NAME"   // of that worker
)

const crashRecords = 2000

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(kafkatest.Run(m))
	}
	seed, err := childNumber(childSeed)
	addr := os.Getenv(childBroker)
	switch {
	case err != nil:
	case addr != "":
		err = workUntilKilled(addr, dir, os.Getenv(childName), seed)
	default:
		err = copyUntilKilled(dir, seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestCopyIsExactOverKills copies a topic on the embedded broker, in a process
// that is killed around one of its commits, again and again. Whatever the kill
// cut through, every record must arrive once, under the same transactional id
// in each process and under fresh ones.
func TestCopyIsExactOverKills(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	kills := 0
	for kills < 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childSeed, rng.Uint64()))
		output, err := cmd.CombinedOutput()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if ok && status.Signaled() {
			kills++
			continue
		}
		if err != nil {
			t.Fatalf("after %d kills: %v\n%s", kills, err, output)
		}
		break // it came to the end
	}
	if kills == 0 {
		t.Fatal("the process was never killed")
	}
	b, err := broker.Start(broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := Connection{Kafka: spec.Kafka{SeedBrokers: []string{b.Addr()}}}
	if err := copyAll(c, "w", func() {}); err != nil {
		t.Fatal(err)
	}
	var sent []string
	for i := range crashRecords {
		sent = append(sent, strconv.Itoa(i))
	}
	slices.Sort(sent)
	want(t, fmt.Sprintf("after %d kills, copied", kills), tailed(t, c, "out"), sent)
}

// copyUntilKilled is the process: it brings its broker and sends itself SIGKILL
// from a few hundred microseconds before a commit to as many after it began.
func copyUntilKilled(dir string, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	b, err := broker.Start(broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	c := Connection{Kafka: spec.Kafka{SeedBrokers: []string{b.Addr()}}}
	if err := feed(c); err != nil {
		return err
	}
	id := "w"
	if rng.IntN(2) == 0 {
		id += FreshSuffix()
	}
	left, delay := 1+rng.IntN(3), time.Duration(rng.IntN(3000))*time.Microsecond
	err = copyAll(c, id, func() {
		if left--; left == 0 {
			time.AfterFunc(delay, func() {
				if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
					panic(err)
				}
			})
		}
	})
	if err != nil {
		return err
	}
	return b.Close()
}

// feed publishes the input, if no earlier process has.
func feed(c Connection) error {
	ctx := context.Background()
	a, err := OpenAdmin(ctx, c)
	if err != nil {
		return err
	}
	defer a.Close()
	var specs []TopicSpec
	for _, name := range []string{"in", "more", "out"} {
		specs = append(specs, TopicSpec{Name: name, Partitions: 3})
	}
	if _, err := a.EnsureTopics(ctx, specs); err != nil {
		return err
	}
	ends, err := a.Ends(ctx, "in")
	if err != nil || ends[tp("in", 0)] > 0 {
		return err
	}
	p, err := OpenPublisher(ctx, PublisherOptions{Connection: c, Topics: []string{"in"}})
	if err != nil {
		return err
	}
	defer p.Close()
	for i := range crashRecords {
		if err := p.Publish("in", nil, []byte(strconv.Itoa(i)), int64(i)); err != nil {
			return err
		}
	}
	return p.Flush(ctx)
}

// copyAll copies what is left of "in" to "out", about a hundred records a commit.
func copyAll(c Connection, id string, beforeCommit func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	o := workerOptions(c, id)
	o.SessionTimeout = 10 * time.Second // the broker, like Kafka, takes no less than 6 s
	tr, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer tr.Close()
	committed := offsets{}
	for len(committed) < 6 {
		change, err := tr.Assigned()
		if err == nil {
			maps.Copy(committed, change.Gained)
			_, err = tr.Poll(ctx, 1, 10*time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	var parts []experiments.TopicPartition
	for p, co := range committed {
		if co.Next >= 0 && co.Metadata != fmt.Sprint("next ", co.Next) {
			return fmt.Errorf("%v: offset %d with metadata %q", p, co.Next, co.Metadata)
		}
		parts = append(parts, p)
	}
	ends, err := tr.Ends(ctx, parts)
	if err == nil {
		err = tr.Start(startsOf(committed))
	}
	for err == nil && len(ends) > 0 {
		var fetched []experiments.Fetched
		if fetched, err = tr.Poll(ctx, 100, 100*time.Millisecond); err != nil {
			break
		}
		offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
		for _, f := range fetched {
			for _, r := range f.Records {
				if err := tr.Produce(&experiments.Output{Topic: "out", Value: r.Value, TimestampMS: r.TimestampMS}); err != nil {
					return err
				}
			}
			offsets[f.TopicPartition] = experiments.CommittedOffset{Next: f.Next, Metadata: fmt.Sprint("next ", f.Next)}
			if f.Next >= ends[f.TopicPartition] {
				delete(ends, f.TopicPartition)
			}
		}
		beforeCommit()
		err = tr.Commit(ctx, offsets)
	}
	return err
}
