package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mortise-dev/mortise"

// pkg is one package as its source files say, all build tags together.
type pkg struct {
	path        string // below the module; "." for the root package
	name        string
	doc         string
	imports     []string // of its files; those of the module below it, as path is
	testImports []string // of its test files
	impure      []impurity
}

// impurity is a place that depends on the machine's clock or scheduler.
type impurity struct{ where, what string }

// loadTree parses every package of the module. Packages that do not compile
// are loaded too, so that this test says what it has to say regardless.
func loadTree(t *testing.T) []*pkg {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]*pkg{}
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(relative))
		if byPath[dir] == nil {
			byPath[dir] = &pkg{path: dir}
		}
		return byPath[dir].addFile(filepath.ToSlash(relative), source)
	})
	if err != nil {
		t.Fatal(err)
	}
	var tree []*pkg
	for _, p := range byPath {
		tree = append(tree, p)
	}
	slices.SortFunc(tree, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	return tree
}

func (p *pkg) addFile(file string, source []byte) error {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", file, err)
	}
	isTest := strings.HasSuffix(file, "_test.go")
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", file, spec.Path.Value, err)
		}
		if imported == module {
			imported = "."
		} else if below, ok := strings.CutPrefix(imported, module+"/"); ok {
			imported = "./" + below
		}
		if isTest {
			p.testImports = append(p.testImports, imported)
		} else {
			p.imports = append(p.imports, imported)
		}
	}
	if isTest {
		return nil
	}
	p.name = parsed.Name.Name
	if parsed.Doc != nil {
		p.doc += parsed.Doc.Text()
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if what := impureNode(n); what != "" {
			p.impure = append(p.impure, impurity{set.Position(n.Pos()).String(), what})
		}
		return true
	})
	return nil
}

// impureNode names what makes n depend on the machine's clock or scheduler.
func impureNode(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" {
			switch n.Sel.Name {
			case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
				return "time." + n.Sel.Name
			}
		}
	}
	return ""
}

// isStandard reports whether an import path is of the standard library.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// within reports whether a path lies in one of the patterns: a package's path,
// or a folder's followed by "/..." for everything in and below it.
func within(p string, patterns ...string) bool {
	for _, pattern := range patterns {
		folder, deep := strings.CutSuffix(pattern, "/...")
		if p == folder || deep && strings.HasPrefix(p, folder+"/") {
			return true
		}
	}
	return false
}
