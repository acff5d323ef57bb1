package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

var verbs = []string{"run", "lint", "schema", "replay", "tail", "explain", "debug", "diff", "generate", "status", "checkpoint", "version"}

func TestHelp(t *testing.T) {
	t.Parallel()
	root := succeed(t, "--help")
	for _, bare := range []string{succeed(t), succeed(t, "help")} {
		if bare != root {
			t.Errorf("without a verb:\n%s\nwant the help:\n%s", bare, root)
		}
	}
	for _, verb := range verbs {
		text := succeed(t, verb, "--help")
		if !strings.Contains(text, "mortise "+verb) || !strings.Contains(root, "\n  "+verb+" ") {
			t.Errorf("%s: its help lacks its use, or the overview lacks it:\n%s", verb, text)
		}
		if succeed(t, "help", verb) != text {
			t.Errorf("help %s differs from %s --help", verb, verb)
		}
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 84 && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: a line of the text is too long for a terminal: %q", verb, line)
			}
		}
	}
	for _, verb := range []string{"run", "replay", "tail", "status", "diff"} {
		for _, flag := range []string{"--brokers", "--embedded", "--json"} {
			if !strings.Contains(succeed(t, verb, "--help"), flag+" ") {
				t.Errorf("%s --help lacks %s", verb, flag)
			}
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "feed.yaml"), feed)
	for _, c := range []struct{ line, text string }{
		{"rn", `did you mean "run"?`},
		{"statsu", `did you mean "status"?`},
		{"zzzzzz", `unknown verb "zzzzzz"; see mortise --help`},
		{"help zzzzzz", "unknown verb"},
		{"completion", "needs a shell: bash, zsh, fish"},
		{"completion tcsh", "needs a shell: bash, zsh, fish"},
		{"run", "needs an experiment file; see mortise run --help"},
		{"lint", "needs an experiment file"},
		{"tail", "takes a topic"},
		{"tail a b", "takes a topic"},
		{"version more", "takes no arguments"},
		{"run FILE --untilend", "did you mean --until-end?"},
		{"lint FILE --jsn", "did you mean --json?"},
		{"run FILE --nothing-like-it", "unknown flag: --nothing-like-it; see mortise run --help"},
		{"run FILE --partitions 0", "a topic has at least one"},
		{"run FILE --partitions many", "--partitions"},
		{"run FILE --brokers a:1 --embedded d", "choose one of them"},
		{"run FILE --input impressions", "write SOURCE=FILES"},
		{"run FILE --input =x", "write SOURCE=FILES"},
		{"run FILE --input impresions=x", "there are impressions, clicks"},
		{"replay FILE", "needs --input SOURCE=FILES"},
		{"replay FILE --input impressions=x --speed fast", "such as 60x"},
		{"debug FILE", "needs --input SOURCE=FILES"},
		{"generate --profile odd", "choose clean, realistic or hostile"},
		{"generate --start noon", "2026-01-01T00:00:00Z"},
		{"generate --duration long", "such as 90s"},
		{"version --color blue", "choose auto, always or never"},
		{"version --log-format xml", "choose text or json"},
		{"lint [", "syntax error in pattern"},
		{"checkpoint list", "unknown verb"},
		{"checkpoint ls", "takes a directory, a URL or an experiment file"},
		{"checkpoint restore ./x", "needs --state DIR"},
		{"checkpoint restore ./x --state y --checkpoint z", "needs --task"},
	} {
		fails(t, exitUsage, []string{"mortise: ", c.text}, strings.Fields(strings.Replace(c.line, "FILE", file, 1))...)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, begins := range map[string]string{"bash": "# bash completion", "zsh": "#compdef mortise", "fish": "# fish completion"} {
		if text := succeed(t, "completion", shell); !strings.HasPrefix(text, begins) || len(text) < 1000 {
			t.Errorf("completion %s: %d bytes that begin with %.40q", shell, len(text), text)
		}
	}
	if text := succeed(t, "__complete", "re"); !strings.Contains(text, "replay\t") {
		t.Errorf("completing re gives %q", text)
	}
}

func TestVersionAndSchema(t *testing.T) {
	t.Parallel()
	if text := succeed(t, "version"); !strings.HasPrefix(text, "mortise ") || strings.Count(text, "\n") != 1 {
		t.Errorf("version: %q", text)
	}
	if short, long := succeed(t, "--version"), succeed(t, "version"); short != long {
		t.Errorf("--version: %q, version: %q", short, long)
	}
	v := decode[map[string]string](t, succeed(t, "version", "--json"))
	if v["version"] == "" || !strings.HasPrefix(v["go"], "go1.") || !strings.Contains(v["platform"], "/") {
		t.Errorf("version --json: %v", v)
	}
	schema := decode[struct {
		Schema     string `json:"$schema"`
		Properties map[string]json.RawMessage
	}](t, succeed(t, "schema"))
	if !strings.Contains(schema.Schema, "draft-07") {
		t.Errorf("schema: it says that it is %q", schema.Schema)
	}
	for _, key := range []string{"experiment", "version", "sources", "join", "features", "dimensions", "instance", "output"} {
		if schema.Properties[key] == nil {
			t.Errorf("schema: nothing about %s", key)
		}
	}
}

func TestGenerateIsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := func(name, seed string) []string {
		return []string{"generate", "--out", filepath.Join(dir, name), "--impressions", "2000", "--profile", "hostile", "--seed", seed}
	}
	text := succeed(t, args("a", "5")...)
	if !strings.Contains(text, "impressions.jsonl") || !strings.Contains(text, " records\n") {
		t.Errorf("generate tells %q", text)
	}
	sum := decode[map[string]any](t, succeed(t, append(args("b", "5"), "--json")...))
	if len(sum) == 0 {
		t.Error("generate --json tells nothing")
	}
	succeed(t, args("c", "6")...)
	a, b, c := read(t, dir, "a/impressions.jsonl"), read(t, dir, "b/impressions.jsonl"), read(t, dir, "c/impressions.jsonl")
	if a != b {
		t.Error("one seed gave two files")
	}
	if a == c {
		t.Error("two seeds gave one file")
	}
	fails(t, exitFailed, []string{"not a directory", "--out"}, "generate", "--out", "/etc/passwd/x")
}
