package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// live starts a run that goes on until it is stopped, with its HTTP server, and
// returns the address of its embedded broker and that server's URL.
func live(t *testing.T, dir string, args ...string) (p *process, brokers, url string) {
	t.Helper()
	p = start(t, append([]string{"run", "--embedded", dir, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	pattern := regexp.MustCompile(`metrics and status on (http://\S+)`)
	await(t, "the run to serve HTTP", func() bool { return pattern.MatchString(p.errOut.String()) }, p)
	url = pattern.FindStringSubmatch(p.errOut.String())[1]
	await(t, "the run to be ready", func() bool { code, _ := get(t, url+"/ready"); return code == http.StatusOK }, p)
	brokers, running := broker.Attach(dir)
	if !running {
		t.Fatalf("no broker is announced in %s", dir)
	}
	return p, brokers, url
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// stop ends a process with SIGTERM, which must be done soon and well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	sent := time.Now()
	if code := p.wait(); code != exitDone {
		p.t.Errorf("%s\nexit code %d after SIGTERM\n%s", p.line, code, p.errOut.String())
	}
	if took := time.Since(sent); took > 15*time.Second {
		p.t.Errorf("%s\nended %s after SIGTERM", p.line, took)
	}
}

// TestLive runs without an end: another process replays into its broker, a third
// follows the instances, ordinary clients read along, and when the inputs fall
// silent wall time closes the last windows.
func TestLive(t *testing.T) {
	t.Parallel()
	kcat := provisioned.Tool(t, "kcat")
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	// So long no replay is held up between an impression and its click.
	patient := strings.ReplaceAll(feed, "idle_after: 300ms", "idle_after: 8s")
	file := write(t, filepath.Join(dir, "feed.yaml"), patient)
	inputs := record(t, dir, 1000)
	run, brokers, url := live(t, data, file, "--commit-every", "50ms", "--json")
	follower := start(t, "tail", "f.instances", "--embedded", data)
	replayed := succeed(t, append([]string{"replay", file, "--embedded", data}, inputs...)...)
	if replayed != "f.clicks: 100 records\nf.impressions: 1,000 records\n" {
		t.Errorf("replay tells %q", replayed)
	}
	await(t, "the first instances", func() bool { return len(lines(follower.out.String())) > 0 }, run, follower)

	if list := tool(t, kcat, "-b", brokers, "-L", "-J"); !strings.Contains(list, `"topic":"f.instances"`) {
		t.Errorf("kcat does not list the instance topic: %s", list)
	}
	some := lines(tool(t, kcat, "-b", brokers, "-C", "-t", "f.instances", "-e", "-q", "-f", `%k|%T|%h|%s\n`))
	if len(some) == 0 || !regexp.MustCompile(`^k\d+\|17\d{11}\|mortise-experiment=feed,mortise-version=7,mortise-config=[0-9a-f]+\|\{"instance_id":"k`).MatchString(some[0]) {
		t.Errorf("kcat reads %d records while the run is on, the first: %q", len(some), some)
	}
	endpoints(t, url)

	await(t, "wall time to close the last windows", func() bool { return len(lines(follower.out.String())) == 1000 }, run, follower)
	whole := lines(tool(t, kcat, "-b", brokers, "-C", "-t", "f.instances", "-e", "-q"))
	slices.Sort(whole)
	followed := lines(follower.out.String())
	slices.Sort(followed)
	same(t, "tail against kcat", followed, whole)
	if positive := strings.Count(strings.Join(whole, "\n"), `"label_click":1,`); positive != 100 {
		t.Errorf("%d instances are positive, want 100", positive)
	}
	await(t, "the last commit", func() bool {
		return statusOf(t, file, "--embedded", data).Pipelines[0].Experiments[0].Ledger.Instances == 1000
	}, run)
	st := statusOf(t, "--embedded", data).Pipelines[0]
	if e := st.Experiments[0]; st.Group != "mortise.feed" || st.Members != 1 || e.Name != "feed" || !e.AddsUp || e.Ledger.Positives != 100 || e.Ledger.Impressions.In != 1000 {
		t.Errorf("status while the run is on: %+v", st)
	}
	follower.stop()
	run.stop()
	if r := readReport(t, run.out.String()); r.Complete || r.Instances != 1000 {
		t.Errorf("the summary of a run that was stopped: %+v", *r)
	}
	same(t, "after the run", tailed(t, "f.instances", "--embedded", data), whole)
	if st := statusOf(t, file, "--embedded", data).Pipelines[0]; st.Members != 0 || st.Experiments[0].Ledger.Instances != 1000 || lag(st.Partitions) != 0 {
		t.Errorf("status after the run: %+v", st)
	}
}

// endpoints asks for all that --http serves.
func endpoints(t *testing.T, url string) {
	t.Helper()
	for path, text := range map[string]string{
		"/healthz": "ok", "/ready": "ready", "/status": `"pipeline":"feed"`, "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/metrics": "mortise_instances_total",
	} {
		if code, body := get(t, url+path); code != http.StatusOK || !strings.Contains(body, text) {
			t.Errorf("%s: %d without %q: %.500s", path, code, text, body)
		}
	}
	if code, _ := get(t, url+"/nothing"); code != http.StatusNotFound {
		t.Errorf("/nothing: %d", code)
	}
}

type statusReport struct {
	Pipelines []struct {
		Pipeline, Group string
		Members         int
		Experiments     []struct {
			Name   string
			AddsUp bool `json:"adds_up"`
			Ledger struct {
				Impressions          struct{ In int64 }
				Instances, Positives int64
			}
		}
		Partitions []statusPartition
	}
}

type statusPartition struct {
	Topic          string
	Next, End, Lag int64
}

func statusOf(t *testing.T, args ...string) *statusReport {
	t.Helper()
	st := decode[statusReport](t, succeed(t, append([]string{"status", "--json"}, args...)...))
	return &st
}

func lag(all []statusPartition) (n int64) {
	for _, p := range all {
		n += p.Lag
	}
	return n
}

// TestSilentInputOfARunItself publishes with the run and without an end: the
// last windows close although nothing comes any more.
func TestSilentInputOfARunItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	run, _, _ := live(t, data, append([]string{file, "--commit-every", "20ms"}, record(t, dir, 50)...)...)
	follower := start(t, "tail", "f.instances", "--limit", "50", "--embedded", data)
	await(t, "the last window to close", follower.ended, run)
	run.stop()
}

// TestReplaySpeed paces a replay by event time: 1 s of it at ten times the speed
// takes at least a tenth of a second more than at once.
func TestReplaySpeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	args := append([]string{"replay", file, "--listen", "127.0.0.1:0", "--json", "--speed", "2x", "--embedded", filepath.Join(dir, "data")}, record(t, dir, 101)...)
	began := time.Now()
	published := decode[struct{ Published map[string]int64 }](t, succeed(t, args...)).Published
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("1 s of event time at 2x took %s", took)
	}
	if fmt.Sprint(published) != "map[f.clicks:11 f.impressions:101]" {
		t.Errorf("published %v", published)
	}
	r := runToEnd(t, file, "--embedded", filepath.Join(dir, "data"))
	if r.Instances != 101 || r.Positives != 11 {
		t.Errorf("run over what was replayed: %+v", *r)
	}
}
