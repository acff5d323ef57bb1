package expression

import (
	"bytes"
	"cmp"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

// truth3 is a condition's value.
type truth3 uint8

const (
	no truth3 = iota
	yes
	unknown // null
)

func truthOf(b bool) truth3 {
	if b {
		return yes
	}
	return no
}

// A condition is one of the forms that most `where` clauses have, compiled to a
// closure over the row: fields compared with literals, joined by && and ||. It
// gives what the engine gives for every row; TestQuickIsTheEngine holds them
// against each other.
type condition func(row mortise.Row) truth3

// quickener compiles a checked tree against the fields that lowering found.
// slots are not known yet: fields are numbered as in Program.Fields.
type quickener struct {
	env    mortise.Schema
	fields []int
}

// A form makes the condition for a row layout.
type form func(slots []int) condition

// quicken returns the form of a condition, or nil where the engine must do.
func (q *quickener) quicken(n ast.Node) form {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return q.boolField(n)
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return negate(q.quicken(n.Node))
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			return both(q.quicken(n.Left), q.quicken(n.Right), no)
		case "||", "or":
			return both(q.quicken(n.Left), q.quicken(n.Right), yes)
		case "==", "!=", "<", "<=", ">", ">=":
			return q.comparison(n)
		}
	}
	return nil
}

// field returns the number and the type of the field that n names.
func (q *quickener) field(n ast.Node) (i int, kind mortise.Kind, ok bool) {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		return 0, mortise.Invalid, false
	}
	for i, f := range q.fields {
		if q.env[f].Name == id.Value {
			return i, q.env[f].Type.Kind, true
		}
	}
	return 0, mortise.Invalid, false
}

func (q *quickener) boolField(n ast.Node) form {
	i, kind, ok := q.field(n)
	if !ok || kind != mortise.Bool {
		return nil
	}
	return func(slots []int) condition {
		at := slots[i]
		return func(row mortise.Row) truth3 {
			if row[at].IsNull() {
				return unknown
			}
			return truthOf(row[at].Bool())
		}
	}
}

func negate(x form) form {
	if x == nil {
		return nil
	}
	return func(slots []int) condition {
		inner := x(slots)
		return func(row mortise.Row) truth3 {
			switch inner(row) {
			case no:
				return yes
			case yes:
				return no
			}
			return unknown
		}
	}
}

// both is && where no decides, || where yes does.
func both(a, b form, decides truth3) form {
	if a == nil || b == nil {
		return nil
	}
	return func(slots []int) condition {
		left, right := a(slots), b(slots)
		return func(row mortise.Row) truth3 {
			l := left(row)
			if l == decides {
				return decides
			}
			if r := right(row); r == decides || l != unknown {
				return r
			}
			return unknown
		}
	}
}

// flipped is the operator with its sides exchanged.
var flipped = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// comparison takes a field and a literal, in either order.
func (q *quickener) comparison(n *ast.BinaryNode) form {
	i, kind, ok := q.field(n.Left)
	operator, literal := n.Operator, n.Right
	if !ok {
		if i, kind, ok = q.field(n.Right); !ok {
			return nil
		}
		operator, literal = flipped[n.Operator], n.Left
	}
	holds := outcomes(operator)
	switch x := literal.(type) {
	case *ast.NilNode:
		return isNull(i, operator == "==")
	case *ast.IntegerNode:
		if isInt(kind) {
			return compare(i, holds, func(v *mortise.Value) int { return cmp.Compare(v.Int(), int64(x.Value)) })
		}
		if kind == mortise.Float {
			return compareFloat(i, holds, float64(x.Value))
		}
	case *ast.FloatNode:
		if isNumber(kind) {
			return compareFloat(i, holds, x.Value)
		}
	case *ast.StringNode:
		if isText(kind) {
			want := []byte(x.Value)
			return compare(i, holds, func(v *mortise.Value) int { return bytes.Compare(v.Text(), want) })
		}
	}
	return nil
}

// outcomes says which of less, equal and more make an operator true.
func outcomes(operator string) [3]truth3 {
	switch operator {
	case "==":
		return [3]truth3{no, yes, no}
	case "!=":
		return [3]truth3{yes, no, yes}
	case "<":
		return [3]truth3{yes, no, no}
	case "<=":
		return [3]truth3{yes, yes, no}
	case ">":
		return [3]truth3{no, no, yes}
	}
	return [3]truth3{no, yes, yes}
}

func isNull(i int, want bool) form {
	return func(slots []int) condition {
		at := slots[i]
		return func(row mortise.Row) truth3 { return truthOf(row[at].IsNull() == want) }
	}
}

func compare(i int, holds [3]truth3, with func(*mortise.Value) int) form {
	return func(slots []int) condition {
		at := slots[i]
		return func(row mortise.Row) truth3 {
			if row[at].IsNull() {
				return unknown
			}
			return holds[1+with(&row[at])]
		}
	}
}

// compareFloat compares as floats, which is what the engine does as soon as one
// side is one. A field that is not a number (NaN) equals nothing and is neither
// less nor more.
func compareFloat(i int, holds [3]truth3, want float64) form {
	return func(slots []int) condition {
		at := slots[i]
		return func(row mortise.Row) truth3 {
			if row[at].IsNull() {
				return unknown
			}
			v, _ := row[at].Number()
			switch {
			case v < want:
				return holds[0]
			case v > want:
				return holds[2]
			case v == want:
				return holds[1]
			}
			return truthOf(holds == [3]truth3{yes, no, yes}) // only != holds for NaN
		}
	}
}
