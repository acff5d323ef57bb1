package instances

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The rows of the golden file fit the schema of their columns, and rows that are
// changed do not.
func TestJSONSchema(t *testing.T) {
	c, rows := goldenRows(t)
	text, err := JSONSchema(c, "feed-ctr")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("rows.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("rows.json")
	if err != nil {
		t.Fatal(err)
	}
	e := NewJSONEncoder(c)
	for i := range rows {
		row, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Append(nil, &rows[i])))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(row); err != nil {
			t.Errorf("row %d: %v", i, err)
		}
		for _, change := range []func(map[string]any){
			func(m map[string]any) { delete(m, "weight") },
			func(m map[string]any) { m["more"] = 1 },
			func(m map[string]any) { m["event_time"] = nil },
			func(m map[string]any) { m["position"] = "2" },
			func(m map[string]any) { m["seg_last_items"] = []any{json.Number("1")} },
		} {
			other, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Append(nil, &rows[i])))
			if err != nil {
				t.Fatal(err)
			}
			change(other.(map[string]any))
			if schema.Validate(other) == nil {
				t.Errorf("row %d fits after a change: %v", i, other)
			}
		}
	}
}
