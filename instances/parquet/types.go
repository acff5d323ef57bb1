package parquet

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mortise-dev/mortise/instances"
)

// Types says of each column how it is stored, in the order of the columns: the
// physical type, the logical one in brackets, and whether it may be null, as
// "BYTE_ARRAY (STRING), optional". Whole numbers have no logical type that adds
// anything.
func Types(c *instances.Columns) []string {
	var types []string
	for _, f := range schemaOf(c).Fields() {
		types = append(types, typeOf(f))
	}
	return types
}

func typeOf(n parquet.Node) string {
	var text string
	if n.Leaf() {
		text = n.Type().Kind().String()
		switch l := n.Type().LogicalType(); {
		case l == nil:
		case n.Type().Kind() == parquet.ByteArray:
			text += " (STRING)"
		default:
			if _, ok := l.Value.(*format.TimestampType); ok {
				text += " (TIMESTAMP, ms, UTC)"
			}
		}
	} else {
		element := n
		for !element.Leaf() {
			element = element.Fields()[0]
		}
		text = "LIST of "
		if element.Optional() {
			text += "optional "
		}
		text += typeOf(parquet.Required(element))
	}
	if n.Optional() {
		text += ", optional"
	}
	return text
}
