package instances

import (
	"bytes"
	"encoding/json"

	mortise "github.com/mortise-dev/mortise"
)

// JSONSchema returns the JSON Schema (draft-07) of the rows that JSONEncoder
// writes, with its properties in column order.
func JSONSchema(c *Columns, title string) ([]byte, error) {
	var names, properties bytes.Buffer
	for i, f := range c.schema {
		if i > 0 {
			names.WriteByte(',')
			properties.WriteByte(',')
		}
		name := appendJSONString(nil, f.Name)
		names.Write(name)
		typ, err := json.Marshal(jsonType(c, i))
		if err != nil {
			return nil, err
		}
		properties.Write(append(append(name, ':'), typ...))
	}
	text := `{"$schema":"http://json-schema.org/draft-07/schema#","title":` + string(appendJSONString(nil, title)) +
		`,"type":"object","properties":{` + properties.String() + `},"required":[` + names.String() + `],"additionalProperties":false}`
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

type jsonSchemaType struct {
	Type        any             `json:"type"`
	Items       *jsonSchemaType `json:"items,omitempty"`
	Description string          `json:"description,omitempty"`
}

func jsonType(c *Columns, i int) *jsonSchemaType {
	typ := c.schema[i].Type
	t := jsonScalar(typ.Kind)
	if typ.Kind == mortise.List {
		t = &jsonSchemaType{Type: "array", Items: jsonScalar(typ.Elem)}
		if typ.Elem == mortise.Float {
			t.Items.Type = []any{t.Items.Type, "null"}
		}
	}
	if c.IsNullable(i) {
		t.Type = []any{t.Type, "null"}
	}
	return t
}

func jsonScalar(kind mortise.Kind) *jsonSchemaType {
	switch kind {
	case mortise.Int:
		return &jsonSchemaType{Type: "integer"}
	case mortise.Timestamp:
		return &jsonSchemaType{Type: "integer", Description: "ms since 1970-01-01 UTC"}
	case mortise.Float:
		return &jsonSchemaType{Type: "number"}
	case mortise.Bool:
		return &jsonSchemaType{Type: "boolean"}
	}
	return &jsonSchemaType{Type: "string"}
}
