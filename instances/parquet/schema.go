package parquet

import (
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

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
// null where it is not finite, and every element of a selected list. All else is
// REQUIRED.
func schemaOf(c *instances.Columns) *parquet.Schema {
	group := parquet.Group{}
	for i, f := range c.Schema() {
		group[f.Name] = nodeOf(c, i)
	}
	sorted := group.Fields()
	root := ordered{Group: group}
	for _, f := range c.Schema() {
		at := slices.IndexFunc(sorted, func(g parquet.Field) bool { return g.Name() == f.Name })
		root.fields = append(root.fields, sorted[at])
	}
	return parquet.NewSchema("instance", root)
}

// path is where the values of a column lie in the schema.
func path(f mortise.Field) []string {
	if f.Type.Kind == mortise.List {
		return []string{f.Name, "list", "element"}
	}
	return []string{f.Name}
}

// ordered is a group whose fields keep their order, where parquet.Group sorts
// them by name.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

// nodeOf is one column. Numbers and text that repeat go through a dictionary,
// which is given up in a row group where it does not pay; times through their
// differences. What is different in every row is written as it is.
func nodeOf(c *instances.Columns, i int) parquet.Node {
	part, _ := c.Part(i)
	typ := c.Schema()[i].Type
	kind := typ.Kind
	if kind == mortise.List {
		kind = typ.Elem
	}
	node := parquet.Encoded(leafOf(kind), encodingOf(kind))
	switch part {
	case instances.PartID:
		node = parquet.Encoded(parquet.String(), &parquet.Plain)
	case instances.PartRevision:
		node = parquet.Encoded(parquet.Leaf(parquet.Int32Type), encodingOf(kind))
	case instances.PartSelected:
		if typ.Kind == mortise.List {
			node = parquet.List(parquet.Optional(node))
		}
	case instances.PartDegraded:
		node = parquet.List(node)
	}
	if c.IsNullable(i) {
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

func encodingOf(kind mortise.Kind) encoding.Encoding {
	switch kind {
	case mortise.Timestamp:
		return &parquet.DeltaBinaryPacked
	case mortise.Bool:
		return &parquet.Plain
	default:
		return &parquet.RLEDictionary
	}
}
