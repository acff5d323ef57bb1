package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// faulty has four faults, on lines that the tests know.
var faulty = strings.NewReplacer("  key: id", "  kee: id", "idle_after: 300ms\n    fields: {id: string, ts: int, pos: int}",
	"idle_after: soon\n    fields: {id: string, ts: int, pos: int}", "within: 2s", "within: 0s", "select: [pos]", "select: [poss]").Replace(feed)

func TestLintShowsAllFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "bad.yaml"), faulty)
	r := execute(t, "lint", file)
	if r.code != exitLint {
		t.Errorf("exit code %d, want %d", r.code, exitLint)
	}
	for _, text := range []string{
		file + ":9:17: error[bad-duration]", "        idle_after: soon\n                    ^~~~", file + ":20:3: error[unknown-key]",
		"did you mean `key`?", "error[missing-key]", "error[bad-window]", "error[undeclared-field]", "did you mean `pos`?",
	} {
		if !strings.Contains(r.out, text) {
			t.Errorf("lint lacks %q:\n%s", text, r.out)
		}
	}
	if !strings.HasSuffix(r.errOut, " errors, 0 warnings\n") || !strings.HasPrefix(r.errOut, "1 file, ") {
		t.Errorf("lint sums up with %q", r.errOut)
	}
	type report struct {
		Files, Errors, Warnings int
		Diagnostics             []struct {
			Path, Severity, Code, Message, Help string
			Line, Col, Len                      int
		}
	}
	asJSON := execute(t, "lint", "--json", file)
	found := decode[report](t, asJSON.out)
	if asJSON.code != exitLint || found.Files != 1 || found.Errors != len(found.Diagnostics) || strings.Count(r.out, ": error[") != found.Errors || asJSON.errOut != "" {
		t.Errorf("lint --json: exit code %d, stderr %q, %+v", asJSON.code, asJSON.errOut, found)
	}
	for _, d := range found.Diagnostics {
		if d.Path != file || d.Line < 1 || d.Col < 1 || d.Len < 1 || d.Code == "" || d.Message == "" || d.Severity != "error" {
			t.Errorf("lint --json: incomplete: %+v", d)
		}
	}
	// run and the other verbs say the very same, on stderr, and do nothing.
	for _, args := range [][]string{
		{"run", file, "--embedded", filepath.Join(dir, "data")}, {"explain", file}, {"status", file}, {"replay", file, "--input", "impressions=x"}, {"debug", file, "--input", "impressions=x"},
	} {
		got := execute(t, args...)
		if got.code != exitLint || got.errOut != r.out || got.out != "" {
			t.Errorf("%s: exit code %d, stderr\n%s\nwant what lint says:\n%s", args[0], got.code, got.errOut, r.out)
		}
	}
	if sizeOf(filepath.Join(dir, "data")) != 0 {
		t.Error("run with a faulty file made a broker")
	}
}

func TestLintOfSeveralFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), feed)
	write(t, filepath.Join(dir, "b.yaml"), strings.Replace(feed, "experiment: feed", "experiment: second", 1))
	glob := filepath.Join(dir, "*.yaml")
	if r := execute(t, "lint", glob); r.code != exitDone || r.out != "" || r.errOut != "2 files, 0 errors, 0 warnings\n" {
		t.Errorf("two good files: %+v", r)
	}
	if r := execute(t, "lint", "--quiet", glob); r.errOut != "" {
		t.Errorf("--quiet says %q", r.errOut)
	}
	write(t, filepath.Join(dir, "c.yaml"), feed)
	r := execute(t, "lint", glob)
	if r.code != exitLint || !strings.Contains(r.out, "c.yaml:1:1: error[name-clash]") || !strings.Contains(r.out, "a.yaml") {
		t.Errorf("one name twice: %+v", r)
	}
	write(t, filepath.Join(dir, "c.yaml"), strings.Replace(feed, "experiment: feed", "experiment: third\nkafka: {seed_brokers: [elsewhere:9092]}", 1))
	if r := execute(t, "lint", glob); r.code != exitLint || !strings.Contains(r.out, "c.yaml:1:1: error[conflicting-settings]") {
		t.Errorf("two clusters: %+v", r)
	}
	write(t, filepath.Join(dir, "c.yaml"), faulty)
	missing := filepath.Join(dir, "d.yml")
	if r := execute(t, "lint", glob, missing, dir); r.code != exitLint || !strings.Contains(r.out, "c.yaml:20:3") ||
		!strings.Contains(r.out, missing+":1:1: error[bad-file]") || !strings.Contains(r.out, dir+":1:1: error[bad-file]: this is a directory") {
		t.Errorf("a good, a bad, a missing file and a directory: %+v", r)
	}
	if r := execute(t, "run", filepath.Join(dir, "*.nothing")); r.code != exitLint || !strings.Contains(r.errOut, "error[bad-file]") {
		t.Errorf("a pattern that nothing matches: %+v", r)
	}
}

func TestSetAndEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "env.yaml"), strings.Replace(feed, "topic: {name: f.instances", "topic: {name: \"${MORTISE_TEST_OUT}\"", 1))
	if r := execute(t, "lint", file); r.code != exitLint || !strings.Contains(r.out, "error[missing-env]") || !strings.Contains(r.out, "MORTISE_TEST_OUT") {
		t.Errorf("a variable that is not set: %+v", r)
	}
	if r := execute(t, "lint", "--no-environment", file); r.code != exitDone {
		t.Errorf("--no-environment: %+v", r)
	}
	cmd := command(t, "explain", "--json", file, "--set", "join.labels.click.within=5s", "--set", "version=12")
	cmd.Env = append(cmd.Env, "MORTISE_TEST_OUT=from.environment")
	p := begin(t, cmd)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.errOut.String())
	}
	for _, text := range []string{`"topic":"from.environment"`, `"within":"5s"`, `"version":12`} {
		if !strings.Contains(p.out.String(), text) {
			t.Errorf("explain lacks %s: %s", text, p.out.String())
		}
	}
	for _, set := range []string{"join.foo=1", "version=none", "nothing", "join.labels.click.within=-1s"} {
		if r := execute(t, "lint", file, "--no-environment", "--set", set); r.code != exitLint || !strings.Contains(r.out, "--set:1:") {
			t.Errorf("--set %s: %+v", set, r)
		}
	}
}

// TestCheckpointsOfASharedState: experiments that share a state have one place for
// its copies.
func TestCheckpointsOfASharedState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	with := func(name, checkpoint string) string {
		return write(t, filepath.Join(dir, name+".yaml"), strings.NewReplacer("experiment: feed", "experiment: "+name, "f.instances", name+".instances").Replace(feed)+checkpoint)
	}
	a, b, none := with("a", "checkpoint: {path: /mnt/a, every: 1m}\n"), with("b", "checkpoint: {path: /mnt/b, every: 1m}\n"), with("none", "")
	if r := execute(t, "lint", a, b); r.code != exitLint || !strings.Contains(r.out, "b.yaml:1:1: error[conflicting-settings]: `checkpoint` is not that of the experiment `a`") {
		t.Errorf("two places: %+v", r)
	}
	for _, args := range [][]string{{a, none}, {none, b}, {a, with("c", "checkpoint: {path: /mnt/a, every: 60s}\n")},
		{a, write(t, filepath.Join(dir, "apart.yaml"), strings.Replace(read(t, b), "key: id", "key: id\n  delay: 3s", 1))}} {
		if r := execute(t, append([]string{"lint"}, args...)...); r.code != exitDone {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// TestSecretsAreNotShown looks for a password wherever a file is talked about.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-and-more"
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "secret.yaml"), strings.Replace(feed, "version: 7",
		"version: 7\nkafka: {seed_brokers: [\"127.0.0.1:1\"], sasl: {mechanism: PLAIN, username: me, password: "+secret+", pasword: "+secret+"}}", 1))
	good := write(t, filepath.Join(dir, "good.yaml"), strings.Replace(read(t, dir, "secret.yaml"), ", pasword: "+secret, "", 1))
	for _, args := range [][]string{
		{"lint", file}, {"lint", "--json", file}, {"explain", good}, {"explain", "--json", good}, {"lint", good, "--set", "kafka.sasl.passwort=" + secret},
	} {
		if r := execute(t, args...); strings.Contains(r.out+r.errOut, secret) {
			t.Errorf("%s shows the password:\n%s%s", strings.Join(args, " "), r.out, r.errOut)
		}
	}
}

func TestLintLooksIntoFilesOfDimensions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	items := filepath.Join(dir, "items.csv")
	file := write(t, filepath.Join(dir, "feed.yaml"), strings.NewReplacer("instance:\n  select: [pos]", "dimensions:\n  item: {key: pos, store: {file: {path: "+items+"}}, fields: {category: string}}\ninstance:\n  select: [pos, item.category]").Replace(feed))
	if r := execute(t, "lint", file); r.code != exitDone {
		t.Errorf("without the file: %+v", r)
	}
	write(t, items, "pos,category\n1,a\nfirst,b\n")
	r := execute(t, "lint", file)
	if want := file + ":24:"; r.code != exitLint || !strings.Contains(r.out, want) || !strings.Contains(r.out, "error[bad-dimension]") || !strings.Contains(r.out, items+":3: column pos (1): \"first\" is no int") {
		t.Errorf("with a fault on line 3: %+v", r)
	}
	if r := execute(t, "lint", "--no-environment", file); r.code != exitDone {
		t.Errorf("--no-environment: %+v", r)
	}
}
