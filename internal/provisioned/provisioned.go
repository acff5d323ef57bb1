// Package provisioned lets tests ask for programs that a machine may lack. It
// belongs to no stage. `make test` installs them where it can (.ci/provision);
// where it can't, the suites that need them are left out and say so, except in
// .ci/run, which sets MORTISE_REQUIRE_ALL=1 so that nothing is left out unseen.
package provisioned

import (
	"os"
	"os/exec"
)

// TB is the part of testing.TB that Tool uses.
type TB interface {
	Helper()
	Name() string
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Tool returns the path of the named program. Without it the test is left out,
// or fails under MORTISE_REQUIRE_ALL=1.
func Tool(t TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	Missing(t, name, err.Error()+": install it with make provision")
	return ""
}

// Missing leaves the test out for want of something that the suite needs, or
// fails it under MORTISE_REQUIRE_ALL=1. why ends in what to do.
func Missing(t TB, suite, why string) {
	t.Helper()
	if os.Getenv("MORTISE_REQUIRE_ALL") == "1" {
		t.Fatalf("%s: %s: %s", t.Name(), suite, why)
		return
	}
	t.Skipf("LEFT OUT: %s: %s: %s", t.Name(), suite, why)
}
