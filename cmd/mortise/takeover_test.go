package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

// How much state the restarts begin with.
var (
	heldFlag      = flag.Int("held", 100_000, "impressions that a worker holds when it is taken away, in TestTakeover")
	heldBytesFlag = flag.Int("held-bytes", 300, "bytes of each of them, about")
)

// held is an experiment whose impressions are held for two hours.
var held = strings.NewReplacer("experiment: feed", "experiment: held", "f.", "held.", "within: 2s", "within: 2h",
	"idle_after: 300ms", "idle_after: 1h", "fields: {id: string, ts: int, pos: int}", "fields: {id: string, ts: int, pos: int, page: string}").Replace(feed)

// heldLines writes impressions over an hour and a half, and a click for every
// eighth of them.
func heldLines(t *testing.T, dir string, n int) []string {
	t.Helper()
	create := func(name string) (*bufio.Writer, func()) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		return w, func() {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	imps, endImps := create("held-imps.jsonl")
	clicks, endClicks := create("held-clicks.jsonl")
	rng := uint64(1)
	page := make([]byte, max(*heldBytesFlag-60, 8))
	for i := range n {
		at := t0 + int64(i)*5_400_000/int64(n)
		for j := range page { // as words do, it compresses to a third or so
			if rng = rng*6364136223846793005 + 1442695040888963407; j%3 == 0 {
				page[j] = 'a' + byte(rng>>60)
			} else {
				page[j] = "eto "[j&3]
			}
		}
		fmt.Fprintf(imps, `{"id":"k%d","ts":%d,"pos":%d,"page":"%s"}`+"\n", i, at, i%7, page)
		if i%8 == 0 {
			fmt.Fprintf(clicks, `{"id":"k%d","ts":%d}`+"\n", i, at+1000)
		}
	}
	endImps()
	endClicks()
	return []string{"--input", "impressions=" + filepath.Join(dir, "held-imps.jsonl"), "--input", "clicks=" + filepath.Join(dir, "held-clicks.jsonl")}
}

// due writes events that come later, by so many minutes after the first
// impression's deadline: what was held until then is due.
func due(t *testing.T, dir string, minutes int) []string {
	t.Helper()
	at := t0 + 7_200_000 + int64(minutes)*60_000
	return []string{"--input", "impressions=" + write(t, filepath.Join(dir, fmt.Sprint("due", minutes, ".jsonl")), fmt.Sprintf(`{"id":"due%d","ts":%d,"pos":1,"page":""}`+"\n", minutes, at)),
		"--input", "clicks=" + write(t, filepath.Join(dir, fmt.Sprint("due-clicks", minutes, ".jsonl")), fmt.Sprintf(`{"id":"due%d","ts":%d}`+"\n", minutes, at))}
}

// TestTakeover takes a worker away that holds much, by kill -9, and starts it
// again with its state; then once more without its disk, from a checkpoint. It
// expects the first new row to be committed within a second of the task's
// assignment in the first case, and tells what both took:
//
//	go test ./cmd/mortise -run TestTakeover -v -held 5000000
func TestTakeover(t *testing.T) {
	mortise, server := released(t), kafkatest.Start(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "held.yaml"), held)
	state, copies := filepath.Join(dir, "state"), filepath.Join(dir, "copies")
	on := []string{file, "--brokers", server.Plain}
	replay := func(inputs []string) {
		tool(t, mortise, append(append([]string{"replay"}, on...), append(inputs, "--partitions", "1")...)...)
	}
	run := func() *process {
		return begin(t, exec.Command(mortise, append([]string{"run"}, append(on, "-v", "--state", state, "--checkpoint", copies, "--checkpoint-every", "2s")...)...))
	}
	replay(heldLines(t, dir, *heldFlag))
	p := run()
	awaitWithin(t, 20*patience, "all to be held, and copied", func() bool { // a copy is of state that is committed
		<-time.After(200 * time.Millisecond) // a look is a process
		ls := execute(t, "checkpoint", "ls", "--json", copies)
		if ls.code != exitDone {
			return false // there is none yet
		}
		for _, task := range decode[listed](t, ls.out).Tasks {
			for _, c := range task.Checkpoints {
				if c.Pending == int64(*heldFlag) {
					return true
				}
			}
		}
		return false
	}, p)
	p.signal(os.Kill)
	<-p.done

	replay(due(t, dir, 1))
	p = run()
	took := firstRow(t, p)
	t.Logf("warm, %d held, %d MB of state: %v", *heldFlag, sizeOf(state)>>20, took)
	if took.restored || took.row > time.Second {
		t.Errorf("the first row is committed %s after the assignment, want a second at most\n%s", took.row, p.errOut.String())
	}
	p.stop() // copies its state
	held := sizeOf(state)
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}

	replay(due(t, dir, 2))
	p = run()
	took = firstRow(t, p)
	t.Logf("without its disk, %d MB to be restored: %v", held>>20, took)
	if !took.restored {
		t.Errorf("nothing was restored\n%s", p.errOut.String())
	}
	p.stop()
}

// takeoverTimes is what a run says of how it took its task over.
type takeoverTimes struct {
	opened, live, row time.Duration
	restored          bool
}

func (t takeoverTimes) String() string {
	return fmt.Sprintf("state there after %s, live after %s, first row committed after %s", t.opened, t.live, t.row)
}

var (
	liveLine = regexp.MustCompile(`msg="task is live" .*after=(\S+) opened=(\S+) restored=(\S+)`)
	rowLine  = regexp.MustCompile(`msg="task has committed its first row" .*after=(\S+)`)
)

// firstRow waits for the first row of a run and returns how long it took.
func firstRow(t *testing.T, p *process) (took takeoverTimes) {
	t.Helper()
	await(t, "the first row", func() bool { return rowLine.MatchString(p.errOut.String()) }, p)
	log := p.errOut.String()
	live, row := liveLine.FindStringSubmatch(log), rowLine.FindStringSubmatch(log)
	for i, into := range []*time.Duration{&took.live, &took.opened} {
		d, err := time.ParseDuration(live[i+1])
		if err != nil {
			t.Fatal(err)
		}
		*into = d.Round(time.Millisecond)
	}
	d, err := time.ParseDuration(row[1])
	if err != nil {
		t.Fatal(err)
	}
	took.row, took.restored = d.Round(time.Millisecond), live[3] == "true"
	return took
}
