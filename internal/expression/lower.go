package expression

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

// typed is a lowered node with the type of what it gives. Kind Null is the
// literal nil.
type typed struct {
	node ast.Node
	typ  mortise.Type
}

// lowering walks a checked tree, gives every node its type, null included, and
// rewrites each operation that can meet a null into one that tests for it (see
// null.go). What it does not know, it refuses: the engine's whole library is
// wider than what a row may depend on.
type lowering struct {
	env    mortise.Schema
	fields []int // of env, in order of first use
	lets   []let
	elems  []mortise.Kind // element types of the predicates around the node
	temps  int
}

type let struct {
	name string
	typ  mortise.Type
}

func plain(k mortise.Kind) mortise.Type { return mortise.Type{Kind: k} }

// faultAt makes the error for node n.
func faultAt(n ast.Node, format string, args ...any) error {
	loc := n.Location()
	return &Error{Col: loc.From + 1, Len: max(loc.To-loc.From, 0), Message: fmt.Sprintf(format, args...)}
}

func (l *lowering) lower(n ast.Node) (typed, error) {
	switch n := n.(type) {
	case *ast.NilNode:
		return typed{n, mortise.Type{Kind: mortise.Null, Nullable: true}}, nil
	case *ast.BoolNode:
		return typed{n, plain(mortise.Bool)}, nil
	case *ast.IntegerNode:
		return typed{n, plain(mortise.Int)}, nil
	case *ast.FloatNode:
		return typed{n, plain(mortise.Float)}, nil
	case *ast.StringNode:
		return typed{n, plain(mortise.String)}, nil
	case *ast.IdentifierNode:
		return l.name(n, n.Value)
	case *ast.PointerNode:
		return l.pointer(n)
	case *ast.UnaryNode:
		return l.unary(n)
	case *ast.BinaryNode:
		return l.binary(n)
	case *ast.ConditionalNode:
		return l.conditional(n)
	case *ast.ArrayNode:
		return l.array(n)
	case *ast.ChainNode:
		return l.lower(n.Node)
	case *ast.MemberNode:
		return l.member(n)
	case *ast.SliceNode:
		return l.slice(n)
	case *ast.BuiltinNode:
		return l.builtin(n)
	case *ast.VariableDeclaratorNode:
		return l.declare(n)
	case *ast.MapNode:
		return typed{}, faultAt(n, "maps are not available in expressions; write a chain of conditions")
	case *ast.SequenceNode:
		return typed{}, faultAt(n, "an expression is one value; remove the semicolon")
	}
	return typed{}, faultAt(n, "this form is not available in expressions")
}

// name resolves a let variable or a field.
func (l *lowering) name(at ast.Node, name string) (typed, error) {
	if strings.HasPrefix(name, "$env") {
		return typed{}, faultAt(at, "$env is not available; name the field itself")
	}
	for _, v := range slices.Backward(l.lets) {
		if v.name == name {
			return l.short(at, typed{at, v.typ}), nil
		}
	}
	i := l.env.Index(name)
	if i < 0 {
		return typed{}, &Error{Col: at.Location().From + 1, Len: utf8.RuneCountInString(name), Message: "unknown field or function " + name, Name: name}
	}
	if !slices.Contains(l.fields, i) {
		l.fields = append(l.fields, i)
	}
	return l.short(at, typed{located(&ast.IdentifierNode{Value: name}, at), l.env[i].Type}), nil
}

// short makes a text or a list that is read inside a predicate, and so once for
// each element, be of a length that this does not multiply into hours.
func (l *lowering) short(at ast.Node, x typed) typed {
	if len(l.elems) == 0 || x.typ.Kind != mortise.String && x.typ.Kind != mortise.List {
		return x
	}
	callee := located(&ast.IdentifierNode{Value: "$short"}, at)
	return typed{located(&ast.CallNode{Callee: callee, Arguments: []ast.Node{x.node}}, at), x.typ}
}

// pointer is the element (#) or its index (#index) inside a predicate.
func (l *lowering) pointer(n *ast.PointerNode) (typed, error) {
	switch {
	case len(l.elems) == 0 || n.Name != "" && n.Name != "index":
		return typed{}, faultAt(n, "#%s is not available here", n.Name)
	case n.Name == "index":
		return typed{n, plain(mortise.Int)}, nil
	}
	return typed{n, plain(l.elems[len(l.elems)-1])}, nil
}

func (l *lowering) unary(n *ast.UnaryNode) (typed, error) {
	x, err := l.lower(n.Node)
	if err != nil {
		return typed{}, err
	}
	want := isNumber
	if n.Operator == "!" || n.Operator == "not" {
		want = isBool
	}
	if !want(x.typ.Kind) {
		return typed{}, faultAt(n, "%s does not take %s", n.Operator, x.typ)
	}
	typ := plain(widen(x.typ.Kind))
	return l.lift(n, typ, []typed{x}, func(args []ast.Node) ast.Node {
		return &ast.UnaryNode{Operator: n.Operator, Node: args[0]}
	}), nil
}

// conditional gives null when its condition is null.
func (l *lowering) conditional(n *ast.ConditionalNode) (typed, error) {
	parts, err := l.all(n.Cond, n.Exp1, n.Exp2)
	if err != nil {
		return typed{}, err
	}
	cond, yes, no := parts[0], parts[1], parts[2]
	if !isBool(cond.typ.Kind) {
		return typed{}, faultAt(n.Cond, "a condition is a bool, not %s", cond.typ)
	}
	typ, ok := unify(yes.typ, no.typ)
	if !ok {
		return typed{}, faultAt(n, "the two outcomes have different types, %s and %s", yes.typ, no.typ)
	}
	out := l.lift(n, typ, []typed{cond}, func(args []ast.Node) ast.Node {
		return &ast.ConditionalNode{Cond: args[0], Exp1: toKind(yes, typ), Exp2: toKind(no, typ)}
	})
	return out, nil
}

func (l *lowering) array(n *ast.ArrayNode) (typed, error) {
	parts, err := l.all(n.Nodes...)
	if err != nil {
		return typed{}, err
	}
	if len(parts) == 0 {
		return typed{}, faultAt(n, "an empty list has no type")
	}
	elem := parts[0].typ
	for i, p := range parts {
		next, ok := unify(elem, p.typ)
		if !ok || !isScalar(p.typ.Kind) || p.typ.Nullable {
			return typed{}, faultAt(n.Nodes[i], "a list holds values of one type and no nulls; this one is %s", describe(p.typ))
		}
		elem = next
	}
	nodes := make([]ast.Node, len(parts))
	for i, p := range parts {
		nodes[i] = toKind(p, elem)
	}
	return typed{located(&ast.ArrayNode{Nodes: nodes}, n), mortise.Type{Kind: mortise.List, Elem: elem.Kind}}, nil
}

// member is `list[i]`, or `item.brand` where that is a field's name.
func (l *lowering) member(n *ast.MemberNode) (typed, error) {
	group, isName := n.Node.(*ast.IdentifierNode)
	if prop, ok := n.Property.(*ast.StringNode); ok && isName && l.env.Index(group.Value) < 0 {
		return l.name(n.Node, group.Value+"."+prop.Value)
	}
	parts, err := l.all(n.Node, n.Property)
	if err != nil {
		return typed{}, err
	}
	if parts[0].typ.Kind != mortise.List || !isInt(parts[1].typ.Kind) {
		return typed{}, faultAt(n, "only a list can be indexed, and only by an int; this is %s[%s]", describe(parts[0].typ), describe(parts[1].typ))
	}
	return l.lift(n, plain(parts[0].typ.Elem), parts, func(args []ast.Node) ast.Node {
		return &ast.MemberNode{Node: args[0], Property: args[1]}
	}), nil
}

func (l *lowering) slice(n *ast.SliceNode) (typed, error) {
	zero := located(&ast.IntegerNode{Value: 0}, n)
	from, to := n.From, n.To
	if from == nil {
		from = zero
	}
	if to == nil {
		to = located(&ast.BuiltinNode{Name: "len", Arguments: []ast.Node{n.Node}}, n)
	}
	parts, err := l.all(n.Node, from, to)
	if err != nil {
		return typed{}, err
	}
	if parts[0].typ.Kind != mortise.List || !isInt(parts[1].typ.Kind) || !isInt(parts[2].typ.Kind) {
		return typed{}, faultAt(n, "only a list can be sliced, and only by ints; this is %s", describe(parts[0].typ))
	}
	return l.lift(n, mortise.Type{Kind: mortise.List, Elem: parts[0].typ.Elem}, parts, func(args []ast.Node) ast.Node {
		return &ast.SliceNode{Node: args[0], From: args[1], To: args[2]}
	}), nil
}

func (l *lowering) declare(n *ast.VariableDeclaratorNode) (typed, error) {
	value, err := l.lower(n.Value)
	if err != nil {
		return typed{}, err
	}
	if n.Name[0] == '$' || l.env.Index(n.Name) >= 0 {
		return typed{}, faultAt(n, "the name %s is taken", n.Name)
	}
	l.lets = append(l.lets, let{n.Name, value.typ})
	body, err := l.lower(n.Expr)
	l.lets = l.lets[:len(l.lets)-1]
	if err != nil {
		return typed{}, err
	}
	return typed{located(&ast.VariableDeclaratorNode{Name: n.Name, Value: value.node, Expr: body.node}, n), body.typ}, nil
}

// all lowers several nodes in order.
func (l *lowering) all(nodes ...ast.Node) ([]typed, error) {
	out := make([]typed, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = l.lower(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// located gives a new node the place of the node that it stands for.
func located[N ast.Node](n N, at ast.Node) N {
	n.SetLocation(at.Location())
	return n
}
