package main

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

var backlogFlag = flag.Int64("backlog", 600_000, "impressions of 1 KB that have piled up, in TestMemoryAfterAnOutage")

// backlogged is an experiment that holds impressions for ten minutes.
const backlogged = `experiment: backlogged
sources:
  impressions:
    topic: b.impressions
    event_time: {field: ts, unit: ms}
    out_of_orderness: 30s
    fields: {impression_id: string, ts: int, item_id: string}
  clicks:
    topic: b.clicks
    event_time: {field: ts, unit: ms}
    out_of_orderness: 30s
    fields: {impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  delay: 10m
  labels: {click: {source: clicks, within: 10m}}
instance: {select: [item_id]}
output:
  topic: {name: b.instances, format: json}
`

// TestMemoryAfterAnOutage has a worker catch up with what has piled up on Kafka, some
// windows' worth and many times that. What it takes at most depends on the window,
// not on the backlog:
//
//	go test ./cmd/mortise -run TestMemoryAfterAnOutage -v -backlog 4000000
func TestMemoryAfterAnOutage(t *testing.T) {
	mortise, server := released(t), kafkatest.Start(t)
	const rate = 100 // a second, of event time: 60,000 to a window
	var most [2]int64
	for i, n := range []int64{200_000, *backlogFlag} {
		dir, name := t.TempDir(), "backlog"+strconv.Itoa(i)
		g, err := traffic.New(traffic.Options{Seed: 1, Impressions: n, Rate: rate, PayloadBytes: 1000, CTR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.WriteFiles(dir, "jsonl", nil); err != nil {
			t.Fatal(err)
		}
		file := write(t, filepath.Join(dir, name+".yaml"), strings.NewReplacer("b.", name+".", "backlogged", name).Replace(backlogged))
		on := []string{file, "--brokers", server.Plain}
		tool(t, mortise, append(append([]string{"replay"}, on...), "--partitions", "4",
			"--input", "impressions="+filepath.Join(dir, "impressions.jsonl"), "--input", "clicks="+filepath.Join(dir, "clicks.jsonl"))...)
		p := begin(t, exec.Command(mortise, append([]string{"run"}, append(on, "--json", "--until-end", "--state", filepath.Join(dir, "state"))...)...))
		<-p.done
		if sum := decode[summary](t, p.out.String()); sum.Instances != n {
			t.Fatalf("%d instances, want %d\n%s", sum.Instances, n, p.errOut.String())
		}
		usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			t.Fatal("this system does not tell what a process took")
		}
		most[i] = usage.Maxrss >> 10
		t.Logf("%d impressions: at most %d MB", n, most[i])
	}
	// What it takes differs from run to run by how the collector of garbage goes.
	if most[1] > most[0]*3/2+50 {
		t.Errorf("%d MB for a long backlog, and %d MB for a short one", most[1], most[0])
	}
}
