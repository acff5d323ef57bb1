package parquet

import (
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// node is a column of the schema, or a group of them.
type node struct {
	*format.SchemaElement
	children []*node
	leaf     int  // index among the leaves; -1 for a group
	def      byte // levels at which it is there, and repeats
	rep      byte
}

// tree builds the schema's tree from its depth-first list, which the library
// has found to be consistent.
func tree(schema []format.SchemaElement) *node {
	at, leaf := 0, 0
	var build func(def, rep byte) *node
	build = func(def, rep byte) *node {
		e := &schema[at]
		if at++; at > 1 {
			switch e.RepetitionType.V {
			case format.Optional:
				def++
			case format.Repeated:
				def, rep = def+1, rep+1
			}
		}
		n := &node{SchemaElement: e, leaf: -1, def: def, rep: rep}
		if e.Type.Valid {
			n.leaf = leaf
			leaf++
			return n
		}
		for range e.NumChildren.V {
			n.children = append(n.children, build(def, rep))
		}
		return n
	}
	return build(0, 0)
}

func (n *node) isLeaf() bool     { return n.leaf >= 0 }
func (n *node) isRepeated() bool { return n.RepetitionType.V == format.Repeated }

func (n *node) isConverted(t deprecated.ConvertedType) bool {
	return n.LogicalType.Value == nil && n.ConvertedType.Valid && n.ConvertedType.V == t
}

// isList reports whether a group is marked as a list.
func (n *node) isList() bool {
	_, list := n.LogicalType.Value.(*format.ListType)
	return list || n.isConverted(deprecated.List)
}

// isMap reports whether a group is marked as a map.
func (n *node) isMap() bool {
	_, isMap := n.LogicalType.Value.(*format.MapType)
	return isMap || n.isConverted(deprecated.Map) || n.isConverted(deprecated.MapKeyValue)
}

// widthBytes is the length of a leaf's values that are bytes of one length; 0 for others.
func (n *node) widthBytes() int {
	if n.Type.V == format.Int96 {
		return 12
	}
	return int(n.TypeLength.V)
}
