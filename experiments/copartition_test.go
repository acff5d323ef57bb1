package experiments_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

const copartitioned = `
experiment: placed
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {imp: string, ts: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1m, on: {id: imp}}}
output:
  topic: {name: out}
`

// runPlaced runs the experiment to the end of b and returns Run's error.
func runPlaced(t *testing.T, text string, b *simBroker) error {
	t.Helper()
	p := newPlan(t, parse(t, "placed.yaml", text)).Pipelines[0]
	tr := newSimTransport(b, rand.New(rand.NewPCG(1, 1)), p.Inputs())
	w, err := experiments.NewWorker(p, tr, &simStates{disks: map[string]*memory.Disk{}}, "placed", experiments.WorkerOptions{
		Partitions: b.partitions, UntilEnd: true, PollWait: time.Nanosecond, CommitEvery: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	return w.Run(context.Background())
}

// TestPlacementIsVerified: a record that lies elsewhere than its partition_by
// says ends the run before anything is committed, and the error says why.
func TestPlacementIsVerified(t *testing.T) {
	const n = 4
	murmur := func(key string, _ int) int { return experiments.PartitionOf([]byte(key), n) }
	crc := func(key string, _ int) int { return int(crc32.ChecksumIEEE([]byte(key))) % n }
	for _, c := range []struct {
		name   string
		add    string // to the join
		clicks func(key string, i int) int
		key    func(i int) []byte // of a click; nil: its partition_by
		want   []string
	}{
		{"keyed alike", "", murmur, nil, nil},
		{"without keys, but placed alike", "", murmur, func(int) []byte { return nil }, nil},
		{"round robin", "", func(_ string, i int) int { return i % n }, func(int) []byte { return nil },
			[]string{"clicks[", "its imp \"k", "of 4", "it has no key", "key clicks by imp", "`repartition: true` in the source clicks", "`join.partitioner: any`"}},
		{"keyed by something else", "", func(_ string, i int) int { return murmur(fmt.Sprint("c", i), 0) }, func(i int) []byte { return fmt.Append(nil, "c", i) },
			[]string{"its key is \"c"}},
		{"another partitioner", "", crc, nil, []string{"its key is right", "librdkafka", "partitioner=murmur2_random"}},
		{"another number of partitions", "", func(key string, _ int) int { return experiments.PartitionOf([]byte(key), n-1) }, nil, []string{"the topic had fewer partitions"}},
		{"one of many", "", func(key string, i int) int { return (murmur(key, i) + i/999) % n }, nil, []string{"(1 of "}},
		{"not verified", "  partitioner: any\n", crc, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newSimBroker(n)
			b.topic("imps")
			for i := range 1000 {
				key := fmt.Sprint("k", i)
				own := []byte(key)
				if c.key != nil {
					own = c.key(i)
				}
				b.publish("imps", murmur(key, i), fmt.Sprintf(`{"id":"%s","ts":%d}`, key, 1_700_000_000_000+i))
				p := c.clicks(key, i)
				b.publish("clicks", p, fmt.Sprintf(`{"imp":"%s","ts":%d}`, key, 1_700_000_000_000+i))
				log := b.topics["clicks"][p]
				log[len(log)-1].Key = own
			}
			err := runPlaced(t, strings.Replace(copartitioned, "key: id\n", "key: id\n"+c.add, 1), b)
			var misplaced *experiments.MisplacedError
			if len(c.want) == 0 {
				if err != nil || len(b.output["out"]) != 1000 {
					t.Fatalf("%d rows, %v", len(b.output["out"]), err)
				}
				return
			}
			if !errors.As(err, &misplaced) {
				t.Fatalf("got %v", err)
			}
			for _, text := range c.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("no %q in %v", text, err)
				}
			}
			if misplaced.Topic != "clicks" || misplaced.Source != "clicks" || misplaced.Wrong > misplaced.Checked || misplaced.Wrong == 0 {
				t.Errorf("%+v", misplaced)
			}
			if at := b.topics["clicks"][misplaced.Partition][misplaced.Offset]; !strings.Contains(string(at.Value), misplaced.Key) {
				t.Errorf("it names the record %s, with key %s", at.Value, misplaced.Key)
			}
			for tp, at := range b.committed {
				if tp.Topic == "clicks" && tp.Partition == misplaced.Partition && at.Next > misplaced.Offset {
					t.Errorf("%v is committed up to %d", tp, at.Next)
				}
			}
		})
	}
}

// TestUnreadableRecordsLieAnywhere: what becomes a dead letter stops nothing.
func TestUnreadableRecordsLieAnywhere(t *testing.T) {
	b := newSimBroker(3)
	b.topic("clicks")
	for i := range 90 { // broken behind the key, so that the key can be read
		b.publish("imps", i%3, fmt.Sprintf(`{"id":"k%d","ts":%d,`, i, 1_700_000_000_000+i))
	}
	if err := runPlaced(t, copartitioned, b); err != nil {
		t.Fatal(err)
	}
	if n := len(b.output["dead-letters.placed"]); n != 90 {
		t.Errorf("%d dead letters, want 90", n)
	}
}

// TestTopicsOfDifferentWidth: the counts of partitions must agree.
func TestTopicsOfDifferentWidth(t *testing.T) {
	p := newPlan(t, parse(t, "placed.yaml", copartitioned)).Pipelines[0]
	if n, err := p.Tasks(map[string]int32{"imps": 3, "clicks": 3}); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_, err := p.Tasks(map[string]int32{"imps": 3, "clicks": 4})
	if err == nil || !strings.Contains(err.Error(), "topic imps has 3 partitions and topic clicks has 4") || !strings.Contains(err.Error(), "`repartition: true`") {
		t.Errorf("got %v", err)
	}
}
