// Package provisioned lets tests ask for programs and data that a machine may
// lack. It belongs to no stage. `make test` installs them where it can (.ci/provision);
// where it can't, the suites that need them are left out and say so, except in
// .ci/run, which sets MORTISE_REQUIRE_ALL=1 so that nothing is left out unseen.
package provisioned

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
)

// TB is the part of testing.TB that this package uses.
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

// Data returns the folder of the named data set: below MORTISE_DATA, or where
// that is not set below shared/data beside the checkout. Without it the test is
// left out, or fails under MORTISE_REQUIRE_ALL=1.
func Data(t TB, name string) string {
	t.Helper()
	root := os.Getenv("MORTISE_DATA")
	if root == "" {
		root = filepath.Join(checkout(), "..", "shared", "data")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		Missing(t, name, err.Error()+": set MORTISE_DATA to the folder that holds it")
		return ""
	}
	return dir
}

//go:embed requirements.txt
var requirements []byte

// Python returns the interpreter of an environment that has the packages of
// requirements.txt, made by .ci/python. Without it the test is left out, or fails
// under MORTISE_REQUIRE_ALL=1.
func Python(t TB) string {
	t.Helper()
	hash := sha256.Sum256(requirements)
	path := filepath.Join(cache(), "mortise", "python-"+hex.EncodeToString(hash[:])[:12], "bin", "python")
	if _, err := os.Stat(path); err != nil {
		Missing(t, "Python packages", err.Error()+": install them with make provision")
		return ""
	}
	return path
}

// Cached returns the folder that .ci/provision installed a suite's programs into, by
// its name in the cache. Without it the test is left out, or fails under
// MORTISE_REQUIRE_ALL=1.
func Cached(t TB, name, suite string) string {
	t.Helper()
	path := filepath.Join(cache(), "mortise", name)
	if _, err := os.Stat(path); err != nil {
		Missing(t, suite, err.Error()+": install it with make provision")
		return ""
	}
	return path
}

// cache is where .ci/provision installs what is no system package.
func cache() string {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return dir
	}
	return filepath.Join(os.Getenv("HOME"), ".cache")
}

// checkout is the folder of go.mod, above the package whose test runs.
func checkout() string {
	for dir := "."; len(dir) < 1000; dir = filepath.Join("..", dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "."
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
