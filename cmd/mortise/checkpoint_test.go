package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"

	mortise "github.com/mortise-dev/mortise"
)

// saveCheckpoints makes three checkpoints of two tasks of the plan in place.
func saveCheckpoints(t *testing.T, place string, plan uint64) {
	t.Helper()
	db, err := disk.OpenDB(t.TempDir(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	bucket, err := objectstore.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	ck := checkpoint.New(bucket, checkpoint.Options{Owner: "feed"})
	for part := range 2 {
		task := fmt.Sprintf("mortise.feed/%d", part)
		s, err := db.OpenStore(task, joiner.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(3) {
			if _, err := s.Log(joiner.Impressions).Append(&joiner.Entry{TimeMS: i * 10_000, Offset: i, Value: make([]byte, 1000)}); err != nil {
				t.Fatal(err)
			}
			at := joiner.Snapshot{Plan: plan, Offsets: []int64{i + 1, 7}, Lows: []int64{0, 0}, WatermarkMS: 1_700_000_000_000 + i, Ledgers: make([]mortise.Ledger, 1)}
			at.Ledgers[0].Impressions.Pending = i + 1
			if err := s.Commit(at.Append(nil)); err != nil {
				t.Fatal(err)
			}
			capture, err := s.Capture()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ck.Save(t.Context(), task, capture); err != nil {
				t.Fatal(err)
			}
		}
	}
}

type listed struct {
	Place string
	Tasks []struct {
		Task        string
		Checkpoints []struct {
			Checkpoint, Error, Owner, Plan string
			Files                          int
			Bytes                          int64
			NewBytes                       int64 `json:"new_bytes"`
			Offsets                        []int64
			WatermarkMS                    int64 `json:"watermark_ms"`
			Pending                        int64
		}
	}
}

func TestCheckpointVerbs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := filepath.Join(dir, "checkpoints")
	saveCheckpoints(t, place, 5)
	ls := decode[listed](t, succeed(t, "checkpoint", "ls", place, "--json"))
	if len(ls.Tasks) != 2 || ls.Place != place || ls.Tasks[1].Task != "mortise.feed/1" || len(ls.Tasks[0].Checkpoints) != 3 {
		t.Fatalf("%+v", ls)
	}
	newest, oldest := ls.Tasks[0].Checkpoints[0], ls.Tasks[0].Checkpoints[2]
	if newest.Pending != 3 || newest.Owner != "feed" || newest.Files != 3 || fmt.Sprint(newest.Offsets) != "[3 7]" || newest.WatermarkMS != 1_700_000_000_002 ||
		newest.Plan != "0000000000000005" || newest.NewBytes >= newest.Bytes || oldest.NewBytes != oldest.Bytes {
		t.Errorf("%+v\n%+v", newest, oldest)
	}
	if text := succeed(t, "checkpoint", "ls", place, "--task", "mortise.feed/0"); strings.Count(text, "\n") != 6 || !strings.Contains(text, newest.Checkpoint) || strings.Contains(text, "feed/1") {
		t.Errorf("%s", text)
	}
	if text := succeed(t, "checkpoint", "verify", place); strings.Count(text, ": whole\n") != 2 {
		t.Errorf("%s", text)
	}
	state := filepath.Join(dir, "state")
	text := succeed(t, "checkpoint", "restore", place, "--state", state)
	if strings.Count(text, "3 files") != 2 || !strings.Contains(text, newest.Checkpoint) {
		t.Errorf("%s", text)
	}
	if at := restoredAt(t, state, "mortise.feed/1"); at.Offsets[0] != 3 {
		t.Errorf("restored at %v", at.Offsets)
	}
	fails(t, exitFailed, []string{"is not empty", "--state"}, "checkpoint", "restore", place, "--state", state)
	older := filepath.Join(dir, "older")
	succeed(t, "checkpoint", "restore", place, "--state", older, "--task", "mortise.feed/0", "--checkpoint", oldest.Checkpoint)
	if at := restoredAt(t, older, "mortise.feed/0"); at.Offsets[0] != 1 {
		t.Errorf("restored at %v", at.Offsets)
	}
	fails(t, exitFailed, []string{`task "other"`, "mortise.feed/0, mortise.feed/1"}, "checkpoint", "ls", place, "--task", "other")
	fails(t, exitFailed, []string{"there is no directory"}, "checkpoint", "ls", filepath.Join(dir, "nothing"))
	fails(t, exitFailed, []string{"unknown scheme"}, "checkpoint", "ls", "ftp://x/y")
	fails(t, exitFailed, []string{"no checkpoints"}, "checkpoint", "restore", t.TempDir(), "--state", filepath.Join(dir, "never"))
}

// restoredAt opens a restored task and says where it stands.
func restoredAt(t *testing.T, state, task string) *joiner.Snapshot {
	t.Helper()
	db, err := disk.OpenDB(state, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.OpenStore(task, joiner.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := joiner.ParseSnapshot(s.Meta())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Log(joiner.Impressions).Stats().Entries; n != at.Offsets[0] {
		t.Errorf("%d impressions at offset %d", n, at.Offsets[0])
	}
	return at
}

// TestCheckpointDamage harms checkpoints: verify names each fault, restore takes
// an older one that is whole, and says so.
func TestCheckpointDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := filepath.Join(dir, "checkpoints")
	saveCheckpoints(t, place, 5)
	manifests, err := filepath.Glob(filepath.Join(place, "mortise.feed~2f0", "checkpoints", "*"))
	if err != nil || len(manifests) != 3 {
		t.Fatalf("%v, %v", manifests, err)
	}
	whole := read(t, manifests[2])
	write(t, manifests[2], whole[:len(whole)-10])
	p := start(t, "checkpoint", "verify", place)
	if code := p.wait(); code != exitFailed || !strings.Contains(p.errOut.String(), "1 fault found in "+place) || !strings.Contains(p.out.String(), "harms "+filepath.Base(manifests[2])) {
		t.Errorf("exit code %d, %s%s", code, p.out.String(), p.errOut.String())
	}
	if text := succeed(t, "checkpoint", "ls", place); strings.Count(text, "damaged") != 1 {
		t.Errorf("%s", text)
	}
	state := filepath.Join(dir, "older")
	succeed(t, "checkpoint", "restore", place, "--state", state)
	if at := restoredAt(t, state, "mortise.feed/0"); at.Offsets[0] != 2 {
		t.Errorf("restored at %v", at.Offsets)
	}
	fails(t, exitFailed, []string{"checkpoint is damaged"}, "checkpoint", "restore", place, "--state", filepath.Join(dir, "named"),
		"--task", "mortise.feed/0", "--checkpoint", filepath.Base(manifests[2]))
	write(t, manifests[2], whole)

	parts, err := filepath.Glob(filepath.Join(place, "mortise.feed~2f0", "parts", "*"))
	if err != nil || len(parts) != 3 {
		t.Fatalf("%v, %v", parts, err)
	}
	first := read(t, parts[0])
	if err := os.Remove(parts[0]); err != nil { // all three checkpoints need it
		t.Fatal(err)
	}
	code, out := verifyJSON(t, place)
	if code != exitFailed || len(out.Tasks[0].Faults) == 0 || len(out.Tasks[0].Faults[0].Checkpoints) != 3 || !strings.Contains(out.Tasks[0].Faults[0].Error, filepath.Base(parts[0])+" is missing") {
		t.Errorf("exit code %d, %+v", code, out)
	}
	fails(t, exitFailed, []string{"none of its checkpoints is whole", "mortise checkpoint verify"}, "checkpoint", "restore", place, "--state", filepath.Join(dir, "none"))
	flipped := []byte(first)
	flipped[100] ^= 1
	write(t, parts[0], string(flipped))
	if code, out := verifyJSON(t, place); code != exitFailed || !strings.Contains(out.Tasks[0].Faults[0].Error, "checksum") {
		t.Errorf("exit code %d, %+v", code, out)
	}
}

type verified struct {
	Tasks []struct {
		Task   string
		Faults []struct {
			Checkpoints []string
			Error       string
		}
	}
}

func verifyJSON(t *testing.T, place string) (int, verified) {
	t.Helper()
	p := start(t, "checkpoint", "verify", place, "--json")
	code := p.wait()
	return code, decode[verified](t, p.out.String())
}

// TestCheckpointOfAnotherDefinition names the place by an experiment file whose
// definition is not the one that the checkpoints are of.
func TestCheckpointOfAnotherDefinition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := filepath.Join(dir, "checkpoints")
	file := write(t, filepath.Join(dir, "feed.yaml"), feed+"\ncheckpoint: {path: "+place+"}\n")
	exp, found := spec.Load(file, spec.LoadOptions{})
	if exp == nil {
		t.Fatal(found)
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{exp})
	if err != nil {
		t.Fatal(err)
	}
	saveCheckpoints(t, place, plan.Pipelines[0].Fingerprint())
	succeed(t, "checkpoint", "restore", file, "--state", filepath.Join(dir, "same"))
	fails(t, exitFailed, []string{"another definition of the experiment", file}, "checkpoint", "restore", file, "--state", filepath.Join(dir, "other"),
		"--set", "join.labels.click.within=17m")
	bare := write(t, filepath.Join(dir, "bare.yaml"), feed)
	fails(t, exitFailed, []string{"no checkpoint.path"}, "checkpoint", "ls", bare)
}

func TestCheckpointVerbsOnS3(t *testing.T) {
	server := s3test.Start(t)
	place := server.Bucket(t)
	saveCheckpoints(t, place, 5)
	succeed(t, "checkpoint", "verify", place)
	state := filepath.Join(t.TempDir(), "state")
	succeed(t, "checkpoint", "restore", place, "--state", state)
	if at := restoredAt(t, state, "mortise.feed/1"); at.Offsets[0] != 3 {
		t.Errorf("restored at %v", at.Offsets)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	fails(t, exitFailed, []string{"s3://bucket-", "AWS_SECRET_ACCESS_KEY"}, "checkpoint", "ls", place)
}
