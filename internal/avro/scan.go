package avro

import (
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// Scanner reads wanted fields of records that were written with one schema.
type Scanner struct {
	wants []fields.Want
	nodes []*Node // of wants; nil for one that the schema does not have
	root  []step
	conv  converter
	data  []byte
	fails *step // where the last Scan failed
}

var _ fields.Scanner = (*Scanner)(nil)

// step is one field of a record, in the order of the binary format.
type step struct {
	name   string
	node   *Node
	wants  []int  // that are read from it
	inner  []step // of a record that wants lie in; up to the last of them
	branch int    // of the record in a union; -1 where it stands alone
	below  []int  // wants that lie in it
	wanted bool   // it, or one behind it in its record, is wanted
}

// Scanner makes a scanner of the schema.
func (s *Schema) Scanner(wants []fields.Want) *Scanner {
	sc := &Scanner{wants: wants, nodes: make([]*Node, len(wants))}
	all := make([]int, len(wants))
	for i := range all {
		all[i] = i
	}
	sc.root = sc.plan(s.Root, all, 0)
	return sc
}

// plan makes the steps of a record for the given wants, the first depth names of
// whose paths lead to it.
func (s *Scanner) plan(record *Node, wants []int, depth int) []step {
	steps := make([]step, len(record.Fields))
	for i, f := range record.Fields {
		st := &steps[i]
		st.name, st.node, st.branch = f.Name, f.Type, -1
		for _, w := range wants {
			path := s.wants[w].Path
			switch {
			case path[depth] != f.Name:
			case len(path) == depth+1:
				st.wants, s.nodes[w] = append(st.wants, w), f.Type
			default:
				st.below = append(st.below, w)
			}
		}
		if len(st.below) > 0 {
			s.descend(st, depth+1)
		}
	}
	for i := len(steps) - 1; i >= 0; i-- {
		steps[i].wanted = len(steps[i].wants) > 0 || steps[i].inner != nil || i+1 < len(steps) && steps[i+1].wanted
	}
	return steps
}

// descend plans the wants below a step, if it is a record, or a union with one.
func (s *Scanner) descend(st *step, depth int) {
	record := st.node
	if record.Kind == Union {
		st.branch = slices.IndexFunc(record.Branches, func(n *Node) bool { return n.Kind == Record })
		if st.branch < 0 {
			return
		}
		record = record.Branches[st.branch]
	}
	if record.Kind == Record {
		st.inner = s.plan(record, st.below, depth)
	}
}

// Scan implements fields.Scanner.
func (s *Scanner) Scan(data []byte, whole bool, values []mortise.Value, fits []fields.Fit) error {
	s.conv.reset()
	for i := range fits {
		values[i], fits[i] = mortise.NullValue(), fields.Missing
	}
	s.data, s.fails = data, nil
	i := s.scan(s.root, 0, whole, values, fits)
	switch {
	case i < 0:
		return fmt.Errorf("the field %s is cut off or not what its schema says", s.fails.name)
	case whole && i != len(data):
		return fmt.Errorf("%d of %d bytes follow the last field of its schema", len(data)-i, len(data))
	}
	return nil
}

// scan reads the fields of a record. Without whole it stops behind the last that
// is wanted.
func (s *Scanner) scan(steps []step, i int, whole bool, values []mortise.Value, fits []fields.Fit) int {
	for k := range steps {
		st := &steps[k]
		if !whole && !st.wanted {
			return i
		}
		next := -1
		for _, w := range st.wants {
			fits[w], next = s.conv.value(&values[w], st.node, s.data, i, &s.wants[w])
		}
		switch {
		case st.inner != nil:
			next = s.inside(st, i, values, fits)
		case len(st.wants) == 0:
			next = st.node.Skip(s.data, i)
		}
		if next < 0 {
			if s.fails == nil { // the innermost says most
				s.fails = st
			}
			return -1
		}
		i = next
	}
	return i
}

// inside reads a record within, to its end.
func (s *Scanner) inside(st *step, i int, values []mortise.Value, fits []fields.Fit) int {
	if st.branch >= 0 {
		branch, next := ReadIndex(s.data, i, len(st.node.Branches))
		if next < 0 {
			return -1
		}
		if branch != st.branch {
			fit := fields.Unfit
			if st.node.Branches[branch].Kind == Null {
				fit = fields.Null
			}
			for _, w := range st.below {
				if s.nodes[w] != nil {
					fits[w] = fit
				}
			}
			return st.node.Branches[branch].Skip(s.data, next)
		}
		i = next
	}
	return s.scan(st.inner, i, true, values, fits)
}

// Found implements fields.Scanner.
func (s *Scanner) Found(want int) string {
	n := s.nodes[want]
	if n == nil {
		return "no such field"
	}
	return n.describe()
}

// describe names a type as a schema would.
func (n *Node) describe() string {
	switch {
	case n.Kind == Union:
		text := ""
		for i, b := range n.Branches {
			if i > 0 {
				text += " or "
			}
			text += b.describe()
		}
		return text
	case n.Kind == Array:
		return "an array of " + n.Elem.describe()
	case n.Name != "":
		return n.Kind.String() + " " + n.Name
	case n.Logical != "":
		return n.Kind.String() + " (" + n.Logical + ")"
	}
	return n.Kind.String()
}
