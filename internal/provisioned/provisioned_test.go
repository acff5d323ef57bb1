package provisioned

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type recorder struct {
	testing.TB
	failed, left string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Fatalf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }
func (r *recorder) Skipf(format string, args ...any)  { r.left = fmt.Sprintf(format, args...) }

func TestTool(t *testing.T) {
	for _, c := range []struct {
		tool, require string
		left, failed  bool
	}{
		{"go", "1", false, false},
		{"no-such-program", "", true, false},
		{"no-such-program", "1", false, true},
	} {
		t.Setenv("MORTISE_REQUIRE_ALL", c.require)
		r := &recorder{TB: t}
		path := Tool(r, c.tool)
		if (r.left != "") != c.left || c.left && !strings.HasPrefix(r.left, "LEFT OUT: TestTool: ") {
			t.Errorf("%s, required %q: left out with %q", c.tool, c.require, r.left)
		}
		if c.failed != strings.Contains(r.failed, c.tool) || (path != "") == (c.left || c.failed) {
			t.Errorf("%s, required %q: path %q, failed with %q", c.tool, c.require, path, r.failed)
		}
	}
}

func TestPython(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, require := range []string{"", "1"} {
		t.Setenv("MORTISE_REQUIRE_ALL", require)
		r := &recorder{TB: t}
		if path := Python(r); path != "" || !strings.Contains(r.left+r.failed, "make provision") || (r.failed != "") != (require == "1") {
			t.Errorf("required %q: %q, left out with %q, failed with %q", require, path, r.left, r.failed)
		}
	}
	r := &recorder{TB: t}
	Python(r)
	path, _, _ := strings.Cut(strings.TrimPrefix(r.failed, "TestPython: Python packages: stat "), ": ")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o777); err != nil {
		t.Fatal(err)
	}
	if again := (&recorder{TB: t}); Python(again) != path || again.failed != "" {
		t.Errorf("%s is there and not found: %q", path, again.failed)
	}
}

func TestCached(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("MORTISE_REQUIRE_ALL", "")
	r := &recorder{TB: t}
	if path := Cached(r, "thing-1", "the thing"); path != "" || !strings.Contains(r.left, "make provision") {
		t.Errorf("%q, left out with %q", path, r.left)
	}
	dir := filepath.Join(cache(), "mortise", "thing-1")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if path := Cached(r, "thing-1", "the thing"); path != dir {
		t.Errorf("%s is there and not found: %q", dir, path)
	}
}

func TestData(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "set"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, require string
		left, failed  bool
	}{
		{"set", "1", false, false},
		{"other", "", true, false},
		{"other", "1", false, true},
	} {
		t.Setenv("MORTISE_REQUIRE_ALL", c.require)
		t.Setenv("MORTISE_DATA", root)
		r := &recorder{TB: t}
		dir := Data(r, c.name)
		if (r.left != "") != c.left || (r.failed != "") != c.failed || (dir == filepath.Join(root, c.name)) == (c.left || c.failed) {
			t.Errorf("%s, required %q: folder %q, left out with %q, failed with %q", c.name, c.require, dir, r.left, r.failed)
		}
		if !strings.Contains(r.left+r.failed, "MORTISE_DATA") && dir == "" {
			t.Errorf("%s: %q does not say what to set", c.name, r.left+r.failed)
		}
	}
	if _, err := os.Stat(filepath.Join(checkout(), "go.mod")); err != nil {
		t.Errorf("the checkout is not found: %v", err)
	}
}
