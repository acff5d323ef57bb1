package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// damage does one thing to the files of a state directory.
var damage = map[string]func(t *testing.T, rng *rand.Rand, files []string){
	"a bit of every file": func(t *testing.T, rng *rand.Rand, files []string) {
		for _, path := range files {
			flip(t, rng, path)
		}
	},
	"a bit of one file": func(t *testing.T, rng *rand.Rand, files []string) { flip(t, rng, files[rng.IntN(len(files))]) },
	"half of one file": func(t *testing.T, rng *rand.Rand, files []string) {
		path := files[rng.IntN(len(files))]
		if err := os.Truncate(path, int64(len(read(t, path))/2)); err != nil {
			t.Fatal(err)
		}
	},
	"one file": func(t *testing.T, rng *rand.Rand, files []string) {
		if err := os.Remove(files[rng.IntN(len(files))]); err != nil {
			t.Fatal(err)
		}
	},
	"the segments": func(t *testing.T, _ *rand.Rand, files []string) {
		for _, path := range files {
			if strings.Contains(path, "/tasks/") {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	},
	"the manifest": func(t *testing.T, _ *rand.Rand, files []string) {
		for _, path := range files {
			if strings.Contains(path, "/manifest/") {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	},
}

func flip(t *testing.T, rng *rand.Rand, path string) {
	t.Helper()
	content := []byte(read(t, path))
	if len(content) == 0 {
		return
	}
	content[rng.IntN(len(content))] ^= 1 << rng.IntN(8)
	write(t, path, string(content))
}

// filesOf lists the files of a state directory that hold state, sorted: not locks
// and the worker's name, which any text can be.
func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "LOCK" && d.Name() != workerFile {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// TestDamagedState stops runs in the middle, damages what they left on disk and
// expects the next run to come to the same rows: state is a cache.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	rng, mortise := random(t), released(t)
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "within: 2s", "within: 60s", 1))
	inputs := record(t, folder, killImpressions)
	want, size := uninterrupted(t, mortise, file, inputs)
	for what, harm := range damage {
		dir := t.TempDir()
		args := append([]string{"run", file, "--embedded", dir, "--listen", "127.0.0.1:0", "--close-rows", "700", "--commit-every", "20ms"}, inputs...)
		p := begin(t, exec.Command(mortise, args...))
		await(t, "the run to be half done", func() bool { return sizeOf(filepath.Join(dir, "log")) >= size*3/4 }, p)
		p.signal(syscall.SIGTERM)
		if code := p.wait(); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, p.errOut.String())
		}
		harm(t, rng, filesOf(t, filepath.Join(dir, "state")))
		r := atEnd(t, tool(t, mortise, append(toEnd(args[1:]...), "--listen", "127.0.0.1:0")...))
		if r.Impressions.In != killImpressions || r.Positives != killImpressions/10 {
			t.Errorf("%s: %+v", what, *r)
		}
		same(t, "without "+what, tailed(t, "f.instances", "--embedded", dir), want)
	}
}

// TestStateOfAnother meets state directories that are not this run's.
func TestStateOfAnother(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 100)
	args := append([]string{"run", file, "--until-end", "--listen", "127.0.0.1:0", "--embedded", data}, inputs...)
	succeed(t, args...)
	rows := tailed(t, "f.instances", "--embedded", data)

	t.Run("definition", func(t *testing.T) {
		for _, set := range []string{"join.labels.click.within=3s", "sources.impressions.where=pos > 1", "join.dedup=false"} {
			fails(t, exitFailed, []string{"mortise.feed", "another definition of feed", "--group"}, append(args, "--set", set)...)
		}
		same(t, "after definitions that were refused", tailed(t, "f.instances", "--embedded", data), rows)
		r := runToEnd(t, append(inputs, file, "--embedded", data, "--set", "join.labels.click.within=100ms", "--group", "second", "--set", "output.topic.name=second")...)
		if r.Instances != 100 || r.Positives != 0 || r.Experiments[0].Group != "second" {
			t.Errorf("another group: %+v", *r)
		}
		// The state directory serves both groups, and the first goes on as it was.
		runToEnd(t, append(inputs, file, "--embedded", data)...)
		same(t, "of the first group", tailed(t, "f.instances", "--embedded", data), rows)
	})
	t.Run("format", func(t *testing.T) {
		format := filepath.Join(data, "state", "FORMAT")
		ours := read(t, format)
		write(t, format, "mortise state, format 9, sum b21df048f3995ba3\n")
		fails(t, exitFailed, []string{"FORMAT", "format 9", "format 3 at most", "another directory", "--state"}, args...)
		write(t, format, ours)
	})
	t.Run("folder", func(t *testing.T) {
		mine := filepath.Join(dir, "project")
		kept := write(t, filepath.Join(mine, "tasks", "todo.txt"), "precious")
		fails(t, exitFailed, []string{mine, "tasks", "--state"}, append(args, "--state", mine)...)
		if read(t, kept) != "precious" || len(filesOf(t, mine)) != 1 {
			t.Errorf("the folder of another was changed: %q", filesOf(t, mine))
		}
	})
	t.Run("process", func(t *testing.T) {
		run, brokers, _ := live(t, data, file)
		fails(t, exitFailed, []string{"state", "another process", "--state"}, args...)
		fails(t, exitFailed, []string{"state", "another process", "--state"}, "run", file, "--brokers", brokers, "--state", filepath.Join(data, "state"))
		run.stop()
	})
	t.Run("lost", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(data, "state")); err != nil {
			t.Fatal(err)
		}
		runToEnd(t, append(inputs, file, "--embedded", data)...)
		same(t, "after the state was lost", tailed(t, "f.instances", "--embedded", data), rows)
	})
}

// TestStateElsewhere keeps the state in a directory of its own, with other files.
func TestStateElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	state := filepath.Join(dir, "state")
	write(t, filepath.Join(state, "lost+found", "x"), "")
	r := runToEnd(t, append(record(t, dir, 20), file, "--embedded", filepath.Join(dir, "data"), "--state", state)...)
	if r.Instances != 20 {
		t.Errorf("%+v", *r)
	}
	if got := fmt.Sprint(sizeOf(state) > 0, sizeOf(filepath.Join(dir, "data", "state"))); got != "true 0" {
		t.Errorf("state is not where --state says: %s", got)
	}
}
