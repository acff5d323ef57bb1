package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestForget deletes what a shuffled experiment has on the brokers, and nothing
// else, when nobody uses it.
func TestForget(t *testing.T) {
	t.Parallel()
	brokers, folder := served(t), t.TempDir()
	on := []string{"--brokers", brokers}
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "join:\n", "join:\n  repartition: true\n", 1))
	succeed(t, append(append([]string{"replay", file}, record(t, folder, 100)...), on...)...)
	other := append(slices.Clone(on), "--group", "other", "--state", filepath.Join(folder, "other"))
	want := runToEnd(t, append([]string{file}, append(on, "--state", filepath.Join(folder, "state"))...)...)
	runToEnd(t, append([]string{file}, other...)...)

	var left struct {
		IdleTopics []idleTopic `json:"idle_topics"`
	}
	look := func() []idleTopic {
		left = decode[struct {
			IdleTopics []idleTopic `json:"idle_topics"`
		}](t, succeed(t, append([]string{"status", "--json"}, on...)...))
		return left.IdleTopics
	}
	if got := look(); len(got) != 4 || !slices.Contains(got, idleTopic{"mortise.feed.repartition.clicks", "mortise.feed"}) || !slices.Contains(got, idleTopic{"other.repartition.impressions", "other"}) {
		t.Errorf("idle topics: %v", got)
	}
	shown := succeed(t, append([]string{"forget", "mortise.feed"}, on...)...)
	for _, line := range []string{"group mortise.feed\n", "group mortise.feed.repartition.clicks\n", "topic mortise.feed.repartition.impressions\n"} {
		if !strings.Contains(shown, line) || strings.Contains(shown, "other") || strings.Contains(shown, "topic f.") {
			t.Errorf("forget shows\n%s", shown)
		}
	}
	if got := look(); len(got) != 4 {
		t.Errorf("without --yes it deletes: %v", got)
	}
	run := start(t, append([]string{"run", file, "--listen", "127.0.0.1:0"}, other...)...)
	await(t, "the run to be a member", func() bool {
		st := statusOf(t, append([]string{"--group", "other"}, on...)...).Pipelines
		return len(st) == 1 && st[0].Members == 1
	}, run)
	fails(t, exitFailed, []string{"group other has 1 members", "stop the workers"}, append([]string{"forget", "other", "--yes"}, on...)...)
	run.stop()
	succeed(t, append([]string{"forget", "mortise.feed", "--yes"}, on...)...)
	if got := look(); len(got) != 2 || got[0].Group != "other" || got[1].Group != "other" {
		t.Errorf("after forgetting: %v", got)
	}
	fails(t, exitFailed, []string{"no consumer group mortise.feed", "other"}, append([]string{"forget", "mortise.feed", "--yes"}, on...)...)
	again := runToEnd(t, append([]string{file}, append(on, "--state", filepath.Join(folder, "state"))...)...)
	if again.Instances != want.Instances || len(tailed(t, "f.instances", on...)) != 3*int(want.Instances) {
		t.Errorf("begun anew: %+v", *again)
	}
}
