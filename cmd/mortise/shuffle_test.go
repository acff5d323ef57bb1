package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

// publishedWrong publishes the recorded inputs keyed by their times, impressions
// into 3 partitions and clicks into 5, and returns the flag that names the broker.
func publishedWrong(t *testing.T, dir string, inputs []string) []string {
	t.Helper()
	broker := []string{"--embedded", filepath.Join(dir, "data")}
	publishWrong(t, dir, inputs, broker)
	return broker
}

func publishWrong(t *testing.T, dir string, inputs, broker []string) {
	t.Helper()
	file := write(t, filepath.Join(dir, "wrong.yaml"), strings.Replace(feed, "key: id", "key: ts", 1))
	for _, args := range [][]string{
		{"--partitions", "3", "--set", "sources.clicks.topic=f.unused", "--input", inputs[1]},
		{"--partitions", "5", "--set", "sources.impressions.topic=f.unused.too", "--input", inputs[3]},
	} {
		succeed(t, append(append([]string{"replay", file, "--listen", "127.0.0.1:0"}, broker...), args...)...)
	}
}

// TestTopicsKeyedOtherwise: topics that are keyed by something else, and of
// different widths, are refused; shuffled they give the rows of topics that are
// keyed as they should be, byte for byte.
func TestTopicsKeyedOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, inputs := write(t, filepath.Join(dir, "feed.yaml"), feed), record(t, dir, 2000)
	right := filepath.Join(dir, "right")
	keyed := runToEnd(t, append(inputs, file, "--embedded", right)...)
	want := tailed(t, "f.instances", "--embedded", right)

	broker := publishedWrong(t, dir, inputs)
	fails(t, exitFailed, []string{"f.impressions has 3 partitions", "f.clicks has 5", "the same number", "`repartition: true`"}, append([]string{"run", file, "--until-end", "--listen", "127.0.0.1:0"}, broker...)...)
	fails(t, exitFailed, []string{"f.impressions[", "its id \"k", "`repartition: true` in the source impressions", "join.partitioner: any"},
		append([]string{"run", file, "--until-end", "--listen", "127.0.0.1:0", "--set", "sources.clicks.repartition=true"}, broker...)...)
	if rows := tailed(t, "f.instances", broker...); len(rows) != 0 {
		t.Errorf("%d rows were committed of topics that are refused", len(rows))
	}

	r := runToEnd(t, append(broker, file, "--set", "join.repartition=true", "--set", "join.partitions=2", "--group", "shuffled")...)
	same(t, "shuffled", tailed(t, "f.instances", broker...), want)
	if r.Instances != keyed.Instances || r.Positives != keyed.Positives || r.Labels.Attached != keyed.Labels.Attached {
		t.Errorf("%+v shuffled, %+v keyed", r, keyed)
	}
}

// TestShuffleKilledAnywhere kills broker, shufflers and worker together, again
// and again, loses local state at times, and expects the rows of topics that are
// keyed as they should be.
func TestShuffleKilledAnywhere(t *testing.T) {
	t.Parallel()
	rng, mortise := random(t), released(t)
	folder := t.TempDir()
	file, inputs := write(t, filepath.Join(folder, "feed.yaml"), once), record(t, folder, killImpressions)
	want, _ := uninterrupted(t, mortise, file, inputs)
	dir := t.TempDir()
	broker := publishedWrong(t, dir, inputs)
	log := filepath.Join(dir, "data", "log")
	before := sizeOf(log)
	args := toEnd(append(broker, file, "--set", "join.repartition=true", "--commit-every", "20ms", "--close-rows", "700")...)
	kills := 0
	for range 10 {
		at := before + rng.Int64N(4*before) // records, markers, rows, and each transaction's own
		p := begin(t, exec.Command(mortise, args...))
		await(t, "the moment to kill", func() bool { return p.ended() || sizeOf(log) >= at })
		if !p.ended() {
			kills++
		}
		_ = p.cmd.Process.Kill() // it may have come to its end
		<-p.done
		if rng.IntN(3) == 0 {
			if err := os.RemoveAll(filepath.Join(dir, "data", "state")); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := atEnd(t, tool(t, mortise, args...))
	if kills == 0 || r.Instances != killImpressions || r.Positives != killImpressions/10 || r.Labels.In != killImpressions/10 || r.Labels.Attached != killImpressions/10 {
		t.Errorf("after %d kills: %+v", kills, *r)
	}
	same(t, fmt.Sprintf("after %d kills", kills), tailed(t, "f.instances", broker...), want)
	shuffled := lines(succeed(t, append([]string{"tail", "mortise.feed.repartition.impressions", "--until-end"}, broker...)...))
	if len(shuffled) != killImpressions {
		t.Errorf("%d impressions were shuffled, want %d", len(shuffled), killImpressions)
	}
}

// TestShuffleIsShared: experiments that share a pipeline share its shuffles; one
// that differs has its own. tail, status and explain show them.
func TestShuffleIsShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inputs := record(t, dir, 700)
	edit := []string{"  key: id\n", "  key: id\n  repartition: true\n"}
	files := []string{variant(t, dir, "one", edit...), variant(t, dir, "two", append(edit, "select: [pos]", "select: []")...),
		variant(t, dir, "apart", append(edit, "within: 2s", "within: 3s")...)}
	broker := publishedWrong(t, dir, inputs)
	r := runToEnd(t, append(broker, files...)...)
	right := filepath.Join(dir, "right")
	runToEnd(t, append(append(inputs, "--embedded", right, "--set", "join.repartition=false"), files...)...)
	for _, e := range r.Experiments {
		same(t, e.Name, tailed(t, e.Topic, broker...), tailed(t, e.Topic, "--embedded", right))
	}

	st := decode[struct {
		Pipelines []struct {
			Group    string
			Shuffles []struct {
				Source, Group, Topic string
				Partitions           []struct {
					Topic     string
					Next, Lag int64
					MaxMS     int64 `json:"max_ms"`
				}
			}
		}
	}](t, succeed(t, append(append([]string{"status", "--json"}, broker...), files...)...))
	var seen []string
	for _, p := range st.Pipelines {
		for _, s := range p.Shuffles {
			var next, lag, most int64
			for _, part := range s.Partitions {
				next, lag, most = next+part.Next, lag+part.Lag, max(most, part.MaxMS)
			}
			seen = append(seen, fmt.Sprint(s.Group, " → ", s.Topic, " ", len(s.Partitions), " ", lag, " ", most > t0))
		}
	}
	slices.Sort(seen)
	if got, want := strings.Join(seen, "\n"), strings.Join([]string{
		"mortise.apart.repartition.clicks → mortise.apart.repartition.clicks 5 0 true", "mortise.apart.repartition.impressions → mortise.apart.repartition.impressions 3 0 true",
		"mortise.one+two.repartition.clicks → mortise.one..two.repartition.clicks 5 0 true", "mortise.one+two.repartition.impressions → mortise.one..two.repartition.impressions 3 0 true"}, "\n"); got != want {
		t.Errorf("status shows\n%s\nwant\n%s", got, want)
	}
	if all := succeed(t, append([]string{"status"}, broker...)...); strings.Contains(all, "shuffled") || !strings.Contains(all, "mortise.apart: group") {
		t.Errorf("status without files:\n%s", all)
	}
	if text := succeed(t, append(append([]string{"status"}, broker...), files...)...); !strings.Contains(text, "clicks is shuffled into mortise.one..two.repartition.clicks: group mortise.one+two.repartition.clicks") {
		t.Errorf("status:\n%s", text)
	}
	if text := succeed(t, append([]string{"explain"}, files...)...); !strings.Contains(text, "f.clicks is shuffled by id, through an internal topic GROUP.repartition.SOURCE") {
		t.Errorf("explain:\n%s", text)
	}

	plain := tailed(t, "mortise.one..two.repartition.clicks", broker...)
	meta := tailed(t, "mortise.one..two.repartition.clicks", append(broker, "--meta")...)
	origins, markers := 0, 0
	for _, line := range meta {
		headers := decode[struct{ Headers map[string]string }](t, line).Headers
		if _, ok := headers["mortise-clocks"]; ok {
			markers++
		} else if strings.Count(headers["mortise-origin"], "/") >= 2 {
			origins++
		}
	}
	if len(plain) != 70 || origins != 70 || markers < 3 || markers+origins != len(meta) {
		t.Errorf("tail shows %d records; with --meta %d and %d markers of %d", len(plain), origins, markers, len(meta))
	}
	same(t, "the records of the internal topic", plain, tailed(t, "f.clicks", broker...))
}

// TestShuffleOverWorkers: workers share shuffling and joining; one is killed, and
// another takes its place. The rows are those of topics that are keyed as they
// should be.
func TestShuffleOverWorkers(t *testing.T) {
	t.Parallel()
	mortise := released(t)
	dir := t.TempDir()
	const n = 6000
	file, inputs := write(t, filepath.Join(dir, "feed.yaml"), once), record(t, dir, n)
	right := filepath.Join(dir, "right")
	runToEnd(t, append(inputs, file, "--embedded", right)...)
	want := tailed(t, "f.instances", "--embedded", right)

	broker := publishedWrong(t, dir, inputs)
	worker := func(state string) *process {
		args := append([]string{"run", "-v", file, "--listen", "127.0.0.1:0", "--set", "join.repartition=true", "--commit-every", "50ms", "--state", filepath.Join(dir, state)}, broker...)
		return begin(t, exec.Command(mortise, args...))
	}
	first := worker("a")
	count := func() int {
		r := execute(t, append([]string{"tail", "f.instances", "--until-end"}, broker...)...)
		return len(lines(r.out))
	}
	await(t, "the first rows", func() bool { return count() > 0 }, first)
	second := worker("b")
	await(t, "the second worker's share", func() bool {
		told := second.errOut.String()
		return strings.Contains(told, `"task is at work"`) && strings.Contains(told, `"origin is shuffled" group=mortise.feed.repartition.impressions`) &&
			strings.Contains(told, `"origin is shuffled" group=mortise.feed.repartition.clicks`)
	}, first, second)
	second.signal(os.Kill)
	<-second.done
	third := worker("c")
	awaitWithin(t, 3*patience, "all rows, the dead worker's session being over in each group", func() bool { return count() >= n }, first, third)
	third.signal(os.Interrupt) // before the first, whose broker it uses
	c := third.wait()
	first.signal(os.Interrupt)
	if a := first.wait(); a != exitDone || c != exitDone {
		t.Errorf("exit codes %d and %d\n%s%s", a, c, first.errOut.String(), third.errOut.String())
	}
	same(t, "over workers", tailed(t, "f.instances", broker...), want)
}

// TestShuffleOnKafka shuffles on Apache Kafka, killed while it does.
func TestShuffleOnKafka(t *testing.T) {
	t.Parallel()
	rng, mortise, server := random(t), released(t), kafkatest.Start(t)
	dir := t.TempDir()
	const n = 5000
	file, inputs := write(t, filepath.Join(dir, "feed.yaml"), once), record(t, dir, n)
	right := filepath.Join(dir, "right")
	runToEnd(t, append(inputs, file, "--embedded", right)...)
	broker := []string{"--brokers", server.Plain}
	publishWrong(t, dir, inputs, broker)
	args := append([]string{"run", "--until-end", "--json", file, "--set", "join.repartition=true", "--commit-every", "20ms", "--close-rows", "300", "--state", filepath.Join(dir, "state")}, broker...)
	kills := 0
	for range 3 {
		p := begin(t, exec.Command(mortise, args...))
		select {
		case <-p.done:
		case <-time.After(time.Duration(300+rng.IntN(700)) * time.Millisecond):
			kills++
			_ = p.cmd.Process.Kill() // it may have come to its end
			<-p.done
		}
	}
	r := atEnd(t, tool(t, mortise, args...))
	if r.Instances != n || r.Labels.Attached != n/10 {
		t.Errorf("after %d kills: %+v", kills, *r)
	}
	same(t, fmt.Sprintf("after %d kills", kills), tailed(t, "f.instances", broker...), tailed(t, "f.instances", "--embedded", right))
}
