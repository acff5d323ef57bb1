package parquet

import (
	"slices"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// schemaOf lays out the columns in their order:
//
//	string     BYTE_ARRAY (String)          timestamp  INT64 (Timestamp, ms, UTC)
//	int        INT64; `revision` is INT32   float      DOUBLE
//	bool       BOOLEAN                      list       LIST, three levels: list.element
//
// What is declared nullable is OPTIONAL, and so is every selected float, which is
// null where it is not finite; so are the floats in lists. All else is REQUIRED.
func schemaOf(c *instances.Columns) *parquet.Schema {
	group := parquet.Group{}
	for i, f := range c.Schema() {
		group[f.Name] = nodeOf(f, isSelected(c, i))
	}
	root := ordered{Group: group}
	for _, f := range c.Schema() {
		at := slices.IndexFunc(group.Fields(), func(g parquet.Field) bool { return g.Name() == f.Name })
		root.fields = append(root.fields, group.Fields()[at])
	}
	return parquet.NewSchema("instance", root)
}

// ordered is a group whose fields keep their order, where parquet.Group sorts
// them by name.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

// isSelected reports whether column i of the schema is one of the selected fields.
func isSelected(c *instances.Columns, i int) bool {
	first := 2 + 3*len(c.Labels())
	return i >= first && i < first+len(c.Selected())
}

func nodeOf(f mortise.Field, selected bool) parquet.Node {
	var node parquet.Node
	switch {
	case f.Type.Kind == mortise.List:
		elem := leafOf(f.Type.Elem)
		if f.Type.Elem == mortise.Float {
			elem = parquet.Optional(elem)
		}
		node = parquet.List(elem)
	case f.Name == "revision" && !selected:
		node = parquet.Leaf(parquet.Int32Type)
	default:
		node = leafOf(f.Type.Kind)
	}
	if f.Type.Nullable || selected && f.Type.Kind == mortise.Float {
		node = parquet.Optional(node)
	}
	return node
}

func leafOf(kind mortise.Kind) parquet.Node {
	switch kind {
	case mortise.String:
		return parquet.String()
	case mortise.Int:
		return parquet.Leaf(parquet.Int64Type)
	case mortise.Float:
		return parquet.Leaf(parquet.DoubleType)
	case mortise.Bool:
		return parquet.Leaf(parquet.BooleanType)
	default:
		return parquet.Timestamp(parquet.Millisecond)
	}
}
