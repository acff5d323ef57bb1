// Package protobuf writes and reads instances as Protobuf messages. It is a leaf
// of stage 5, instances; the topic that an experiment writes to comes after it.
//
// # The schema
//
// A column is a field of its name:
//
//	string → string    int → int64      float → double    bool → bool
//	timestamp → int64, ms UTC           revision → int32
//	[t]    → repeated t; in a [float], what is not finite is NaN
//	t?     → optional t; [t]? → a message with the repeated field `values`
//
// A selected float is optional whatever its declaration says: a number that is
// not finite is not set.
//
// # Field numbers
//
// A field's number depends on its name alone: adding, removing and reordering
// columns moves no other, in every registry and on every machine. The columns
// that every instance has are 1 to 7. The others are
//
//	2¹⁸ + FNV-1a-64(name) mod (2²⁵ − 2¹⁸)
//
// all of which take four bytes as a tag; two names of one number, of a hundred
// one time in 6,700, are an error that asks for another name. Numbers counted in
// column order would be shorter by three bytes, and change their meaning when a
// column is added before them. Numbers remembered by a registry would make
// bytes depend on its history.
package protobuf

import (
	"fmt"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/wire"
)

// MessageIndexes says that a value is of the schema's first message, as it stands
// behind a schema's id.
var MessageIndexes = []byte{0}

// number is a column's field number.
func number(part instances.Part, name string) int32 {
	switch part {
	case instances.PartID:
		return 1
	case instances.PartTime:
		return 2
	case instances.PartWeight, instances.PartRevision, instances.PartFinal, instances.PartLate, instances.PartDegraded:
		return 3 + int32(part-instances.PartWeight)
	}
	return wire.NumberOf(name)
}

// Schema returns the columns' .proto text; its package is called after the
// experiment. The error names two columns that it cannot tell apart.
func Schema(c *instances.Columns, experiment string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "syntax = \"proto3\";\n\npackage mortise.%s;\n\nmessage Instance {\n", Name(experiment))
	lists := map[mortise.Kind]bool{}
	names, numbers := map[string]string{}, map[int32]string{}
	for i, f := range c.Schema() {
		part, _ := c.Part(i)
		name, n := Name(f.Name), number(part, f.Name)
		if other, taken := names[name]; taken {
			return "", fmt.Errorf("the columns %s and %s would both be called %s in Protobuf: rename one of them with `derive`", other, f.Name, name)
		}
		if other, taken := numbers[n]; taken {
			return "", fmt.Errorf("the columns %s and %s would both have the field number %d in Protobuf: rename one of them with `derive`", other, f.Name, n)
		}
		names[name], numbers[n] = f.Name, f.Name
		note := ""
		if f.Type.Kind == mortise.Timestamp || f.Type.Elem == mortise.Timestamp {
			note = "  // ms since 1970-01-01 UTC"
		}
		fmt.Fprintf(&b, "  %s %s = %d [json_name = %q];%s\n", typeOf(c, i, lists), name, n, f.Name, note)
	}
	b.WriteString("}\n")
	for kind := mortise.String; kind <= mortise.Timestamp; kind++ {
		if lists[kind] {
			fmt.Fprintf(&b, "\nmessage %s {\n  repeated %s values = 1;\n}\n", listName(kind), scalar(kind))
		}
	}
	return b.String(), nil
}

// typeOf writes a column's type, and notes which messages it needs.
func typeOf(c *instances.Columns, i int, lists map[mortise.Kind]bool) string {
	typ := c.Schema()[i].Type
	part, _ := c.Part(i)
	switch {
	case part == instances.PartRevision:
		return "int32"
	case typ.Kind == mortise.List && typ.Nullable:
		lists[typ.Elem] = true
		return listName(typ.Elem)
	case typ.Kind == mortise.List:
		return "repeated " + scalar(typ.Elem)
	case c.IsNullable(i):
		return "optional " + scalar(typ.Kind)
	}
	return scalar(typ.Kind)
}

func listName(elem mortise.Kind) string {
	name := elem.String()
	return strings.ToUpper(name[:1]) + name[1:] + "List"
}

func scalar(kind mortise.Kind) string {
	switch kind {
	case mortise.Int, mortise.Timestamp:
		return "int64"
	case mortise.Float:
		return "double"
	case mortise.Bool:
		return "bool"
	}
	return "string"
}

// Name is a name as Protobuf allows it: letters, digits and _, not starting with a digit.
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

// column is how a column is written.
type column struct {
	part       instances.Part
	at         int
	kind, elem mortise.Kind
	optional   bool
	number     int32
}

// columnsOf are the columns in the order of their numbers, as messages have them.
func columnsOf(c *instances.Columns) []column {
	var all []column
	for i, f := range c.Schema() {
		part, at := c.Part(i)
		all = append(all, column{part, at, f.Type.Kind, f.Type.Elem, c.IsNullable(i), number(part, f.Name)})
	}
	slices.SortStableFunc(all, func(a, b column) int { return int(a.number - b.number) })
	return all
}
