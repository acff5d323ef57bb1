package avro

import (
	"encoding/json"
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// namespace is that of the records' names.
const namespace = "mortise"

type schemaJSON struct {
	Type      string      `json:"type"`
	Name      string      `json:"name"`
	Namespace string      `json:"namespace"`
	Fields    []fieldJSON `json:"fields"`
}

type fieldJSON struct {
	Name    string           `json:"name"`
	Type    any              `json:"type"`
	Default *json.RawMessage `json:"default,omitempty"`
	Column  string           `json:"column,omitempty"` // where the name is another
}

// Schema returns the schema of the columns as JSON; the record is called after
// the experiment. The error names two columns whose names Avro cannot tell apart.
func Schema(c *instances.Columns, experiment string) (string, error) {
	s := schemaJSON{Type: "record", Name: Name(experiment), Namespace: namespace}
	null := json.RawMessage("null")
	columns := map[string]string{}
	for i, col := range c.Schema() {
		f := fieldJSON{Name: Name(col.Name), Type: typeOf(c, i)}
		if other, taken := columns[f.Name]; taken {
			return "", fmt.Errorf("the columns %s and %s would both be called %s in Avro: rename one of them with `derive`", other, col.Name, f.Name)
		}
		if columns[f.Name] = col.Name; f.Name != col.Name {
			f.Column = col.Name
		}
		if c.IsNullable(i) {
			f.Type, f.Default = []any{"null", f.Type}, &null
		}
		s.Fields = append(s.Fields, f)
	}
	text, err := json.Marshal(&s)
	return string(text), err
}

// Name is a name as Avro allows it: letters, digits and _, not starting with a digit.
func Name(name string) string {
	valid := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if valid == "" || valid[0] >= '0' && valid[0] <= '9' {
		return "_" + valid
	}
	return valid
}

func typeOf(c *instances.Columns, i int) any {
	typ := c.Schema()[i].Type
	part, _ := c.Part(i)
	switch {
	case part == instances.PartRevision:
		return "int"
	case typ.Kind != mortise.List:
		return scalar(typ.Kind)
	case typ.Elem == mortise.Float:
		return map[string]any{"type": "array", "items": []string{"null", "double"}}
	}
	return map[string]any{"type": "array", "items": scalar(typ.Elem)}
}

func scalar(kind mortise.Kind) any {
	switch kind {
	case mortise.Int:
		return "long"
	case mortise.Float:
		return "double"
	case mortise.Bool:
		return "boolean"
	case mortise.Timestamp:
		return map[string]string{"type": "long", "logicalType": "timestamp-millis"}
	}
	return "string"
}
