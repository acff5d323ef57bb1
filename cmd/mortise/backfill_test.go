package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// backfilled runs a backfill to its end and returns its report.
func backfilled(t *testing.T, args ...string) *report {
	t.Helper()
	r := readReport(t, succeed(t, append([]string{"backfill", "--json"}, args...)...))
	if r.Impressions.Pending != 0 || r.Labels.Pending != 0 {
		t.Errorf("pending at the end: %+v", r)
	}
	return r
}

// TestBackfillIsTheStream runs the same files as a stream and as a batch, in three
// shards of different memory, and compares the rows.
func TestBackfillIsTheStream(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 5000)
	embedded := []string{"--embedded", filepath.Join(dir, "broker")}
	streamed := runToEnd(t, slices.Concat([]string{file}, inputs, embedded)...)
	out := filepath.Join(dir, "out")
	base := slices.Concat([]string{file, "--out", out, "--splits", "7", "--scratch", filepath.Join(dir, "scratch")}, inputs)
	for i, shard := range []string{"2/3", "0/3", "1/3"} {
		r := backfilled(t, append(base, "--shard", shard, "--workers", "2", "--memory", []string{"64KB", "1MB", "100MB"}[i])...)
		if last := i == 2; r.Complete != last {
			t.Errorf("after shard %s: complete %t", shard, r.Complete)
		}
		if i == 2 && (r.Instances != streamed.Instances || r.Positives != streamed.Positives || r.Impressions.In != streamed.Impressions.In || r.Labels.Attached != streamed.Labels.Attached) {
			t.Errorf("the batch comes to %+v\nthe stream to %+v", r, streamed)
		}
	}
	succeed(t, append([]string{"diff", "topic:f.instances", out}, embedded...)...)
	if _, err := os.Stat(filepath.Join(out, "dt=2023-11-14", "hour=22", "_SUCCESS")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scratch")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("scratch is left: %v", err)
	}
	text := succeed(t, append([]string{"backfill"}, base...)...) // again, all at once
	for _, want := range []string{"feed v7: 5,000 impressions became 5,000 instances, 500 of them positive (10 %)", "dead letters  none", "in 7 files, 1 hour", "nothing was left to do"} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, text)
		}
	}
}

// tree is the files below a folder, with their contents.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e.IsDir() && e.Name() == ".incomplete" {
			return fs.SkipDir // what a process that was killed was writing
		}
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if text := read(t, path); rel != "_mortise/backfill/plan.json" { // it says when
			all = append(all, rel+" "+text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestBackfillKilled kills backfills at several stages with SIGKILL, and one with
// SIGINT, and expects the files of one that was left alone.
func TestBackfillKilled(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 60_000)
	args := func(out string) []string {
		return slices.Concat([]string{"backfill", file, "--out", filepath.Join(dir, out), "--splits", "12", "--memory", "256KB", "--workers", "2", "--scratch", filepath.Join(dir, "scratch")}, inputs)
	}
	succeed(t, args("whole")...)
	exists := func(pattern string) func() bool {
		return func() bool {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			return err == nil && len(found) > 0
		}
	}
	for _, stage := range []string{"scratch/*/000003.spill", "scratch/*/000020.spill", "out/_mortise/parts/*/*.json", "out/_mortise/parts/*/end.json"} {
		p := start(t, args("out")...)
		await(t, stage, func() bool { return exists(stage)() || p.ended() })
		p.signal(syscall.SIGKILL)
		p.wait()
	}
	p := start(t, args("out")...)
	await(t, "a second split", func() bool { return exists("out/_mortise/parts/s*1-of-0012/end.json")() || p.ended() })
	if !p.ended() {
		p.signal(syscall.SIGINT)
	}
	if code := p.wait(); code == exitFailed && !strings.Contains(p.errOut.String(), "stopped before the end: the same command goes on from here") {
		t.Errorf("stopped: %s", p.errOut.String())
	}
	succeed(t, args("out")...)
	same(t, "files after kills", tree(t, filepath.Join(dir, "out")), tree(t, filepath.Join(dir, "whole")))
}

func TestBackfillRefuses(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 500)
	out := filepath.Join(dir, "out")
	base := slices.Concat([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch")}, inputs)
	for _, c := range []struct {
		code int
		text string
		args []string
	}{
		{exitUsage, "backfill needs --input SOURCE=FILES, or --brokers or --embedded to read the topics", []string{"backfill", file, "--out", out}},
		{exitUsage, "backfill needs --out", slices.Concat([]string{"backfill", file}, inputs)},
		{exitUsage, "--input views: the experiment has no source of that name; it has impressions, clicks", append(base, "--input", "views=x")},
		{exitUsage, "--shard \"3/3\": write I/N with I from 0 to N-1", append(base, "--shard", "3/3")},
		{exitUsage, "--overwrite would remove what the other shards have written", append(base, "--shard", "0/2", "--overwrite")},
		{exitUsage, "--from: \"yesterday\" is no time", append(base, "--from", "yesterday")},
		{exitUsage, "--memory: \"lots\" is not a size", append(base, "--memory", "lots")},
		{exitUsage, "--workers 0", append(base, "--workers", "0")},
		{exitFailed, "no file matches", slices.Concat([]string{"backfill", file, "--out", out, "--input", "impressions=" + filepath.Join(dir, "*.nothing")})},
		{exitFailed, "within a folder of the dataset: it would never be complete; take 2023-11-14T22:00:00Z or 2023-11-14T23:00:00Z", append(base, "--from", "2023-11-14T22:13")},
	} {
		fails(t, c.code, []string{c.text}, c.args...)
	}
	backfilled(t, base[1:]...)
	more := write(t, filepath.Join(dir, "more.jsonl"), `{"id":"x","ts":1700000000000,"pos":1}`)
	for _, c := range []struct {
		text string
		args []string
	}{
		{"holds another backfill: of impressions without " + more, append(base, "--input", "impressions="+more)},
		{"of event times from any to any, not from 2023-11-14T22:00:00Z to any", append(base, "--from", "2023-11-14T22")},
		{"in as many splits as fit the size of the inputs, not in 5 splits", append(base, "--splits", "5")},
		{"of another definition of feed", append(base, "--set", "version=8")},
		{"leave out --resume=false to go on from there", append(base, "--resume=false")},
	} {
		fails(t, exitFailed, []string{out, c.text}, c.args...)
	}
	if r := backfilled(t, slices.Concat(base[1:], []string{"--input", "impressions=" + more, "--overwrite"})...); r.Instances != 501 || !r.Complete {
		t.Errorf("overwritten: %+v", r)
	}
}

// TestBackfillBadFiles gives files that end in their middle, and letters that
// go to another folder.
func TestBackfillBadFiles(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	text := strings.Repeat(`{"id":"k","ts":1700000000000,"pos":1}`+"\n", 3000) + "{broken\n"
	whole := gzipped(t, text)
	cut := write(t, filepath.Join(dir, "cut.jsonl.gz"), whole[:len(whole)-10])
	out := filepath.Join(dir, "out")
	base := []string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch")}
	fails(t, exitFailed, []string{cut, "the gzip data is cut off"}, append(base, "--input", "impressions="+cut)...)
	if found, err := filepath.Glob(filepath.Join(out, "dt=*")); err != nil || len(found) > 0 {
		t.Errorf("rows of a file that is cut off: %v %v", found, err)
	}
	write(t, cut, whole)
	letters := filepath.Join(dir, "letters")
	if r := backfilled(t, append(base[1:], "--input", "impressions="+cut, "--letters", letters, "--overwrite")...); r.DeadLetters != 1 || r.Impressions.In != 3001 {
		t.Errorf("report %+v", r)
	}
	found, err := filepath.Glob(filepath.Join(letters, "*", "*.jsonl"))
	if err != nil || len(found) != 1 {
		t.Fatalf("letters in %v: %v", found, err)
	}
	letter := decode[struct {
		Topic     string
		Offset    int64
		Reason    string
		Partition int32
	}](t, read(t, found[0]))
	if letter.Topic != cut || letter.Offset != int64(len(text)-len("{broken\n")) || letter.Reason != "bad_json" || letter.Partition != 0 {
		t.Errorf("letter %+v", letter)
	}
}

// TestBackfillOfTopics backfills what a run has read, from the topics it read: all
// of it, a range of hours that timestamps bound, and files beside a topic.
func TestBackfillOfTopics(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	var imps, clicks strings.Builder // three hours, a second apart
	for i := range 3 * 3600 {
		fmt.Fprintf(&imps, `{"id":"k%d","ts":%d,"pos":%d}`+"\n", i, 1_699_999_200_000+1000*i, i%7)
		if i%10 == 0 {
			fmt.Fprintf(&clicks, `{"id":"k%d","ts":%d}`+"\n", i, 1_699_999_200_000+1000*i+500)
		}
	}
	inputs := []string{"--input", "impressions=" + write(t, filepath.Join(dir, "imps.jsonl"), imps.String()), "--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), clicks.String())}
	embedded := []string{"--embedded", filepath.Join(dir, "broker")}
	streamed := runToEnd(t, slices.Concat([]string{file}, inputs, embedded)...)
	base := func(out string, more ...string) []string {
		return slices.Concat([]string{file, "--out", filepath.Join(dir, out), "--scratch", filepath.Join(dir, "scratch"), "--workers", "2"}, more)
	}
	r := backfilled(t, slices.Concat(base("all"), embedded)...)
	if r.Instances != streamed.Instances || r.Positives != streamed.Positives || r.Impressions.In != streamed.Impressions.In {
		t.Errorf("the batch comes to %+v\nthe stream to %+v", r, streamed)
	}
	succeed(t, append([]string{"diff", "topic:f.instances", filepath.Join(dir, "all")}, embedded...)...)

	hour := []string{"--from", "2023-11-14T23", "--to", "2023-11-15"}
	of := func(out string, args ...string) *report {
		return backfilled(t, base(out, slices.Concat(hour, args)...)...)
	}
	files, topics := of("files", inputs...), of("topics", embedded...)
	bounded := of("bounded", append(embedded, "--lateness", "10m", "--margin", "1m")...)
	mixed := of("mixed", append(embedded, inputs[:2]...)...)
	for name, r := range map[string]*report{"files": files, "topics": topics, "bounded": bounded, "mixed": mixed} {
		if r.Instances != 3600 || r.Positives != 360 || !r.Complete {
			t.Errorf("%s: %+v", name, r)
		}
		succeed(t, "diff", filepath.Join(dir, "files"), filepath.Join(dir, name))
	}
	if topics.Impressions.In > files.Impressions.In || bounded.Impressions.In >= topics.Impressions.In {
		t.Errorf("impressions read: %d of files, %d of topics to their ends, %d within bounds", files.Impressions.In, topics.Impressions.In, bounded.Impressions.In)
	}

	// What comes later is not read by who goes on with the same backfill.
	more := write(t, filepath.Join(dir, "more.jsonl"), `{"id":"x","ts":1700003000000,"pos":1}`)
	succeed(t, slices.Concat([]string{"replay", file, "--input", "impressions=" + more, "--listen", "127.0.0.1:0"}, embedded)...)
	if again := backfilled(t, slices.Concat(base("all"), embedded)...); again.Instances != r.Instances {
		t.Errorf("%d instances after the topic has grown, %d before", again.Instances, r.Instances)
	}
	if r := backfilled(t, slices.Concat(base("anew"), embedded)...); r.Instances != streamed.Instances+1 {
		t.Errorf("%d instances of the grown topic", r.Instances)
	}
	text := succeed(t, slices.Concat([]string{"backfill"}, base("dry", "--dry-run"), embedded)...)
	if !strings.Contains(text, "impressions") || !strings.Contains(text, "up to 3 hours of rows") {
		t.Errorf("dry run:\n%s", text)
	}
}
