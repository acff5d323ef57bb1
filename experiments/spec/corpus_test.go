package spec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected errors of testdata/bad")

// testOptions are the same for the whole corpus, so that it does not depend on
// the machine.
func testOptions() LoadOptions {
	env := map[string]string{"MORTISE_TEST_TOPIC": "clicks.from.env", "MORTISE_TEST_PASSWORD": "hunter2", "MORTISE_TEST_WINDOW": "2h", "MORTISE_TEST_VERSION": "7"}
	return LoadOptions{
		Environ:    func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		CleanFuncs: []string{"drop_bots", "normalise"},
	}
}

// corpusOptions adds the overrides that a file asks for in `# set:` comments.
func corpusOptions(text string) LoadOptions {
	opts := testOptions()
	for _, line := range strings.Split(text, "\n") {
		if set, ok := strings.CutPrefix(line, "# set: "); ok {
			opts.Set = append(opts.Set, set)
		}
	}
	return opts
}

func corpus(t testing.TB, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata/%s: %v", dir, err)
	}
	out := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[path] = string(text)
	}
	return out
}

// TestBadCorpus holds every bad file against the exact errors beside it.
func TestBadCorpus(t *testing.T) {
	seen := map[Code]bool{}
	for path, text := range corpus(t, "bad") {
		name := filepath.Base(path)
		exp, diags := Parse(name, []byte(text), corpusOptions(text))
		for _, d := range diags {
			seen[d.Code] = true
		}
		if exp != nil && diags.HasErrors() || exp == nil && !diags.HasErrors() {
			t.Errorf("%s: experiment %v beside errors %v", name, exp != nil, diags.HasErrors())
		}
		if len(diags) == 0 {
			t.Errorf("%s: nothing is wrong with it", name)
		}
		errPath := strings.TrimSuffix(path, ".yaml") + ".err"
		if *rewrite {
			if err := os.WriteFile(errPath, []byte(diags.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(errPath)
		if err != nil {
			t.Errorf("%s: %v; run with -rewrite and read what it writes", name, err)
			continue
		}
		if got := diags.String(); got != string(want) {
			t.Errorf("%s:\n--- got\n%s--- want\n%s", name, got, want)
		}
	}
	for _, c := range Codes {
		if !seen[c.Code] {
			t.Errorf("no bad file gives the code %s", c.Code)
		}
	}
}

func TestGoodCorpus(t *testing.T) {
	for path, text := range corpus(t, "good") {
		exp, diags := Parse(path, []byte(text), corpusOptions(text))
		if len(diags) > 0 || exp == nil {
			t.Errorf("%s is not good:\n%s", path, diags)
			continue
		}
		if len(exp.Hash) != 32 {
			t.Errorf("%s: hash %q", path, exp.Hash)
		}
	}
}

// TestExample: the example is good, without a warning.
func TestExample(t *testing.T) {
	exp, diags := Load("../../examples/feed-ctr/experiment.yaml", testOptions())
	if exp == nil || len(diags) > 0 {
		t.Fatalf("the example is not good:\n%s", diags)
	}
}
