package main

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/broker"
)

var seedFlag = flag.Uint64("seed", 0, "the seed of the randomized tests; 0 draws one")

// random returns a source whose seed the test's log tells.
func random(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// sizeOf adds up the files below dir, as far as they are there.
func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil // files come and go
	})
	return bytes
}

// once is feed without dedup, so that an impression or a click that were
// published twice would show.
var once = strings.Replace(feed, "  key: id\n", "  key: id\n  dedup: false\n", 1)

const killImpressions = 20_000

// uninterrupted runs the inputs to their end and returns the rows and how much
// the broker's log and the state have grown.
func uninterrupted(t *testing.T, mortise, file string, inputs []string) (rows []string, bytes int64) {
	t.Helper()
	dir := t.TempDir()
	r := atEnd(t, tool(t, mortise, toEnd(append(inputs, file, "--embedded", dir)...)...))
	if r.Instances != killImpressions || r.Positives != killImpressions/10 || total(r.Labels.Dropped) != 0 {
		t.Fatalf("without a kill: %+v", *r)
	}
	return tailed(t, "f.instances", "--embedded", dir), sizeOf(filepath.Join(dir, "log"))
}

// TestKilledAnywhere kills the run again and again while it publishes and works,
// loses its local state at times, and expects the rows of a run that was let be.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	rng, mortise := random(t), released(t)
	folder := t.TempDir()
	file, inputs := write(t, filepath.Join(folder, "feed.yaml"), once), record(t, folder, killImpressions)
	want, size := uninterrupted(t, mortise, file, inputs)
	for round := range 3 {
		dir := t.TempDir()
		args := toEnd(append(inputs, file, "--embedded", dir, "--commit-every", "20ms", "--close-rows", "700")...)
		kills := 0
		for range 7 {
			at := rng.Int64N(size * 5 / 4)
			p := begin(t, exec.Command(mortise, args...))
			await(t, "the moment to kill", func() bool { return p.ended() || sizeOf(filepath.Join(dir, "log")) >= at })
			if !p.ended() {
				kills++
			}
			_ = p.cmd.Process.Kill() // it may have come to its end
			<-p.done
			if rng.IntN(3) == 0 {
				if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
					t.Fatal(err)
				}
			}
		}
		r := atEnd(t, tool(t, mortise, args...))
		if r.Impressions.In != killImpressions || r.Labels.In != killImpressions/10 || r.Instances != killImpressions || r.Positives != killImpressions/10 {
			t.Errorf("round %d, after %d kills: %+v", round, kills, *r)
		}
		same(t, fmt.Sprintf("round %d, after %d kills", round, kills), tailed(t, "f.instances", "--embedded", dir), want)
		if kills == 0 {
			t.Errorf("round %d: every run came to its end before it was to be killed", round)
		}
	}
}

// TestTerminated ends a run in order, while it publishes and works: it exits
// soon and with 0, and the next run goes on.
func TestTerminated(t *testing.T) {
	t.Parallel()
	mortise := released(t)
	folder, dir := t.TempDir(), t.TempDir()
	file, inputs := write(t, filepath.Join(folder, "feed.yaml"), once), record(t, folder, killImpressions)
	want, size := uninterrupted(t, mortise, file, inputs)
	args := append([]string{"run", "--json", "--listen", "127.0.0.1:0", file, "--embedded", dir, "--close-rows", "700", "--commit-every", "20ms"}, inputs...)
	for _, at := range []int64{1, size / 8, size / 2, size} {
		p := begin(t, exec.Command(mortise, args...))
		await(t, "the moment to terminate", func() bool {
			_, running := broker.Attach(dir) // a process that has only just begun has no handler for the signal
			return running && sizeOf(filepath.Join(dir, "log")) >= at
		}, p)
		p.signal(syscall.SIGTERM)
		sent := time.Now()
		if code := p.wait(); code != exitDone {
			t.Fatalf("SIGTERM at %d bytes: exit code %d\n%s", at, code, p.errOut.String())
		}
		if took := time.Since(sent); took > 10*time.Second {
			t.Errorf("SIGTERM at %d bytes: ended after %s", at, took)
		}
		if text := p.out.String(); text != "" {
			readReport(t, text)
		}
	}
	r := atEnd(t, tool(t, mortise, toEnd(append(inputs, file, "--embedded", dir)...)...))
	if r.Impressions.In != killImpressions || r.Labels.In != killImpressions/10 {
		t.Errorf("after SIGTERM: %+v", *r)
	}
	same(t, "after SIGTERM", tailed(t, "f.instances", "--embedded", dir), want)
}

// TestSecondRunChangesNothing runs the same command again on the same directory.
func TestSecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), once)
	args := append(record(t, dir, 300), file, "--embedded", filepath.Join(dir, "data"))
	first := runToEnd(t, args...)
	rows := tailed(t, "f.instances", "--embedded", filepath.Join(dir, "data"))
	second := runToEnd(t, args...)
	if second.Impressions.In != 300 || second.Instances != first.Instances || second.Labels.In != 30 {
		t.Errorf("the second run: %+v", *second)
	}
	same(t, "after the second run", tailed(t, "f.instances", "--embedded", filepath.Join(dir, "data")), rows)
	again := runToEnd(t, append(args, "--republish")...)
	if again.Impressions.In != 600 {
		t.Errorf("--republish: %d impressions, want 600", again.Impressions.In)
	}
}

// TestChangedInputsAreNotMixed changes the files of a publication that was cut short.
func TestChangedInputsAreNotMixed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 100)
	imps := filepath.Join(dir, "imps.jsonl.gz")
	whole := gzipped(t, strings.Repeat(`{"id":"a","ts":1700000000000,"pos":1}`+"\n", 2000))
	write(t, imps, whole[:len(whole)-12])
	inputs[1] = "impressions=" + imps
	args := append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", file, "--embedded", data}, inputs...)
	fails(t, exitFailed, []string{"imps.jsonl.gz:2001", "the gzip data is cut off"}, args...)
	fails(t, exitFailed, []string{"imps.jsonl.gz:2001", "the gzip data is cut off"}, args...) // and publishes nothing twice
	write(t, imps, whole)
	fails(t, exitFailed, []string{"f.impressions", "--embedded", "--republish"}, args...)
	r := runToEnd(t, append(inputs, file, "--embedded", filepath.Join(dir, "anew"))...)
	if r.Impressions.In != 2000 {
		t.Errorf("in a new directory: %d impressions, want 2000", r.Impressions.In)
	}
	if got := len(tailed(t, "f.impressions", "--embedded", data)); got > 2000 {
		t.Errorf("%d impressions were published from a file of 2000", got)
	}
}
