package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
)

// TestRunComesBackFromACheckpoint kills a run, takes its state away and expects
// the next one to go on from the copies, to the same rows. The impressions are
// held for a minute of event time, so that state matters.
func TestRunComesBackFromACheckpoint(t *testing.T) {
	mortise := released(t)
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "within: 2s", "within: 60s", 1))
	inputs := record(t, folder, killImpressions)
	want, size := uninterrupted(t, mortise, file, inputs)
	for name, place := range map[string]func(*testing.T) string{
		"directory": func(t *testing.T) string { return filepath.Join(t.TempDir(), "copies") },
		"S3":        func(t *testing.T) string { return s3test.Start(t).Bucket(t) },
	} {
		t.Run(name, func(t *testing.T) {
			at, dir := place(t), t.TempDir()
			args := append([]string{"run", file, "--embedded", dir, "--listen", "127.0.0.1:0", "--close-rows", "700", "--commit-every", "20ms",
				"--checkpoint", at, "--checkpoint-every", "10ms"}, inputs...)
			p := begin(t, exec.Command(mortise, args...))
			await(t, "the run to be half done", func() bool { return sizeOf(filepath.Join(dir, "log")) >= size*3/4 }, p)
			p.signal(os.Interrupt)
			if code := p.wait(); code != exitDone {
				t.Fatalf("exit code %d\n%s", code, p.errOut.String())
			}
			if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
				t.Fatal(err)
			}
			p = begin(t, exec.Command(mortise, append(toEnd(args[1:]...), "-v")...))
			if code := p.wait(); code != exitDone {
				t.Fatalf("exit code %d\n%s", code, p.errOut.String())
			}
			if log := p.errOut.String(); !strings.Contains(log, "state is restored from a checkpoint") || strings.Contains(log, "level=WARN") {
				t.Errorf("restored nothing, or with trouble:\n%s", log)
			}
			same(t, "after coming back", tailed(t, "f.instances", "--embedded", dir), want)
			succeed(t, "checkpoint", "verify", at)
		})
	}
}
