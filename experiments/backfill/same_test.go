package backfill_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// outcome is every object below a folder, by key.
func outcome(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		if !strings.HasPrefix(rel, ".incomplete") {
			all[filepath.ToSlash(rel)] = fmt.Sprintf("%x", sha256.Sum256(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustBeEqual(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s differs, or is missing", key)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s should not be there", key)
		}
	}
}

// sample is a small world with all that can be wrong, its job, and what a run by
// one worker makes of it.
type sample struct {
	world *world
	pipe  *experiments.Pipeline
	job   backfill.Job
	want  map[string]string
	rows  int64
}

func newSample(t *testing.T, seed uint64, impressions int64, change func(*backfill.Job)) *sample {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate, opts.LateShare = seed, impressions, 1, 0
	opts.JitterMS = min(opts.JitterMS, 1_800_000)
	s := &sample{world: generate(t, rng, opts), pipe: pipeline(t, hostile)}
	fixed := now()
	s.job = backfill.Job{Pipeline: s.pipe, Splits: 5, RollBytes: 8 << 10, CutBytes: 40_000, MemoryBytes: 1 << 17, Now: func() time.Time { return fixed }}
	if change != nil {
		change(&s.job)
	}
	dir := filepath.Join(t.TempDir(), "out")
	report := s.run(t, dir, nil)
	s.want, s.rows = outcome(t, dir), report.Rows
	return s
}

func (s *sample) run(t *testing.T, dir string, change func(*backfill.Job)) *backfill.Report {
	t.Helper()
	job := s.job
	job.Inputs, job.Out, job.Scratch = s.world.inputs(t), bucket(t, dir), scratch(t)
	if change != nil {
		change(&job)
	}
	report, err := backfill.Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestSameFiles expects the same files from any number of workers, any division
// into shards, in any order, and whatever memory there is.
func TestSameFiles(t *testing.T) {
	s := newSample(t, 1, 3000, nil)
	for _, workers := range []int{2, 4} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			s.run(t, dir, func(j *backfill.Job) { j.Workers = workers })
			mustBeEqual(t, outcome(t, dir), s.want)
		})
	}
	for _, shards := range []int{2, 3, 7} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			order := rand.Perm(shards)
			t.Logf("order %v", order)
			for i, shard := range order {
				report := s.run(t, dir, func(j *backfill.Job) { j.Shard, j.Shards = shard, shards })
				if last := i == shards-1; report.Complete != last && report.Finished != 5 {
					t.Errorf("after shard %d: %+v", shard, report)
				}
			}
			mustBeEqual(t, outcome(t, dir), s.want)
		})
	}
	for _, memory := range []int64{1 << 12, 1 << 20, 1 << 30} {
		t.Run(fmt.Sprintf("memory=%d", memory), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			s.run(t, dir, func(j *backfill.Job) { j.MemoryBytes = memory })
			mustBeEqual(t, outcome(t, dir), s.want)
		})
	}
	t.Run("state on disk", func(t *testing.T) {
		dir, states := filepath.Join(t.TempDir(), "out"), t.TempDir()
		var opened atomic.Int64
		s.run(t, dir, func(j *backfill.Job) {
			j.Workers = 2
			j.DiskStates = func(split int) (experiments.States, error) {
				opened.Add(1)
				db, err := disk.OpenDB(filepath.Join(states, fmt.Sprint(split)), disk.Options{})
				return diskStates{db}, err
			}
		})
		if opened.Load() != 5 {
			t.Errorf("%d splits had their state on disk, of 5 that are too large for memory", opened.Load())
		}
		mustBeEqual(t, outcome(t, dir), s.want)
	})
	t.Run("again", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "out")
		s.run(t, dir, nil)
		report := s.run(t, dir, func(j *backfill.Job) {
			j.Scratch = func(string) (backfill.FS, error) { return nil, errors.New("nothing is left to do") }
		})
		if !report.Complete || report.Rows != s.rows {
			t.Errorf("report %+v", report)
		}
		mustBeEqual(t, outcome(t, dir), s.want)
	})
}

// diskStates is a state directory as experiments.States.
type diskStates struct{ *disk.DB }

func (s diskStates) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	return s.OpenStore(task, opts)
}

func TestDirectoryIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scratch")
	first, err := backfill.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backfill.OpenDirectory(dir); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("a second process: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder is left: %v", err)
	}
	if _, err := backfill.OpenDirectory(os.DevNull + "/x"); err == nil || !strings.Contains(err.Error(), "--scratch") {
		t.Errorf("where no folder can be: %v", err)
	}
}

// TestScratchOfOthers leaves alone what no backfill has written.
func TestScratchOfOthers(t *testing.T) {
	s := newSample(t, 4, 100, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	job := s.job
	job.Inputs, job.Out = s.world.inputs(t), bucket(t, filepath.Join(t.TempDir(), "out"))
	job.Scratch = func(string) (backfill.FS, error) { return backfill.OpenDirectory(dir) }
	if _, err := backfill.Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "holds thesis.tex, which is no backfill's") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.tex")); err != nil {
		t.Error(err)
	}
}

// TestCrashes lets every run die at a random operation on the scratch folder or on
// the bucket, and runs it again, until one comes to its end.
func TestCrashes(t *testing.T) {
	s := newSample(t, 2, 2000, nil)
	for seed := range uint64(15) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			dir, shards := filepath.Join(t.TempDir(), "out"), 1+rng.IntN(3)
			out := bucket(t, dir)
			open := scratch(t)
			left := map[int]bool{}
			for i := range shards {
				left[i] = true
			}
			died := 0
			for len(left) > 0 {
				shard := slices.Collect(maps.Keys(left))[0]
				f := &fuse{left: 1 + rng.IntN(60+40*died), rng: rng}
				job := s.job
				job.Inputs, job.Shard, job.Shards, job.Workers = s.world.inputs(t), shard, shards, 1+rng.IntN(3)
				job.Out = failingBucket{out, f}
				job.Scratch = func(name string) (backfill.FS, error) {
					if rng.IntN(8) == 0 { // it was not there any more
						name += fmt.Sprint("-", died)
					}
					fs, err := open(name)
					return failingFS{fs, f}, err
				}
				_, err := backfill.Run(context.Background(), job)
				switch {
				case err == nil:
					delete(left, shard)
				case errors.Is(err, errDied):
					died++
				default:
					t.Fatal(err)
				}
			}
			t.Logf("%d shards, died %d times", shards, died)
			mustBeEqual(t, outcome(t, dir), s.want)
		})
	}
}

// TestCancel stops runs by their context: the error says so, and the next run goes
// on.
func TestCancel(t *testing.T) {
	s := newSample(t, 3, 1000, nil)
	dir := filepath.Join(t.TempDir(), "out")
	open := scratch(t)
	for n := range 30 {
		ctx, cancel := context.WithCancel(context.Background())
		job := s.job
		job.Inputs, job.Scratch = s.world.inputs(t), open
		job.Out = &cancelling{Bucket: bucket(t, dir), cancel: cancel, after: n}
		_, err := backfill.Run(ctx, job)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	s.run(t, dir, func(j *backfill.Job) { j.Scratch = open })
	mustBeEqual(t, outcome(t, dir), s.want)
}

// cancelling cancels when so many objects have been created.
type cancelling struct {
	dataset.Bucket
	cancel context.CancelFunc
	after  int
}

func (b *cancelling) Create(ctx context.Context, key string, body io.Reader) error {
	if b.after--; b.after < 0 {
		b.cancel()
	}
	return b.Bucket.Create(ctx, key, body)
}
