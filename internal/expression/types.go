package expression

import (
	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

func isBool(k mortise.Kind) bool   { return k == mortise.Bool }
func isText(k mortise.Kind) bool   { return k == mortise.String }
func isInt(k mortise.Kind) bool    { return k == mortise.Int || k == mortise.Timestamp }
func isNumber(k mortise.Kind) bool { return isInt(k) || k == mortise.Float }
func isScalar(k mortise.Kind) bool { return k >= mortise.String && k <= mortise.Timestamp }

// widen is the type of a number once an operator has touched it: what is
// computed from a timestamp is an int.
func widen(k mortise.Kind) mortise.Kind {
	if k == mortise.Timestamp {
		return mortise.Int
	}
	return k
}

// arithmetic is the type of + - * over two numbers.
func arithmetic(a, b mortise.Kind) mortise.Kind {
	if a == mortise.Float || b == mortise.Float {
		return mortise.Float
	}
	return mortise.Int
}

// unify finds the one type that holds values of both, if there is one.
func unify(a, b mortise.Type) (mortise.Type, bool) {
	nullable := a.Nullable || b.Nullable
	switch {
	case a.Kind == mortise.Null:
		a = b
	case b.Kind == mortise.Null || a.Kind == b.Kind && a.Elem == b.Elem:
	case isNumber(a.Kind) && isNumber(b.Kind):
		a = plain(arithmetic(a.Kind, b.Kind))
	default:
		return a, false
	}
	a.Nullable = nullable
	return a, true
}

// toKind converts an int to a float where unify has found a float.
func toKind(x typed, want mortise.Type) ast.Node {
	if want.Kind != mortise.Float || !isInt(x.typ.Kind) {
		return x.node
	}
	convert := located(&ast.BuiltinNode{Name: "float", Arguments: []ast.Node{x.node}}, x.node)
	if !x.typ.Nullable {
		return convert
	}
	return located(&ast.ConditionalNode{Cond: isNil(x.node), Exp1: located(&ast.NilNode{}, x.node), Exp2: convert}, x.node)
}

// describe names a type in a message.
func describe(t mortise.Type) string {
	if t.Kind == mortise.Null {
		return "nil"
	}
	return t.String()
}
