package dimensions_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// checked parses an experiment with two dimensions of a file, of which one is one of
// two clusters.
func checked(t *testing.T, path string) *spec.Experiment {
	t.Helper()
	text := strings.NewReplacer("EXTRA", "", " SELECT", "", "NAME", "checked", "DIM", "goods", "WHERE", "", "ASOF", "arrival", "redis: {addrs: ['h:1'], prefix: items}", "file: {path: '"+path+"'}",
		"cache: {ttl: 1h}}", fmt.Sprintf("cache: {ttl: 1h}}\n  price: {key: pos, store: {ab: {a: {file: {path: '%s.prices.csv'}}, b: {redis: {addrs: ['h:1']}}}}, fields: {price: float}}", path),
		"[item, goods.category]", "[item, goods.category, price.price]").Replace(many)
	e, diags := spec.Parse("checked.yaml", []byte(text), spec.LoadOptions{})
	if e == nil {
		t.Fatal(diags)
	}
	return e
}

func TestCheckFiles(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ name, items, prices, want string }{
		{"as declared", "item,category\ni1,c1\ni2,c2\n", "pos,price\n1,2.5\n", ""},
		{"a column is not there", "item,categroy\ni1,c1\n", "", "items.csv:1: it has no column category, which is declared as a field of the dimension goods; did you mean categroy?"},
		{"a value of another type", "", "pos,price\n1,2.5\n2,cheap\n", `items.csv.prices.csv:3: column price (2): "cheap" is no float`},
		{"a key of another type", "", "pos,price\nfirst,2.5\n", `items.csv.prices.csv:2: column pos (1): "first" is no int`},
		{"a key twice", "item,category\ni1,c1\ni2,c2\ni1,c3\n", "", `items.csv:4: the key "i1" is on line 2 already`},
		{"a null key", "item,category\n,c1\n", "", "items.csv:2: column item: a part of the key is null"},
		{"no rows", "item,category\n", "", "items.csv: it has no rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "items.csv")
			for name, text := range map[string]string{path: c.items, path + ".prices.csv": c.prices} {
				if text == "" {
					continue // which is not looked for
				}
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			found := dimensions.CheckFiles(ctx, checked(t, path))
			if c.want == "" {
				if len(found) > 0 {
					t.Errorf("found %v", found)
				}
				return
			}
			line := 19
			if c.items == "" {
				line = 20
			}
			if len(found) != 1 || !strings.Contains(found[0].Message, c.want) || found[0].Line != line || found[0].Path != "checked.yaml" || found[0].Code != spec.BadDimension {
				t.Errorf("found %+v, want %s on line %d", found, c.want, line)
			}
		})
	}
}

// TestCheckFilesEnds: a long file is not read to its end.
func TestCheckFilesEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "items.jsonl")
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `{"item":"i%d","category":"c"}`+"\n", i)
	}
	for _, last := range []string{"", `{"item":"i0","category":"c"}` + "\n"} { // a key twice, which a run finds
		if err := os.WriteFile(path, []byte(text.String()+last), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := dimensions.CheckFiles(context.Background(), checked(t, path)); len(found) > 0 {
			t.Errorf("found %v", found)
		}
	}
	if err := os.WriteFile(path, []byte(text.String()[:1000]+`{"item":"i0"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := dimensions.CheckFiles(context.Background(), checked(t, path)); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}
