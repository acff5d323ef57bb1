package expression

import (
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/ast"
)

// refusedFunctions are the engine's functions that a row must not depend on, and
// why. What is in neither table is refused too.
var refusedFunctions = map[string]string{
	"now":      "a row must not depend on the wall clock",
	"date":     "a row must not depend on the machine's clock or time zones; compare timestamps as milliseconds",
	"duration": "write milliseconds",
	"timezone": "a row must not depend on the machine's time zones",
	"type":     "types are known before any record is read",
	"keys":     "maps have no order",
	"values":   "maps have no order",
	"toPairs":  "maps have no order",
	"groupBy":  "maps have no order",
	"sortBy":   "equal keys have no order; use sort",
	"reduce":   "what it builds has no bound; use sum, min, max, map or filter",
	"toJSON":   "fields are written as JSON anyway",
	"fromJSON": "its type is not known before a record is read",
}

// A result is the type of a function's result given its arguments' types; the
// second value is false when it does not take them.
type result func(args []mortise.Type) (mortise.Type, bool)

// functions are all that an expression may call, predicates aside. Where the
// result can be null although no argument is, the type says so.
var functions = map[string]result{
	"len":         fixed(mortise.Int, textOrList),
	"abs":         func(a []mortise.Type) (mortise.Type, bool) { return plain(widen(a[0].Kind)), takes(a, number) },
	"ceil":        fixed(mortise.Float, number),
	"floor":       fixed(mortise.Float, number),
	"round":       fixed(mortise.Float, number),
	"int":         fixed(mortise.Int, numberOrText),
	"float":       fixed(mortise.Float, numberOrText),
	"string":      fixed(mortise.String, scalar),
	"trim":        optional(mortise.String, text, text),
	"trimPrefix":  fixed(mortise.String, text, text),
	"trimSuffix":  fixed(mortise.String, text, text),
	"upper":       fixed(mortise.String, text),
	"lower":       fixed(mortise.String, text),
	"toBase64":    fixed(mortise.String, text),
	"fromBase64":  fixed(mortise.String, text),
	"replace":     optional(mortise.String, text, text, text, integer),
	"repeat":      fixed(mortise.String, text, integer),
	"join":        optional(mortise.String, texts, text),
	"split":       optionalTexts(text, text, integer),
	"splitAfter":  optionalTexts(text, text, integer),
	"indexOf":     fixed(mortise.Int, text, text),
	"lastIndexOf": fixed(mortise.Int, text, text),
	"hasPrefix":   fixed(mortise.Bool, text, text),
	"hasSuffix":   fixed(mortise.Bool, text, text),
	"max":         extreme,
	"min":         extreme,
	"mean":        fixed(mortise.Float, numbers),
	"median":      fixed(mortise.Float, numbers),
	"first":       element(list),
	"last":        element(list),
	"get":         element(list, integer),
	"take":        sameList(list, integer),
	"reverse":     sameList(list),
	"uniq":        sameList(list),
	"sort":        optionalSame(list, text),
	"concat":      joined,
	"bitand":      fixed(mortise.Int, integer, integer),
	"bitor":       fixed(mortise.Int, integer, integer),
	"bitxor":      fixed(mortise.Int, integer, integer),
	"bitnand":     fixed(mortise.Int, integer, integer),
	"bitshl":      fixed(mortise.Int, integer, integer),
	"bitshr":      fixed(mortise.Int, integer, integer),
	"bitushr":     fixed(mortise.Int, integer, integer),
	"bitnot":      fixed(mortise.Int, integer),
}

// A param is the test of one argument.
type param func(mortise.Type) bool

func number(t mortise.Type) bool       { return isNumber(t.Kind) }
func integer(t mortise.Type) bool      { return isInt(t.Kind) }
func text(t mortise.Type) bool         { return isText(t.Kind) }
func scalar(t mortise.Type) bool       { return isScalar(t.Kind) }
func numberOrText(t mortise.Type) bool { return isNumber(t.Kind) || isText(t.Kind) }
func list(t mortise.Type) bool         { return t.Kind == mortise.List }
func texts(t mortise.Type) bool        { return list(t) && isText(t.Elem) }
func numbers(t mortise.Type) bool      { return list(t) && isNumber(t.Elem) }
func textOrList(t mortise.Type) bool   { return isText(t.Kind) || list(t) }

func takes(args []mortise.Type, params ...param) bool {
	return len(args) == len(params) && takesAtLeast(args, params, len(params))
}

// takesAtLeast allows the parameters after the first n to be left out.
func takesAtLeast(args []mortise.Type, params []param, n int) bool {
	if len(args) < n || len(args) > len(params) {
		return false
	}
	for i, a := range args {
		if !params[i](a) {
			return false
		}
	}
	return true
}

func fixed(k mortise.Kind, params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) { return plain(k), takes(args, params...) }
}

func optional(k mortise.Kind, params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) {
		return plain(k), takesAtLeast(args, params, len(params)-1)
	}
}

func optionalTexts(params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) {
		return mortise.Type{Kind: mortise.List, Elem: mortise.String}, takesAtLeast(args, params, len(params)-1)
	}
}

// element gives null where the list has no such element.
func element(params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) {
		if !takes(args, params...) {
			return mortise.Type{}, false
		}
		return mortise.Type{Kind: args[0].Elem, Nullable: true}, true
	}
}

func sameList(params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) {
		if !takes(args, params...) {
			return mortise.Type{}, false
		}
		return mortise.Type{Kind: mortise.List, Elem: args[0].Elem}, true
	}
}

func optionalSame(params ...param) result {
	return func(args []mortise.Type) (mortise.Type, bool) {
		if !takesAtLeast(args, params, len(params)-1) {
			return mortise.Type{}, false
		}
		return mortise.Type{Kind: mortise.List, Elem: args[0].Elem}, true
	}
}

// joined is concat: lists of one type.
func joined(args []mortise.Type) (mortise.Type, bool) {
	for _, a := range args {
		if !list(a) || a.Elem != args[0].Elem {
			return mortise.Type{}, false
		}
	}
	if len(args) == 0 {
		return mortise.Type{}, false
	}
	return mortise.Type{Kind: mortise.List, Elem: args[0].Elem}, true
}

// extreme is min and max: of numbers, or of one list, which may be empty.
func extreme(args []mortise.Type) (mortise.Type, bool) {
	if takes(args, numbers) {
		return mortise.Type{Kind: args[0].Elem, Nullable: true}, true
	}
	kind := mortise.Int
	for _, a := range args {
		if !number(a) {
			return mortise.Type{}, false
		}
		kind = arithmetic(kind, a.Kind)
	}
	return plain(kind), len(args) > 0
}

func (l *lowering) builtin(n *ast.BuiltinNode) (typed, error) {
	if why, refused := refusedFunctions[n.Name]; refused {
		return typed{}, faultAt(n, "%s is not available: %s", n.Name, why)
	}
	if isPredicate(n.Name) {
		return l.predicate(n)
	}
	signature, ok := functions[n.Name]
	if !ok || len(n.Arguments) == 0 {
		return typed{}, faultAt(n, "%s is not available in expressions", n.Name)
	}
	args, err := l.all(n.Arguments...)
	if err != nil {
		return typed{}, err
	}
	given := make([]mortise.Type, len(args))
	for i, a := range args {
		given[i] = a.typ
	}
	typ, ok := signature(given)
	if !ok {
		return typed{}, faultAt(n, "%s does not take (%s)", n.Name, describeAll(given))
	}
	return l.lift(n, typ, args, func(nodes []ast.Node) ast.Node { return l.call(n, n.Name, nodes) }), nil
}

// call makes the call of a function: of our bounded variant where there is one.
func (l *lowering) call(at ast.Node, name string, args []ast.Node) ast.Node {
	bounded := "$" + name
	if len(l.elems) > 0 {
		bounded += "#" // inside a predicate, where it runs once for each element
	}
	if _, ok := boundedFunctions[bounded]; ok {
		callee := located(&ast.IdentifierNode{Value: bounded}, at)
		return located(&ast.CallNode{Callee: callee, Arguments: args}, at)
	}
	return located(&ast.BuiltinNode{Name: name, Arguments: args}, at)
}

func describeAll(types []mortise.Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = describe(t)
	}
	return strings.Join(names, ", ")
}

// Functions returns the names of all functions that expressions may call, sorted.
func Functions() []string {
	names := slices.Clone(predicateNames)
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
