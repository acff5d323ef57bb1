package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// TestWorkersEndTogether runs several workers of one group to the end of input,
// more than there are tasks: each ends by itself, after all tasks are done, and
// its summary is the whole group's.
func TestWorkersEndTogether(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			t.Parallel()
			const impressions = 3000
			dir := t.TempDir()
			data := filepath.Join(dir, "data")
			file := write(t, filepath.Join(dir, "feed.yaml"), once)
			inputs := record(t, dir, impressions)
			succeed(t, append([]string{"replay", file, "--embedded", data, "--partitions", fmt.Sprint(partitions)}, inputs...)...)
			slowly := func(n int) []string {
				return toEnd(file, "--embedded", data, "--commit-every", "10ms", "--close-rows", "20", "--state", filepath.Join(dir, fmt.Sprint("state", n)))
			}
			other := write(t, filepath.Join(dir, "other.yaml"), strings.NewReplacer("experiment: feed", "experiment: other", "f.", "other.").Replace(feed))
			owner, _, _ := live(t, data, other)
			var workers []*process
			for n := range 3 {
				workers = append(workers, start(t, slowly(n)...))
			}
			for n, p := range workers {
				if code := p.wait(); code != exitDone {
					t.Fatalf("worker %d: exit code %d\n%s", n, code, p.errOut.String())
				}
				if r := atEnd(t, p.out.String()); r.Instances != impressions || r.Positives != impressions/10 || r.Impressions.In != impressions {
					t.Errorf("worker %d: %+v", n, *r)
				}
			}
			owner.stop()
			rows := tailed(t, "f.instances", "--embedded", data)
			if len(rows) != impressions || strings.Count(strings.Join(rows, "\n"), `"label_click":1,`) != impressions/10 {
				t.Errorf("%d rows", len(rows))
			}
		})
	}
}

// TestBrokerStaysForTheLast: the process that has the embedded broker ends after
// the others of its group, when all have come to the end.
func TestBrokerStaysForTheLast(t *testing.T) {
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cl := &cluster{Connection: kafka.Connection{Kafka: spec.Kafka{SeedBrokers: []string{b.Addr()}}}, broker: b}
	defer cl.close()
	admin, err := kafka.OpenAdmin(t.Context(), cl.Connection)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.EnsureTopics(t.Context(), []kafka.TopicSpec{{Name: "in", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	other, err := kafka.Open(t.Context(), kafka.Options{Connection: cl.Connection, Group: "g", Inputs: []string{"in"}})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the other to be a member", func() bool { g, err := admin.Group(t.Context(), "g"); return err == nil && g.Members == 1 })
	cl.leaveLast(&crew{groups: []string{"g"}}, false) // one that is interrupted does not wait
	left := make(chan struct{})
	go func() {
		defer close(left)
		cl.leaveLast(&crew{groups: []string{"g"}}, true)
	}()
	select {
	case <-left:
		t.Error("it left before the other")
	case <-time.After(200 * time.Millisecond):
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	<-left
}
