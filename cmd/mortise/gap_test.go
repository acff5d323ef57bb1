package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestGap takes state away and, of what it would be rebuilt from, the greater
// part: the run says what is gone, for which partition and times, and goes on only
// when told to, with all that is lost on its account.
func TestGap(t *testing.T) {
	t.Parallel()
	mortise, folder, brokers := released(t), t.TempDir(), served(t)
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "within: 2s", "within: 60s", 1))
	const impressions = 3000
	inputs := record(t, folder, impressions)
	succeed(t, append([]string{"replay", file, "--brokers", brokers, "--partitions", "1"}, inputs...)...)
	state := filepath.Join(folder, "state")
	args := []string{file, "--brokers", brokers, "--state", state}
	p := begin(t, exec.Command(mortise, append([]string{"run", "--commit-every", "20ms"}, args...)...))
	await(t, "everything to be read", func() bool { return caughtUp(t, args[:3]) }, p)
	p.signal(os.Interrupt)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.errOut.String())
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	cutOff(t, brokers, "f.impressions", 10)
	fails(t, exitFailed, []string{"f.impressions[0]", "from offset", "pending", "--accept-gap", "--group"}, append([]string{"run", "--until-end"}, args...)...)
	r := atEnd(t, tool(t, mortise, append(toEnd(args...), "--accept-gap")...))
	if lost := r.Impressions.Dropped["lost"]; lost == 0 || r.Impressions.In != impressions || r.Instances != impressions-lost {
		t.Errorf("lost %d: %+v", lost, *r)
	}
	if r.Labels.In != impressions/10 {
		t.Errorf("labels: %+v", r.Labels)
	}
}

// TestGapOfWhatWasNeverRead: records that went before anyone read them are lost too.
func TestGapOfWhatWasNeverRead(t *testing.T) {
	t.Parallel()
	mortise, folder, brokers := released(t), t.TempDir(), served(t)
	file := write(t, filepath.Join(folder, "feed.yaml"), once)
	const impressions = 1000
	inputs := record(t, folder, impressions)
	replay := append([]string{"replay", file, "--brokers", brokers, "--partitions", "1"}, inputs...)
	args := []string{file, "--brokers", brokers, "--state", filepath.Join(folder, "state")}
	succeed(t, replay...)
	atEnd(t, tool(t, mortise, toEnd(args...)...))
	succeed(t, replay...)
	cutOff(t, brokers, "f.impressions", 10)
	fails(t, exitFailed, []string{"f.impressions[0]", "from offset", "--accept-gap"}, append([]string{"run", "--until-end"}, args...)...)
	r := atEnd(t, tool(t, mortise, append(toEnd(args...), "--accept-gap")...))
	// Offsets count, and a transaction's marker has one too.
	if lost := r.Impressions.Dropped["lost"]; lost < impressions-11 || lost > impressions || r.Impressions.In < 2*impressions-1 {
		t.Errorf("lost %d: %+v", lost, *r)
	}
}

// caughtUp reports whether the group of an experiment has read all of its inputs.
func caughtUp(t *testing.T, args []string) bool {
	t.Helper()
	var all struct {
		Pipelines []struct{ Partitions []struct{ Lag int64 } }
	}
	if err := json.Unmarshal([]byte(succeed(t, append([]string{"status", "--json"}, args...)...)), &all); err != nil {
		t.Fatal(err)
	}
	parts := all.Pipelines[0].Partitions
	for _, p := range parts {
		if p.Lag > 0 {
			return false
		}
	}
	return len(parts) == 2
}

// cutOff removes all but the last records of a topic's one partition, as retention does.
func cutOff(t *testing.T, brokers, topic string, keep int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	var to kadm.Offsets
	to.Add(kadm.Offset{Topic: topic, Partition: 0, At: end.Offset - keep})
	deleted, err := admin.DeleteRecords(t.Context(), to)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestGapInAShuffledTopic: what went before it was shuffled is on the join's
// account, once, whichever task it would have been for.
func TestGapInAShuffledTopic(t *testing.T) {
	t.Parallel()
	mortise, folder, brokers := released(t), t.TempDir(), served(t)
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "join:\n", "join:\n  repartition: true\n  partitions: 3\n", 1))
	const impressions = 1000
	inputs := record(t, folder, impressions)
	replay := append([]string{"replay", file, "--brokers", brokers, "--partitions", "1"}, inputs...)
	args := []string{file, "--brokers", brokers, "--state", filepath.Join(folder, "state")}
	succeed(t, replay...)
	atEnd(t, tool(t, mortise, toEnd(args...)...))
	succeed(t, replay...)
	cutOff(t, brokers, "f.impressions", 10)
	fails(t, exitFailed, []string{"shuffling f.impressions", "from offset", "--accept-gap"}, append([]string{"run", "--until-end"}, args...)...)
	r := atEnd(t, tool(t, mortise, append(toEnd(args...), "--accept-gap")...))
	if lost := r.Impressions.Dropped["lost"]; lost < impressions-11 || lost > impressions || r.Impressions.In < 2*impressions-1 {
		t.Errorf("lost %d: %+v", lost, *r)
	}
	if again := atEnd(t, tool(t, mortise, append(toEnd(args...), "--accept-gap")...)); again.Impressions.Dropped["lost"] != r.Impressions.Dropped["lost"] {
		t.Errorf("counted again: %+v", *again)
	}
}
