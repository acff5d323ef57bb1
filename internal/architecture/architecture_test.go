package architecture

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// report fails the test once for each fault.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range loadTree(t) {
		report(t, checkDirection(p))
	}
}

func checkDirection(p *pkg) (faults []string) {
	d := directionOf(p.path)
	if d == nil {
		return []string{fmt.Sprintf("%s belongs to no part of the tree: move it, or name its part in directions", p.path)}
	}
	check := func(imports []string, may []string, isTest bool) {
		for _, imported := range imports {
			if !strings.HasPrefix(imported, ".") {
				continue
			}
			target := strings.TrimPrefix(imported, "./")
			own := within(target, d.part) && directionOf(target) == d
			switch {
			case !own && !slices.Contains(may, "...") && !within(target, may...):
				faults = append(faults, fmt.Sprintf("%s may not import %s: %s", p.path, target, d.reason))
			case own && !isTest && slices.Contains(stages[:5], p.path) && strings.HasPrefix(target, p.path+"/"):
				faults = append(faults, fmt.Sprintf("%s may not import its leaf %s: leaves import their parent, so that the stage knows interfaces only", p.path, target))
			}
		}
	}
	check(p.imports, d.may, false)
	check(p.testImports, slices.Concat(d.may, d.tests), true)
	return faults
}

func directionOf(path string) *direction {
	for i := range directions {
		if within(path, directions[i].part) {
			return &directions[i]
		}
	}
	return nil
}

func TestThirdPartyClientsHaveOneOwner(t *testing.T) {
	for _, p := range loadTree(t) {
		report(t, checkClients(p))
	}
}

func checkClients(p *pkg) (faults []string) {
	for i, imported := range slices.Concat(p.imports, p.testImports) {
		if isStandard(imported) || strings.HasPrefix(imported, ".") {
			continue
		}
		c := clientOf(imported)
		if c == nil {
			faults = append(faults, fmt.Sprintf("%s imports %s, which has no owner: name one in clients, and the reason for it in docs/dependencies.md", p.path, imported))
		} else if isTest := i >= len(p.imports); !isTest && !within(p.path, c.owners...) {
			faults = append(faults, fmt.Sprintf("%s may not import %s (only %s may): %s", p.path, imported, strings.Join(append(c.owners, "tests"), ", "), c.reason))
		}
	}
	return faults
}

func clientOf(imported string) *client {
	for i := range clients {
		if within(imported, clients[i].module+"/...") {
			return &clients[i]
		}
	}
	return nil
}

func TestPurePackagesStayPure(t *testing.T) {
	for _, p := range loadTree(t) {
		report(t, checkPurity(p))
	}
}

func checkPurity(p *pkg) (faults []string) {
	if !within(p.path, pure...) {
		return nil
	}
	for _, imported := range p.imports {
		if reason, banned := impureImports[imported]; banned && impureAllowed[p.path+" "+imported] == "" {
			faults = append(faults, fmt.Sprintf("%s is pure and may not import %s: %s", p.path, imported, reason))
		}
	}
	for _, i := range p.impure {
		if impureAllowed[p.path+" "+i.what] == "" {
			faults = append(faults, fmt.Sprintf("%s: %s in a pure package: clock and goroutines belong to the shell, experiments", i.where, i.what))
		}
	}
	return faults
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range loadTree(t) {
		report(t, checkDoc(p))
	}
}

func checkDoc(p *pkg) []string {
	if p.name == "" { // tests only
		return nil
	}
	opening := "Package " + p.name + " "
	if n := slices.Index(stages, p.path); n >= 0 {
		opening += fmt.Sprintf("is stage %d of 6", n+1)
	} else if p.name == "main" {
		opening = "Command "
		if parts := strings.Split(p.path, "/"); parts[0] == "examples" || parts[0] == "internal" {
			opening = "" // a program without a name of its own
		}
	}
	if p.doc == "" || !strings.HasPrefix(p.doc, opening) {
		first, _, _ := strings.Cut(p.doc, "\n")
		return []string{fmt.Sprintf("%s: its doc comment begins with %q: it must begin with %q and say what comes before and after", p.path, first, opening)}
	}
	return nil
}

// Every module that is imported has its line in docs/dependencies.md, and every
// line there is of a module that go.mod requires.
func TestDependenciesAreExplained(t *testing.T) {
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllSubmatch(doc, -1) {
		explained = append(explained, string(m[1]))
		if !regexp.MustCompile(`(?m)^(require)?\s*` + regexp.QuoteMeta(string(m[1])) + " v").Match(gomod) {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", m[1])
		}
	}
	if len(explained) == 0 {
		t.Fatal("docs/dependencies.md has no line of the form | `module` | …")
	}
	for _, p := range loadTree(t) {
		for _, imported := range slices.Concat(p.imports, p.testImports) {
			known := slices.ContainsFunc(explained, func(m string) bool { return within(imported, m+"/...") })
			if !known && !isStandard(imported) && !strings.HasPrefix(imported, ".") {
				t.Errorf("%s imports %s: say in docs/dependencies.md what it is for and why this one", p.path, imported)
			}
		}
	}
}
