package expression

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

func isPredicate(name string) bool { return slices.Contains(predicateNames, name) }

var predicateNames = []string{"all", "any", "none", "one", "filter", "map", "find", "findLast", "findIndex", "findLastIndex", "count", "sum"}

// predicate is a function whose second argument is evaluated for each element.
func (l *lowering) predicate(n *ast.BuiltinNode) (typed, error) {
	if len(l.elems) > 0 {
		return typed{}, faultAt(n, "%s inside another function's condition has no bound on its work", n.Name)
	}
	over, err := l.lower(n.Arguments[0])
	if err != nil {
		return typed{}, err
	}
	if !list(over.typ) {
		return typed{}, faultAt(n.Arguments[0], "%s takes a list, not %s", n.Name, describe(over.typ))
	}
	body, err := l.body(n, over.typ.Elem)
	if err != nil {
		return typed{}, err
	}
	typ, inner, err := predicateResult(n, over.typ, body)
	if err != nil {
		return typed{}, err
	}
	return l.lift(n, typ, []typed{over}, func(args []ast.Node) ast.Node {
		limited := located(&ast.CallNode{Callee: located(&ast.IdentifierNode{Value: "$list"}, n), Arguments: args}, n)
		call := &ast.BuiltinNode{Name: n.Name, Arguments: []ast.Node{limited}}
		if inner != nil {
			call.Arguments = append(call.Arguments, located(&ast.PredicateNode{Node: inner}, n))
		}
		return call
	}), nil
}

// body lowers the condition or the mapping; a missing one has Kind Invalid.
func (l *lowering) body(n *ast.BuiltinNode, elem mortise.Kind) (typed, error) {
	if len(n.Arguments) < 2 {
		return typed{}, nil
	}
	written, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return typed{}, faultAt(n, "%s needs a condition as its second argument", n.Name)
	}
	l.elems = append(l.elems, elem)
	defer func() { l.elems = l.elems[:len(l.elems)-1] }()
	return l.lower(written.Node)
}

// predicateResult types a predicate call and gives its body, made total.
func predicateResult(n *ast.BuiltinNode, over mortise.Type, body typed) (mortise.Type, ast.Node, error) {
	elem := mortise.Type{Kind: over.Elem}
	switch n.Name {
	case "map", "sum":
		if body.node == nil && number(elem) {
			return plain(widen(elem.Kind)), nil, nil
		}
		if !isScalar(body.typ.Kind) || body.typ.Nullable || n.Name == "sum" && !number(body.typ) {
			return mortise.Type{}, nil, faultAt(n, "%s cannot take values of type %s; a null needs ??", n.Name, describe(body.typ))
		}
		if n.Name == "sum" {
			return plain(widen(body.typ.Kind)), body.node, nil
		}
		return mortise.Type{Kind: mortise.List, Elem: body.typ.Kind}, body.node, nil
	}
	if body.node == nil && n.Name == "count" && isBool(elem.Kind) {
		return plain(mortise.Int), nil, nil
	}
	if !isBool(body.typ.Kind) {
		return mortise.Type{}, nil, faultAt(n, "the condition of %s is a bool, not %s", n.Name, describe(body.typ))
	}
	inner := truth(body)
	switch n.Name {
	case "filter":
		return mortise.Type{Kind: mortise.List, Elem: elem.Kind}, inner, nil
	case "find", "findLast":
		return mortise.Type{Kind: elem.Kind, Nullable: true}, inner, nil
	case "findIndex", "findLastIndex", "count":
		return plain(mortise.Int), inner, nil
	}
	return plain(mortise.Bool), inner, nil
}
