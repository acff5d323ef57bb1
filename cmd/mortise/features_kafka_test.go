package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// onKafka is one experiment with features on Apache Kafka, and how its workers run.
type onKafka struct {
	t       *testing.T
	rng     *rand.Rand
	mortise string
	dir     string
	brokers []string
	file    string // with topics of its own
	inputs  []string
	n       int
}

// featuresOnKafka publishes generated traffic to Kafka, to topics below prefix.
func featuresOnKafka(t *testing.T, prefix, store string, n int) *onKafka {
	t.Helper()
	k := &onKafka{t: t, rng: random(t), mortise: released(t), dir: t.TempDir(), n: n, brokers: []string{"--brokers", kafkatest.Start(t).Plain}}
	text := strings.NewReplacer("experiment: featured", "experiment: "+prefix, " f.", " "+prefix+".", "instance:", store+"\ninstance:").Replace(featured)
	k.file, k.inputs = write(t, filepath.Join(k.dir, "featured.yaml"), text), featuredTraffic(t, k.dir, n)
	succeed(t, append([]string{"replay", k.file, "--partitions", "3"}, append(k.inputs, k.brokers...)...)...)
	return k
}

// worker runs to the end of the inputs.
func (k *onKafka) worker(i int) *process { return k.endless(i, "--until-end", "--json") }

// endless goes on until it is killed, whatever there is to do.
func (k *onKafka) endless(i int, more ...string) *process {
	args := append([]string{"run", k.file, "--commit-every", "20ms", "--close-rows", "200", "--state", k.state(i)}, k.brokers...)
	return begin(k.t, exec.Command(k.mortise, append(args, more...)...))
}

func (k *onKafka) state(i int) string { return filepath.Join(k.dir, fmt.Sprint("state", i)) }

// kill kills a worker at some moment, and tells whether it was still at work.
func (k *onKafka) kill(p *process) bool {
	select {
	case <-p.done:
	case <-time.After(time.Duration(200+k.rng.IntN(1200)) * time.Millisecond):
	}
	killed := !p.ended()
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	return killed
}

// equalsBackfill compares the topic's rows with what a backfill of the same files makes.
func (k *onKafka) equalsBackfill(topic, what string) {
	k.t.Helper()
	out := filepath.Join(k.dir, "out")
	succeed(k.t, append([]string{"backfill", k.file, "--out", out, "--scratch", filepath.Join(k.dir, "scratch")}, k.inputs...)...)
	if rows := tailed(k.t, topic, k.brokers...); len(rows) != k.n {
		k.t.Errorf("%s: %d rows, want %d", what, len(rows), k.n)
	}
	if r := execute(k.t, append([]string{"diff", "topic:" + topic, out}, k.brokers...)...); r.code != exitDone {
		k.t.Errorf("%s: stream and backfill differ:\n%s%s", what, r.out, r.errOut)
	}
}

// TestFeaturesOnKafka runs features on Apache Kafka with the worker killed again
// and again, its tiles lost at times, and compares every column with a backfill.
func TestFeaturesOnKafka(t *testing.T) {
	t.Parallel()
	k := featuresOnKafka(t, "fk", "", 4000)
	const kills = 4
	for range kills {
		k.kill(k.endless(0))
		if k.rng.IntN(3) == 0 {
			if err := os.RemoveAll(filepath.Join(k.state(0), "features")); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := k.worker(0)
	if code := last.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, last.errOut.String())
	}
	k.equalsBackfill("fk.instances", fmt.Sprintf("after %d kills", kills))
}

// TestSharedFeaturesOnKafka has two workers share the rows by a group on Apache
// Kafka and the tiles in Redis; either is killed at some moment.
func TestSharedFeaturesOnKafka(t *testing.T) {
	t.Parallel()
	store := fmt.Sprintf("feature_store: {redis: {addrs: %q, prefix: fsk}}", redistest.Shared(t).Addr)
	k := featuresOnKafka(t, "fsk", store, 3000)
	workers := [2]*process{k.worker(0), k.worker(1)}
	kills := 0
	for range 3 {
		i := k.rng.IntN(2)
		if k.kill(workers[i]) {
			kills++
		}
		workers[i] = k.worker(i)
	}
	for _, w := range workers {
		if code := w.wait(); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, w.errOut.String())
		}
	}
	k.equalsBackfill("fsk.instances", fmt.Sprintf("after %d kills", kills))
}
