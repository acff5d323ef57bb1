package main

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/broker"
)

// served starts an embedded broker in the test's own process.
func served(t *testing.T) (brokers string) {
	t.Helper()
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.Addr()
}

// TestFaultsOfTheMachine meets what a machine can have wrong; every error says
// what is wrong where, and what to do. Root may write nearly everywhere, but not
// below a file.
func TestFaultsOfTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := strings.Join(record(t, dir, 10), " ")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	below := filepath.Join(file, "below")
	for _, c := range []struct {
		line  string
		texts []string
	}{
		{"run FILE --embedded " + below + " --listen 127.0.0.1:0", []string{below, "not a directory", "--embedded"}},
		{"run FILE --embedded " + below + " --listen 127.0.0.1:0 " + inputs, []string{below, "not a directory", "--embedded"}},
		{"run FILE --embedded DIR/a --listen 127.0.0.1:0 --state " + below, []string{below, "not a directory", "--state"}},
		{"run FILE --embedded DIR/a --listen 127.0.0.1:0 --until-end --set output.dead_letters.file=" + below + " --input impressions=" + file, []string{below, "dead_letters"}},
		{"run FILE --embedded DIR/b --listen " + port, []string{port, "taken", "--listen"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1:0 --http " + port + " " + inputs, []string{port, "--http", "choose another"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1:0 --http 127.0.0.1:99999", []string{"--http", "99999"}},
		{"run FILE --embedded DIR/b --listen 0.0.0.0:0", []string{"loopback", "--brokers"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1", []string{"host:port"}},
		{"tail f.instances --embedded DIR/nowhere --until-end", []string{"there is no embedded broker in DIR/nowhere", "--embedded"}},
		{"status FILE --embedded DIR/nowhere", []string{"there is no embedded broker in DIR/nowhere"}},
		{"status --embedded " + below, []string{"there is no embedded broker in"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1:0 --input impressions=DIR/none*.jsonl", []string{"no file matches", "DIR/none*.jsonl"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1:0 --input impressions=DIR", []string{"is a directory", "DIR/**/*.jsonl"}},
		{"run FILE --embedded DIR/b --listen 127.0.0.1:0 --input impressions=DIR/none.jsonl", []string{"no such file", "DIR/none.jsonl"}},
		{"replay FILE --embedded DIR/b --listen 127.0.0.1:0 --input impressions=DIR/cut.gz", []string{"DIR/cut.gz", "the gzip data"}},
		{"debug FILE --input impressions=DIR/cut.gz", []string{"DIR/cut.gz", "the gzip data"}},
		{"debug FILE " + inputs + " --key nobody", []string{`"nobody"`, "joined by |"}},
	} {
		line := strings.NewReplacer("FILE", file, "DIR", dir).Replace(c.line)
		for i := range c.texts {
			c.texts[i] = strings.ReplaceAll(c.texts[i], "DIR", dir)
		}
		write(t, filepath.Join(dir, "cut.gz"), gzipped(t, "{}\n")[:15])
		fails(t, exitFailed, append(c.texts, "mortise: "), strings.Fields(line)...)
	}
	if sizeOf(filepath.Join(dir, "nowhere")) != 0 {
		t.Error("a verb that only looks made a broker")
	}
}

// TestUnreachableBrokers: every verb says so after about ten seconds.
func TestUnreachableBrokers(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-and-more"
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	silent := write(t, filepath.Join(dir, "silent.yaml"), strings.Replace(feed, "version: 7",
		"version: 7\nkafka: {seed_brokers: [127.0.0.1:1], tls: {enabled: true}, sasl: {mechanism: PLAIN, username: me, password: "+secret+"}}", 1))
	var all []*process
	for _, args := range [][]string{
		append([]string{"run", file, "--brokers", "127.0.0.1:1", "--state", filepath.Join(dir, "state")}, record(t, dir, 10)...),
		append([]string{"replay", file, "--brokers", "127.0.0.1:1"}, record(t, dir, 10)...),
		{"tail", "f.instances", "--brokers", "127.0.0.1:1"}, {"status", silent, "-v"}, {"run", silent, "-v", "--until-end"},
	} {
		all = append(all, start(t, args...))
	}
	began := time.Now()
	for _, p := range all {
		code := p.wait()
		if text := p.errOut.String(); code != exitFailed || p.out.String() != "" || !strings.Contains(text, "127.0.0.1:1: no answer within 10s") ||
			!strings.Contains(text, "--brokers") || strings.Contains(text, secret) {
			t.Errorf("%s: exit code %d\n%s", p.line, code, text)
		}
	}
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

// TestMissingTopics points run at brokers that lack its inputs.
func TestMissingTopics(t *testing.T) {
	t.Parallel()
	dir, brokers := t.TempDir(), served(t)
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	state := []string{"--brokers", brokers, "--state", filepath.Join(dir, "state")}
	fails(t, exitFailed, []string{`topic "f.impressions" does not exist`, "create the topic"}, append([]string{"run", file, "--until-end"}, state...)...)
	fails(t, exitFailed, []string{`topic "f.instances" does not exist`}, "tail", "f.instances", "--until-end", "--brokers", brokers)
	if st := statusOf(t, file, "--brokers", brokers); len(st.Pipelines) != 1 || len(st.Pipelines[0].Partitions) != 0 {
		t.Errorf("status before anything: %+v", *st)
	}
	// replay makes them; one input has another number of partitions.
	succeed(t, append([]string{"replay", file, "--brokers", brokers, "--partitions", "2"}, record(t, dir, 10)...)...)
	fails(t, exitFailed, []string{"f.clicks2", "does not exist", `did you mean "f.clicks"?`},
		append([]string{"run", file, "--until-end", "--set", "sources.clicks.topic=f.clicks2"}, state...)...)
	succeed(t, append([]string{"replay", file, "--brokers", brokers, "--partitions", "3", "--set", "sources.clicks.topic=f.clicks2"}, record(t, dir, 10)...)...)
	fails(t, exitFailed, []string{"f.impressions has 2 partitions", "f.clicks2 has 3", "the same number"},
		append([]string{"run", file, "--until-end", "--set", "sources.clicks.topic=f.clicks2"}, state...)...)
	r := readReport(t, succeed(t, append([]string{"run", file, "--until-end", "--json"}, state...)...))
	if r.Instances != 20 && r.Instances != 10 || r.Brokers != brokers {
		t.Errorf("with all topics there: %+v", *r)
	}
}

// TestStoppedWhileStarting interrupts a run that waits for its brokers.
func TestStoppedWhileStarting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := start(t, "run", write(t, filepath.Join(dir, "feed.yaml"), feed), "--brokers", silent.Addr().String(), "--state", filepath.Join(dir, "state"))
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != exitDone || p.errOut.String() != "" || p.out.String() != "stopped before anything was read\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, p.out.String(), p.errOut.String())
	}
}
