// Package docs holds the pages to what they describe: the experiment file, the
// command, the metrics, and the files that they link to.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// pages reads every Markdown file of the repository, by its path below the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "mortise-data" || name == "bin") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found[strings.TrimPrefix(filepath.ToSlash(path), "../")] = string(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 5 {
		t.Fatalf("only %d pages found", len(found))
	}
	return found
}

// blocks returns the fenced blocks of a page in one language.
func blocks(page, language string) (found []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(page, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestKeysAreDocumented compares the tables of experiment-file.md with the schema, both ways.
func TestKeysAreDocumented(t *testing.T) {
	page := pages(t)["docs/experiment-file.md"]
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .*? \\| (.*?) \\| .* \\|$").FindAllStringSubmatch(page, -1) {
		if _, twice := documented[m[1]]; twice {
			t.Errorf("%s is documented twice", m[1])
		}
		documented[m[1]] = strings.Trim(m[2], "`")
	}
	keys := schemaKeys(t)
	for _, k := range keys {
		got, ok := documented[k.path]
		if !ok {
			t.Errorf("docs/experiment-file.md says nothing of %s", k.path)
		} else if got != k.standing {
			t.Errorf("docs/experiment-file.md says that %s is %q, the schema %q", k.path, got, k.standing)
		}
		delete(documented, k.path)
	}
	for path := range documented {
		t.Errorf("docs/experiment-file.md documents %s, which the schema does not have", path)
	}
}

// TestExperimentsOfThePagesLint loads every block that is a whole experiment.
func TestExperimentsOfThePagesLint(t *testing.T) {
	count := 0
	for name, page := range pages(t) {
		for i, text := range blocks(page, "yaml") {
			if !regexp.MustCompile(`(?m)^experiment:`).MatchString(text) {
				continue
			}
			count++
			if _, found := spec.Parse(fmt.Sprintf("%s, block %d", name, i+1), []byte(text), spec.LoadOptions{NoEnvironment: true}); len(found) > 0 {
				t.Error(found.String())
			}
		}
	}
	if count < 3 {
		t.Errorf("only %d experiments found", count)
	}
}

// TestLinksResolve follows every relative link of every page, to the heading.
func TestLinksResolve(t *testing.T) {
	all := pages(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	block := regexp.MustCompile("(?ms)^```.*?\n```")
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(block.ReplaceAllString(page, ""), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join("..", path)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			} else if heading != "" && !slices.Contains(headings(all[path]), heading) {
				t.Errorf("%s links to %s: %s has no such heading; it has %s", name, m[1], path, strings.Join(headings(all[path]), ", "))
			}
		}
	}
}

// headings returns the anchors that GitHub gives a page's headings.
func headings(page string) (anchors []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(text, " ", "-"))
	}
	return anchors
}

// TestTestsAreThere looks for every test that a page names.
func TestTestsAreThere(t *testing.T) {
	there := testFunctions(t)
	named := regexp.MustCompile("`((?:Test|Benchmark)[A-Z]\\w*)(…?)`")
	count := 0
	for page, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			count++
			found := slices.ContainsFunc(there, func(name string) bool { return name == m[1] || m[2] != "" && strings.HasPrefix(name, m[1]) })
			if !found {
				t.Errorf("%s names %s, which no package has", page, m[1])
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d tests are named", count)
	}
}

// testFunctions lists the tests and benchmarks of the whole repository.
func testFunctions(t *testing.T) (names []string) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
