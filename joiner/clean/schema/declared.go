package schema

import (
	"encoding/json"
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/wire"
)

// Declared makes a schema of what a source declares, for a topic that has none
// yet: every field can be null, so that fields can be added and taken away. name
// is the topic's.
func Declared(format, name string, declared mortise.Schema, from map[string][]string) (*mortise.WriterSchema, error) {
	root := &tree{}
	for _, f := range declared {
		path := from[f.Name]
		if len(path) == 0 {
			path = []string{f.Name}
		}
		if !root.add(path, f.Type) {
			return nil, fmt.Errorf("field %s lies where another one does: write the topic's schema yourself and register it", f.Name)
		}
	}
	name = strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, "t_"+name)
	if format == "avro" {
		text, err := json.Marshal(root.avro(name))
		return &mortise.WriterSchema{Type: "AVRO", Text: string(text)}, err
	}
	text := "// " + declaredMark + "\nsyntax = \"proto3\";\n\nimport \"google/protobuf/timestamp.proto\";\n\n" + root.proto(name, "")
	return &mortise.WriterSchema{Type: "PROTOBUF", Text: text}, nil
}

// declaredMark tells schemas that Declared made.
const declaredMark = "made of the fields that a Mortise experiment declares"

// IsDeclared reports whether Declared made the schema.
func IsDeclared(ws *mortise.WriterSchema) bool { return strings.Contains(ws.Text, declaredMark) }

// tree is fields within fields.
type tree struct {
	name   string
	typ    mortise.Type
	fields []*tree // of a record
}

func (t *tree) add(path []string, typ mortise.Type) bool {
	for _, f := range t.fields {
		if f.name == path[0] {
			return len(path) > 1 && f.fields != nil && f.add(path[1:], typ)
		}
	}
	f := &tree{name: path[0], typ: typ}
	t.fields = append(t.fields, f)
	return len(path) == 1 || f.add(path[1:], typ)
}

func (t *tree) avro(name string) any {
	fields := []any{}
	for _, f := range t.fields {
		var typ any
		switch {
		default:
			typ = avroType(f.typ.Kind)
		case f.fields != nil:
			typ = f.avro(name + "_" + f.name)
		case f.typ.Kind == mortise.List:
			typ = map[string]any{"type": "array", "items": avroType(f.typ.Elem)}
		}
		fields = append(fields, map[string]any{"name": f.name, "type": []any{"null", typ}, "default": nil})
	}
	return map[string]any{"type": "record", "name": name, "fields": fields, "doc": declaredMark}
}

func avroType(kind mortise.Kind) any {
	switch kind {
	case mortise.Int:
		return "long"
	case mortise.Float:
		return "double"
	case mortise.Bool:
		return "boolean"
	case mortise.Timestamp:
		return map[string]any{"type": "long", "logicalType": "timestamp-millis"}
	}
	return "string"
}

var protoTypes = map[mortise.Kind]string{mortise.String: "string", mortise.Int: "int64", mortise.Float: "double", mortise.Bool: "bool", mortise.Timestamp: "google.protobuf.Timestamp"}

// proto writes a message, with the messages of its fields within.
func (t *tree) proto(name, indent string) string {
	var b, inner strings.Builder
	fmt.Fprintf(&b, "%smessage %s {\n", indent, name)
	for _, f := range t.fields {
		label, typ := "optional", protoTypes[f.typ.Kind]
		switch {
		case f.fields != nil:
			typ = "T_" + f.name
			inner.WriteString(f.proto(typ, indent+"  "))
		case f.typ.Kind == mortise.List:
			label, typ = "repeated", protoTypes[f.typ.Elem]
		}
		fmt.Fprintf(&b, "%s  %s %s %s = %d [json_name = %q];\n", indent, label, typ, f.name, wire.NumberOf(f.name), f.name)
	}
	b.WriteString(inner.String())
	return b.String() + indent + "}\n"
}
