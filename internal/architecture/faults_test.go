package architecture

import (
	"slices"
	"strings"
	"testing"
)

// Each rule is shown a package that breaks it, so that none passes by accident.
func TestEachRuleCanFail(t *testing.T) {
	file := func(path, source string) *pkg {
		p := &pkg{path: path}
		if err := p.addFile(path+"/file.go", []byte(source)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	testFile := func(path, source string) *pkg {
		p := &pkg{path: path}
		if err := p.addFile(path+"/file_test.go", []byte(source)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	importing := func(imported string) string { return "package x\nimport _ \"" + imported + "\"\n" }
	for _, c := range []struct {
		name  string
		pkg   *pkg
		check func(*pkg) []string
		fault string // "" for none
	}{
		{"root imports a stage", file(".", importing(module+"/joiner")), checkDirection, "vocabulary"},
		{"sibling stage", file("joiner", importing(module+"/features")), checkDirection, "may not import features"},
		{"sibling stage in one folder", file("joiner", importing(module+"/joiner/clean")), checkDirection, "may not import joiner/clean"},
		{"leaf of a sibling", file("features", importing(module+"/joiner/disk")), checkDirection, "may not import joiner/disk"},
		{"parent imports leaf", file("joiner", importing(module+"/joiner/disk")), checkDirection, "leaves import their parent"},
		{"parent's test imports leaf", testFile("joiner", importing(module+"/joiner/disk")), checkDirection, ""},
		{"leaf imports parent", file("joiner/disk", importing(module+"/joiner")), checkDirection, ""},
		{"leaf imports leaf", file("joiner/disk", importing(module+"/joiner/segment")), checkDirection, ""},
		{"experiments wire", file("experiments", importing(module+"/instances")), checkDirection, ""},
		{"experiments import cmd", file("experiments", importing(module+"/cmd/mortise")), checkDirection, "neither the command line"},
		{"experiments import loadtest", file("experiments/kafka", importing(module+"/loadtest/traffic")), checkDirection, "may not import loadtest"},
		{"their tests may", testFile("experiments/kafka", importing(module+"/loadtest/traffic")), checkDirection, ""},
		{"internal imports a stage", file("internal/x", importing(module+"/joiner")), checkDirection, "stands below"},
		{"example reaches in", file("examples/x", importing(module+"/internal/x")), checkDirection, "not theirs"},
		{"cmd may all", file("cmd/mortise", importing(module+"/loadtest/traffic")), checkDirection, ""},
		{"a new folder", file("helpers", "package helpers"), checkDirection, "belongs to no part"},
		{"second owner", file("joiner", importing("github.com/cockroachdb/pebble/v2")), checkClients, "joiner.Store"},
		{"owner", file("joiner/disk", importing("github.com/cockroachdb/pebble/v2/vfs")), checkClients, ""},
		{"the narrower module decides", file("experiments/kafka", importing("github.com/twmb/franz-go/pkg/kfake")), checkClients, "embedded broker"},
		{"tests may", testFile("experiments/kafka", importing("github.com/twmb/franz-go/pkg/kfake")), checkClients, ""},
		{"a test's client in a program", file("joiner", importing("github.com/cockroachdb/datadriven")), checkClients, "only tests may"},
		{"unknown module", testFile("joiner", importing("example.com/new")), checkClients, "no owner"},
		{"clock", file("joiner", "package joiner\nimport \"time\"\nvar x = time.Now()"), checkPurity, "time.Now"},
		{"goroutine", file("joiner", "package joiner\nfunc f() { go f() }"), checkPurity, "go statement"},
		{"network", file("features", importing("net/http")), checkPurity, "net/http"},
		{"not a pure package", file("experiments", importing("net/http")), checkPurity, ""},
		{"no doc", file("features", "package features"), checkDoc, "stage 3 of 6"},
		{"wrong stage", file("features", "// Package features is stage 4 of 6: x.\npackage features"), checkDoc, "stage 3 of 6"},
		{"right stage", file("features", "// Package features is stage 3 of 6: x.\npackage features"), checkDoc, ""},
		{"another name", file("internal/x", "// Package y is z.\npackage x"), checkDoc, "Package x"},
	} {
		faults := c.check(c.pkg)
		if c.fault == "" && len(faults) > 0 {
			t.Errorf("%s: %v", c.name, faults)
		}
		if c.fault != "" && !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.fault) }) {
			t.Errorf("%s: %q, want a fault that mentions %q", c.name, faults, c.fault)
		}
	}
}
