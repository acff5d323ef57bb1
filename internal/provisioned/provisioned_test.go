package provisioned

import (
	"fmt"
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
