package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

// The tests run the command as its users do: as a process of its own. The test
// binary is that process when asCommand is set, so that the race detector sees
// what it does; tests with much data run the binary as it is built for users.
const asCommand = "MORTISE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	dir, err := os.MkdirTemp("", "mortise-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	release.path = filepath.Join(dir, "mortise")
	code := kafkatest.Run(m)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// release is the binary as users get it, built by the first test that asks.
var release struct {
	once sync.Once
	path string
	err  error
}

func released(t *testing.T) string {
	t.Helper()
	release.once.Do(func() {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", release.path, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			release.err = fmt.Errorf("building the command: %w\n%s", err, out)
		}
	})
	if release.err != nil {
		t.Fatal(release.err)
	}
	return release.path
}

// patience bounds every wait of a test: far above what is ever needed.
const patience = 60 * time.Second

// process is one run of the command.
type process struct {
	t           *testing.T
	line        string
	cmd         *exec.Cmd
	out, errOut lockedBuffer
	done        chan struct{} // closed when it has ended
}

// lockedBuffer is a buffer that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	return cmd
}

// start starts the command; the test's end kills it.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return begin(t, command(t, args...))
}

func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, line: "mortise " + strings.Join(cmd.Args[1:], " "), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the exit code tells
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-p.done
	})
	return p
}

// wait waits for the process to end and returns its exit code; -1 for one that
// a signal ended.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // for its stacks
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s\ndid not end within %s\n%s", p.line, patience, p.errOut.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signalling %v: %v\n%s", p.line, s, err, p.errOut.String())
	}
}

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await polls until cond holds, and fails when it does not in time or when one
// of the processes that it depends on ends first.
func await(t *testing.T, what string, cond func() bool, on ...*process) {
	t.Helper()
	awaitWithin(t, patience, what, cond, on...)
}

func awaitWithin(t *testing.T, patience time.Duration, what string, cond func() bool, on ...*process) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if cond() {
			return
		}
		for _, p := range on {
			if p.ended() && !cond() {
				t.Fatalf("waiting for %s: %s\nended with %d\n%s", what, p.line, p.cmd.ProcessState.ExitCode(), p.errOut.String())
			}
		}
		if time.Now().After(deadline) {
			text := ""
			for _, p := range on {
				text += p.line + "\n" + p.errOut.String() + p.out.String()
			}
			t.Fatalf("waited %s for %s in vain\n%s", patience, what, text)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// result is what a finished command left.
type result struct {
	code        int
	out, errOut string
}

// execute runs the command to its end.
func execute(t *testing.T, args ...string) result {
	t.Helper()
	p := start(t, args...)
	code := p.wait()
	return result{code, p.out.String(), p.errOut.String()}
}

// succeed runs the command to its end, which must be 0, and returns its output.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	r := execute(t, args...)
	if r.code != exitDone {
		t.Fatalf("mortise %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.errOut)
	}
	return r.out
}

// fails runs the command and expects an exit code and all of the texts on stderr,
// nothing on stdout, and no stack of a panic.
func fails(t *testing.T, code int, texts []string, args ...string) {
	t.Helper()
	r := execute(t, args...)
	what := "mortise " + strings.Join(args, " ")
	if strings.Contains(r.errOut, "goroutine ") {
		t.Errorf("%s: a panic:\n%s", what, r.errOut)
		return
	}
	if r.code != code {
		t.Errorf("%s: exit code %d, want %d\n%s", what, r.code, code, r.errOut)
	}
	for _, text := range texts {
		if !strings.Contains(r.errOut, text) {
			t.Errorf("%s: stderr lacks %q:\n%s", what, text, r.errOut)
		}
	}
	if r.out != "" {
		t.Errorf("%s: stdout has %q", what, r.out)
	}
}

// report is what tests look at in run --json.
type report struct {
	Complete    bool
	Impressions struct {
		In, Emitted, Pending int64
		Dropped              map[string]int64
	}
	Labels struct {
		In, Attached, Unmatched, Late, Pending int64
		Dropped                                map[string]int64
	}
	Instances, Positives int64
	DeadLetters          int64 `json:"dead_letters"`
	Experiments          []struct {
		Name, Group, Topic string
		DeadLetter         string `json:"dead_letter"`
		Ledger             struct{ Instances, Positives int64 }
	}
	Brokers string
}

func (r *report) check(t *testing.T) {
	t.Helper()
	i, b := &r.Impressions, &r.Labels
	if got := i.Emitted + i.Pending + total(i.Dropped); got != i.In {
		t.Errorf("impressions in %d, accounted for %d: %+v", i.In, got, *i)
	}
	if got := b.Attached + b.Unmatched + b.Late + b.Pending + total(b.Dropped); got != b.In {
		t.Errorf("labels in %d, accounted for %d: %+v", b.In, got, *b)
	}
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// runToEnd runs `run --until-end --json` and returns its report, whose ledger
// must add up with nothing pending.
func runToEnd(t *testing.T, args ...string) *report {
	t.Helper()
	return atEnd(t, succeed(t, toEnd(args...)...))
}

func toEnd(args ...string) []string {
	return append([]string{"run", "--until-end", "--json", "--listen", "127.0.0.1:0"}, args...)
}

func atEnd(t *testing.T, summary string) *report {
	t.Helper()
	r := readReport(t, summary)
	if !r.Complete || r.Impressions.Pending != 0 || r.Labels.Pending != 0 {
		t.Errorf("at the end: complete %t, pending %d impressions and %d labels", r.Complete, r.Impressions.Pending, r.Labels.Pending)
	}
	return r
}

func readReport(t *testing.T, text string) *report {
	t.Helper()
	r := &report{}
	if err := json.Unmarshal([]byte(text), r); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatalf("the summary is not one JSON object on one line: %v\n%s", err, text)
	}
	r.check(t)
	return r
}

// tailed returns the committed records of a topic, sorted.
func tailed(t *testing.T, topic string, args ...string) []string {
	t.Helper()
	rows := lines(succeed(t, append([]string{"tail", topic, "--until-end"}, args...)...))
	slices.Sort(rows)
	return rows
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// same compares sorted rows and shows the first difference.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%s: %d rows, want %d; missing %s", what, len(got), len(want), want[i])
		case i >= len(want):
			t.Fatalf("%s: %d rows, want %d; surplus %s", what, len(got), len(want), got[i])
		case got[i] != want[i]:
			t.Fatalf("%s: %d rows, want %d; row %d is\n%s\nwant\n%s", what, len(got), len(want), i, got[i], want[i])
		}
	}
}

func write(t *testing.T, path string, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// decode reads one JSON value.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// tool runs another program to its end.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errOut.String())
	}
	return string(out)
}

// feed is a small experiment: impressions that are held for 2 s, and clicks.
// Its inputs are idle, and so close their last windows, after 300 ms.
const feed = `experiment: feed
version: 7
sources:
  impressions:
    topic: f.impressions
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1s
    idle_after: 300ms
    fields: {id: string, ts: int, pos: int}
  clicks:
    topic: f.clicks
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1s
    idle_after: 300ms
    fields: {id: string, ts: int}
join:
  main: impressions
  key: id
  labels:
    click: {source: clicks, within: 2s}
instance:
  select: [pos]
output:
  topic: {name: f.instances, format: json}
`

const t0 = 1_700_000_000_000 // of the recorded files, ms

// record writes n impressions, 10 ms apart, every tenth of them clicked after
// half a second, and returns the flags that name the files.
func record(t *testing.T, dir string, n int) []string {
	t.Helper()
	var imps, clicks strings.Builder
	for i := range n {
		fmt.Fprintf(&imps, `{"id":"k%d","ts":%d,"pos":%d}`+"\n", i, t0+10*i, i%7)
		if i%10 == 0 {
			fmt.Fprintf(&clicks, `{"id":"k%d","ts":%d}`+"\n", i, t0+10*i+500)
		}
	}
	return []string{"--input", "impressions=" + write(t, filepath.Join(dir, "imps.jsonl"), imps.String()),
		"--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), clicks.String())}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
