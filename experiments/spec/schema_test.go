package spec

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// walkBlocks visits every key of the table once.
func walkBlocks(b *block, seen map[*block]bool, visit func(*block, *key)) {
	if seen[b] {
		return
	}
	seen[b] = true
	for i := range b.keys {
		visit(b, &b.keys[i])
		walkShape(b.keys[i].shape, seen, visit)
	}
}

func walkShape(s *shape, seen map[*block]bool, visit func(*block, *key)) {
	if s == nil {
		return
	}
	if s.block != nil {
		walkBlocks(s.block, seen, visit)
	}
	walkShape(s.elem, seen, visit)
	for _, alt := range s.alts {
		walkShape(alt, seen, visit)
	}
}

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mortise.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("mortise.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate holds a YAML text against the schema, the way an editor does.
func validate(t testing.TB, schema *jsonschema.Schema, text string) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &value); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

// TestSchemaTakesGoodFiles: what the loader takes, an editor does not mark.
func TestSchemaTakesGoodFiles(t *testing.T) {
	schema := compiledSchema(t)
	files := corpus(t, "good")
	for path, text := range files {
		if err := validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSchemaRefusesBadShapes: what is wrong in shape alone, an editor marks too.
func TestSchemaRefusesBadShapes(t *testing.T) {
	schema := compiledSchema(t)
	bad := corpus(t, "bad")
	for _, name := range []string{"unknown-keys-everywhere", "missing-in-blocks", "missing-everything", "wrong-types", "null-values", "names", "version", "enums", "durations", "field-types", "select-not-list", "number-as-text"} {
		text, ok := bad["testdata/bad/"+name+".yaml"]
		if !ok {
			t.Fatalf("no file %s", name)
		}
		if err := validate(t, schema, text); err == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

// TestEveryKeyIsDocumented: each has a sentence, in the table and in the schema.
func TestEveryKeyIsDocumented(t *testing.T) {
	walkBlocks(experimentBlock, map[*block]bool{}, func(b *block, k *key) {
		if len(k.doc) < 8 || !strings.HasSuffix(k.doc, ".") || k.doc[0] < 'A' || k.doc[0] > 'z' {
			t.Errorf("%s.%s: doc %q is no sentence", b.name, k.name, k.doc)
		}
		if b.doc == "" {
			t.Errorf("%s has no doc", b.name)
		}
	})
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		object, _ := value.(map[string]any)
		properties, _ := object["properties"].(map[string]any)
		for name, p := range properties {
			if doc, _ := p.(map[string]any)["description"].(string); doc == "" {
				t.Errorf("%s.%s has no description", path, name)
			}
		}
		for name, v := range object {
			walk(path+"."+name, v)
		}
	}
	walk("", root)
}

// TestEveryKeyIsRead: what the table knows, the builders ask for, and the other
// way round.
func TestEveryKeyIsRead(t *testing.T) {
	asked := map[*block]map[string]bool{}
	onGet = func(b *block, name string) {
		if b.find(name) == nil {
			t.Errorf("the loader asks %s for `%s`, which the table does not have", b.name, name)
		}
		if asked[b] == nil {
			asked[b] = map[string]bool{}
		}
		asked[b][name] = true
	}
	defer func() { onGet = nil }()
	for _, dir := range []string{"good", "bad"} {
		for path, text := range corpus(t, dir) {
			Parse(path, []byte(text), corpusOptions(text))
		}
	}
	walkBlocks(experimentBlock, map[*block]bool{}, func(b *block, k *key) {
		if !asked[b][k.name] {
			t.Errorf("the table has `%s` in %s, which the loader never asks for", k.name, b.name)
		}
	})
}

// TestDefaultsAreTrue: a default that the table names is what the loader does:
// writing it out changes nothing.
func TestDefaultsAreTrue(t *testing.T) {
	base := mustParse(t, minimal, testOptions())
	for _, set := range []struct {
		path  string
		block *block
	}{
		{"", experimentBlock}, {"sources.imps.", sourceBlock}, {"sources.imps.event_time.", eventTimeBlock}, {"join.", joinBlock},
		{"join.labels.click.", labelBlock}, {"instance.", instanceBlock}, {"instance.sample.", sampleBlock}, {"output.", outputBlock},
		{"output.topic.", outputTopicBlock}, {"kafka.", kafkaBlock}, {"kafka.tls.", tlsBlock},
	} {
		for _, k := range set.block.keys {
			if k.def == "" || set.path == "join.labels.click." && k.name == "within" {
				continue
			}
			opts := testOptions()
			opts.Set = []string{set.path + k.name + "=" + k.def}
			got := mustParse(t, minimal, opts)
			if got.Hash != base.Hash || got.Kafka.FetchMaxBytes != base.Kafka.FetchMaxBytes || got.Kafka.StartOffset != base.Kafka.StartOffset || got.Kafka.TLS != base.Kafka.TLS {
				t.Errorf("%s%s: %s is not the default", set.path, k.name, k.def)
			}
		}
	}
}
