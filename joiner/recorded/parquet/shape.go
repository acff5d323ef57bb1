package parquet

// shape is how a column's leaf makes up the column's values: single ones, or
// lists. A value of the column is made of leaf values at levels (format's
// Dremel encoding):
//
//	definition < null   the column is null
//	definition < item   an empty list
//	definition < leaf   a null, as the value or within the list
//	repetition > 0      a further element of the list
type shape struct {
	leaf *node
	list bool
	null byte
	item byte
}

// shapeOf returns a column's shape; false for what is nested otherwise.
func shapeOf(c *node) (s shape, ok bool) {
	if c.isLeaf() {
		if c.isRepeated() { // a list without a group around it
			return shape{leaf: c, list: true, item: c.def}, true
		}
		return shape{leaf: c}, true
	}
	if !c.isList() || c.isRepeated() || len(c.children) != 1 || !c.children[0].isRepeated() {
		return shape{}, false
	}
	s = shape{list: true, null: c.def}
	repeated := c.children[0]
	s.item = repeated.def
	switch {
	case repeated.isLeaf(): // two levels, as old writers have it
		s.leaf = repeated
	case len(repeated.children) == 1 && repeated.children[0].isLeaf() && !repeated.children[0].isRepeated():
		s.leaf = repeated.children[0]
	default:
		return shape{}, false
	}
	return s, true
}
