package docs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// schemaKey is one key of the experiment file, its path written with NAME for
// names of the user's own.
type schemaKey struct {
	path     string
	standing string // "required", its default, or nothing
}

// schema is the part of JSON Schema that lists keys.
type schema struct {
	Ref                  string            `json:"$ref"`
	AllOf                []schema          `json:"allOf"`
	AnyOf                []schema          `json:"anyOf"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Required             []string          `json:"required"`
	Default              any               `json:"default"`
	Definitions          map[string]schema `json:"definitions"`
}

func schemaKeys(t *testing.T) []schemaKey {
	t.Helper()
	var root schema
	if err := json.Unmarshal(spec.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	w := &walker{definitions: root.Definitions}
	w.block(&root, "", nil)
	if len(w.keys) < 50 {
		t.Fatalf("only %d keys found in the schema", len(w.keys))
	}
	return w.keys
}

type walker struct {
	definitions map[string]schema
	keys        []schemaKey
}

// block lists the keys of a block; within are the definitions it lies in, which
// are not entered again.
func (w *walker) block(b *schema, path string, within []string) {
	for name, s := range b.Properties {
		k := schemaKey{path: path + name}
		switch {
		case slices.Contains(b.Required, name):
			k.standing = "required"
		case s.Default != nil:
			k.standing = written(s.Default)
		}
		w.keys = append(w.keys, k)
		w.value(&s, k.path, within)
	}
}

func (w *walker) value(s *schema, path string, within []string) {
	for _, some := range [][]schema{s.AllOf, s.AnyOf} {
		for i := range some {
			w.value(&some[i], path, within)
		}
	}
	if name := strings.TrimPrefix(s.Ref, "#/definitions/"); name != "" && !slices.Contains(within, name) {
		def := w.definitions[name]
		w.block(&def, path+".", append(slices.Clone(within), name))
	}
	var elem schema
	if json.Unmarshal(s.AdditionalProperties, &elem) == nil { // false has no keys
		w.value(&elem, path+".NAME", within)
	}
}

// written spells a default as the file would.
func written(v any) string {
	if list, ok := v.([]any); ok {
		var parts []string
		for _, item := range list {
			parts = append(parts, fmt.Sprint(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}
