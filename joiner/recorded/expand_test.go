package recorded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocalPatterns(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"in/a.jsonl", "in/b.csv", "in/dt=1/x.jsonl", "in/dt=2/h=1/x.jsonl", "in/dt=2/_SUCCESS", "in/_tmp/y.jsonl", "in/dt=2/.x.jsonl.crc",
		"mixed/a.jsonl", "mixed/notes.txt", "bare/_x", "[odd]/z*.jsonl"} {
		writeIn(t, dir, name, []byte("x\n"))
	}
	if err := os.Symlink(filepath.Join(dir, "in", "a.jsonl"), filepath.Join(dir, "in", "dt=1", "link.jsonl")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for pattern, want := range map[string]string{
		"in/*.jsonl":                    "in/a.jsonl",
		"in/**/*.jsonl":                 "in/a.jsonl in/dt=1/link.jsonl in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"**/x.jsonl":                    "in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"./in/dt=2/**":                  "in/dt=2/h=1/x.jsonl",
		dir + "/in/**/h=*/*":            "/in/dt=2/h=1/x.jsonl",
		"file://" + dir + "/in/*.jsonl": "/in/a.jsonl",
		"in":                            "in/a.jsonl in/b.csv in/dt=1/link.jsonl in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"in/":                           "in/a.jsonl in/b.csv in/dt=1/link.jsonl in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"in/dt=*":                       "in/dt=1/link.jsonl in/dt=1/x.jsonl in/dt=2/h=1/x.jsonl",
		"in/_tmp/*":                     "in/_tmp/y.jsonl",
		"in/_*/*":                       "in/_tmp/y.jsonl",
		"[odd]/z*.jsonl":                "[odd]/z*.jsonl",
		"gone/**/*.jsonl":               "!no file matches \"gone/**/*.jsonl\"",
		"in/**/*.parquet":               "!no file matches",
		"in/**/[a":                      "!malformed",
		"mixed":                         "!mixed is a directory, and holds mixed/notes.txt, which is no data file by its name: name its files, for example mixed/**/*.jsonl",
		"bare":                          "!bare is a directory without data files",
		"file://host/in/a.jsonl":        "!a file URL is file:///some/path",
	} {
		paths, err := Open(t.Context(), Options{}, pattern)
		if problem, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: got %v, want %q", pattern, err, problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var got []string
		for _, path := range paths.Paths() {
			got = append(got, strings.TrimPrefix(path, dir))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %s", pattern, got, want)
		}
	}
}
