package expression

import (
	"strconv"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

// lift makes an operation over args that gives null as soon as one of them is
// null. Each operand that can be null is bound to a variable, tested, and only
// then is the next one evaluated:
//
//	a + b   becomes   a == nil ? nil : (b == nil ? nil : a + b)
func (l *lowering) lift(at ast.Node, typ mortise.Type, args []typed, build func([]ast.Node) ast.Node) typed {
	refs := make([]ast.Node, len(args))
	names := make([]string, len(args))
	for i, arg := range args {
		refs[i] = arg.node
		if _, simple := arg.node.(*ast.IdentifierNode); arg.typ.Nullable && !simple {
			names[i] = l.temp()
			refs[i] = located(&ast.IdentifierNode{Value: names[i]}, arg.node)
		}
	}
	body := located(build(refs), at)
	for i := len(args) - 1; i >= 0; i-- {
		if !args[i].typ.Nullable {
			continue
		}
		typ.Nullable = true
		body = located(ast.Node(&ast.ConditionalNode{Cond: isNil(refs[i]), Exp1: located(&ast.NilNode{}, at), Exp2: body}), at)
		if names[i] != "" {
			body = located(ast.Node(&ast.VariableDeclaratorNode{Name: names[i], Value: args[i].node, Expr: body}), at)
		}
	}
	return typed{body, typ}
}

// logic is && and || over three values. The left side decides alone when it can;
// otherwise the right side decides; otherwise either null makes null.
//
//	a && b   becomes   a == false ? false : (b == false ? false : (a == nil ? nil : b))
func (l *lowering) logic(n *ast.BinaryNode, a, b typed) typed {
	typ := mortise.Type{Kind: mortise.Bool, Nullable: a.typ.Nullable || b.typ.Nullable}
	if !typ.Nullable {
		return typed{located(&ast.BinaryNode{Operator: n.Operator, Left: a.node, Right: b.node}, n), typ}
	}
	decides := n.Operator == "||" || n.Operator == "or"
	word := func() ast.Node { return located(&ast.BoolNode{Value: decides}, n) }
	is := func(x ast.Node) ast.Node {
		return located(&ast.BinaryNode{Operator: "==", Left: x, Right: word()}, n)
	}
	left, right := l.temp(), l.temp()
	a2, b2 := located(&ast.IdentifierNode{Value: left}, n), located(&ast.IdentifierNode{Value: right}, n)
	rest := located(&ast.ConditionalNode{Cond: isNil(a2), Exp1: located(&ast.NilNode{}, n), Exp2: b2}, n)
	second := located(&ast.ConditionalNode{Cond: is(b2), Exp1: word(), Exp2: rest}, n)
	bind := located(&ast.VariableDeclaratorNode{Name: right, Value: b.node, Expr: second}, n)
	first := located(&ast.ConditionalNode{Cond: is(a2), Exp1: word(), Exp2: bind}, n)
	return typed{located(&ast.VariableDeclaratorNode{Name: left, Value: a.node, Expr: first}, n), typ}
}

// truth makes a condition whose null counts as false.
func truth(x typed) ast.Node {
	if !x.typ.Nullable {
		return x.node
	}
	return located(&ast.BinaryNode{Operator: "??", Left: x.node, Right: located(&ast.BoolNode{}, x.node)}, x.node)
}

// isNil tests a node for null.
func isNil(x ast.Node) ast.Node {
	return located(&ast.BinaryNode{Operator: "==", Left: x, Right: located(&ast.NilNode{}, x)}, x)
}

// temp names a variable that no source can name.
func (l *lowering) temp() string {
	l.temps++
	return "$" + strconv.Itoa(l.temps)
}
