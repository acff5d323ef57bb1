package expression

import (
	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

func (l *lowering) binary(n *ast.BinaryNode) (typed, error) {
	sides, err := l.all(n.Left, n.Right)
	if err != nil {
		return typed{}, err
	}
	a, b := sides[0], sides[1]
	switch n.Operator {
	case "??":
		return l.coalesce(n, a, b)
	case "==", "!=":
		if a.typ.Kind == mortise.Null || b.typ.Kind == mortise.Null {
			return typed{located(&ast.BinaryNode{Operator: n.Operator, Left: a.node, Right: b.node}, n), plain(mortise.Bool)}, nil
		}
	case "&&", "and", "||", "or":
		if isBool(a.typ.Kind) && isBool(b.typ.Kind) {
			return l.logic(n, a, b), nil
		}
	case "matches":
		if _, literal := n.Right.(*ast.StringNode); !literal {
			return typed{}, faultAt(n.Right, "the pattern of matches must be a literal")
		}
	}
	kind := resultKind(n.Operator, a.typ, b.typ)
	if kind == mortise.Invalid {
		return typed{}, faultAt(n, "%s does not take %s and %s", n.Operator, describe(a.typ), describe(b.typ))
	}
	typ := plain(kind)
	if kind == mortise.List {
		typ.Elem = mortise.Int // only `..` gives a list
	}
	return l.lift(n, typ, sides, func(args []ast.Node) ast.Node {
		if n.Operator == "+" && kind == mortise.String {
			return l.call(n, "plus", args) // bounded, which the engine's own is not
		}
		return &ast.BinaryNode{Operator: n.Operator, Left: args[0], Right: args[1]}
	}), nil
}

func (l *lowering) coalesce(n *ast.BinaryNode, a, b typed) (typed, error) {
	typ, ok := unify(a.typ, b.typ)
	if !ok {
		return typed{}, faultAt(n, "the two sides of ?? have different types, %s and %s", describe(a.typ), describe(b.typ))
	}
	typ.Nullable = a.typ.Nullable && b.typ.Nullable
	name := l.temp()
	ref := typed{located(&ast.IdentifierNode{Value: name}, n), mortise.Type{Kind: a.typ.Kind, Elem: a.typ.Elem}}
	choose := located(&ast.ConditionalNode{Cond: isNil(ref.node), Exp1: toKind(b, typ), Exp2: toKind(ref, typ)}, n)
	return typed{located(&ast.VariableDeclaratorNode{Name: name, Value: a.node, Expr: choose}, n), typ}, nil
}

// resultKind is what an operator gives for two operands, or Invalid where it
// does not take them.
func resultKind(operator string, a, b mortise.Type) mortise.Kind {
	numbers, texts := isNumber(a.Kind) && isNumber(b.Kind), isText(a.Kind) && isText(b.Kind)
	ok, kind := false, mortise.Bool
	switch operator {
	case "==", "!=":
		ok = numbers || texts || isBool(a.Kind) && isBool(b.Kind)
	case "<", "<=", ">", ">=":
		ok = numbers || texts
	case "in":
		elem := mortise.Type{Kind: b.Elem}
		ok = b.Kind == mortise.List && resultKind("==", a, elem) == mortise.Bool
	case "contains", "startsWith", "endsWith", "matches":
		ok = texts
	case "+":
		if texts {
			return mortise.String
		}
		ok, kind = numbers, arithmetic(a.Kind, b.Kind)
	case "-", "*":
		ok, kind = numbers, arithmetic(a.Kind, b.Kind)
	case "/", "**", "^":
		ok, kind = numbers, mortise.Float
	case "%":
		ok, kind = isInt(a.Kind) && isInt(b.Kind), mortise.Int
	case "..":
		ok, kind = isInt(a.Kind) && isInt(b.Kind), mortise.List
	}
	if !ok {
		return mortise.Invalid
	}
	return kind
}
