// Package expression is the expressions of experiment files: `where`, `derive`,
// a label's `value`, features over features. It compiles one against a schema,
// with every type known before a record is read, and evaluates it over rows.
// It serves joiner/clean, joiner and features, and is the only package that
// knows the engine behind it, github.com/expr-lang/expr: its grammar, its type
// checker and its virtual machine.
//
// An expression is a function of its row: nothing in it reads a clock, a file
// or a random number, and what it may build is bounded (see functions.go).
//
// # Types
//
// A timestamp is read as its milliseconds, an int. `/` and `**` always give a
// float, `%` takes ints only, and an int beside a float becomes a float. Ints
// wrap at 64 bits. A float result that is not finite is an error.
//
// # Null
//
// Operands are evaluated from left to right, and an operator, function or
// condition that is given a null gives null at once, without looking at what
// stands to its right. The exceptions are the operators that exist to deal with
// null:
//
//   - `x == nil` and `x != nil` are true or false, never null;
//   - `x ?? y` is y when x is null;
//   - `&&` and `||` are three-valued: false && null is false, true || null is
//     true, whichever side the null is on; otherwise a null side makes null.
//     They stop early only when the left side decides;
//   - the condition inside `any`, `all`, `none`, `one`, `filter`, `find…` and
//     `count` counts as false where it is null.
//
// A failure that is not about null (an integer modulo zero, an index outside
// its list, text that is not a number) is an error, and the record's fault.
package expression

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Bounds on the expression itself; what it may build is bounded in functions.go.
const (
	maxSourceBytes = 8 << 10
	maxNodes       = 1000
)

// Error says where an expression is wrong, and how.
type Error struct {
	Col     int    // 1-based, in runes, from the start of the source
	Len     int    // in runes; 0 when only the place is known
	Message string // without the place
	Name    string // the unknown field or function; empty for other faults
}

// Error formats the message with its column.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Col, e.Message) }

// Program is one compiled expression. It is immutable; Bind makes evaluators.
type Program struct {
	source string
	typ    mortise.Type
	fields []string
	types  []mortise.Type // of fields
	code   *vm.Program
	quick  form // the same condition without the engine; nil where it has none
}

// Compile checks src against the fields of env and compiles it. The error is
// an *Error.
func Compile(src string, env mortise.Schema) (*Program, error) {
	if err := checkSource(src); err != nil {
		return nil, err
	}
	tree, err := check(src, env)
	if err != nil {
		return nil, err
	}
	low := lowering{env: env}
	out, err := low.lower(tree.Node)
	if err != nil {
		return nil, err
	}
	if out.typ.Kind == mortise.Null {
		return nil, faultAt(tree.Node, "the expression is always null")
	}
	q := quickener{env: env, fields: low.fields}
	p := &Program{source: src, typ: out.typ, quick: q.quicken(tree.Node)}
	for _, i := range low.fields {
		p.fields = append(p.fields, env[i].Name)
		p.types = append(p.types, env[i].Type)
	}
	tree.Node = out.node
	if p.code, err = generate(tree, env); err != nil {
		return nil, err
	}
	return p, nil
}

func checkSource(src string) error {
	switch {
	case strings.TrimSpace(src) == "":
		return &Error{Col: 1, Message: "the expression is empty"}
	case len(src) > maxSourceBytes:
		return &Error{Col: 1, Message: fmt.Sprintf("the expression is %d bytes long; the limit is %d", len(src), maxSourceBytes)}
	case !utf8.ValidString(src):
		return &Error{Col: 1, Message: "the expression is not valid UTF-8"}
	}
	return nil
}

// check parses src and lets the engine's checker look at it with every field
// typed as if it were never null.
func check(src string, env mortise.Schema) (*parser.Tree, error) {
	config := typedConfig(env)
	tree, err := parser.ParseWithConfig(src, config)
	if err != nil {
		return nil, translate(err)
	}
	if _, err := checker.Check(tree, config); err != nil {
		return nil, translate(err)
	}
	return tree, nil
}

// generate turns a lowered tree into bytecode. Nullable fields have no static
// type here: the tree itself tests them before they are used.
func generate(tree *parser.Tree, env mortise.Schema) (*vm.Program, error) {
	config := nullableConfig(env)
	if _, err := checker.Check(tree, config); err != nil {
		return nil, translate(err)
	}
	if err := optimizer.Optimize(&tree.Node, config); err != nil {
		return nil, translate(err)
	}
	code, err := compiler.Compile(tree, config)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n") // a compiler panic carries its stack
		return nil, &Error{Col: 1, Message: first}
	}
	return code, nil
}

// translate turns an engine's error into ours.
func translate(err error) error {
	var fault *file.Error
	if !errors.As(err, &fault) {
		return &Error{Col: 1, Message: err.Error()}
	}
	out := &Error{Col: fault.From + 1, Len: max(fault.To-fault.From, 0), Message: strings.TrimSpace(fault.Message)}
	if strings.HasPrefix(out.Message, "unexpected token EOF") {
		out.Message = "the expression ends too early"
	}
	if name, ok := strings.CutPrefix(out.Message, "unknown field "); ok {
		out.Name, out.Len = name, utf8.RuneCountInString(name)
	}
	if name, ok := strings.CutPrefix(out.Message, "unknown name "); ok {
		out.Name, out.Message = name, "unknown field or function "+name
		out.Len = utf8.RuneCountInString(name)
		if why, refused := refusedFunctions[name]; refused {
			out.Name, out.Message = "", fmt.Sprintf("%s is not available: %s", name, why)
		}
	}
	return out
}

// Type returns the result's type. It is nullable when the result can be null.
func (p *Program) Type() mortise.Type { return p.typ }

// Source returns the expression as it was written.
func (p *Program) Source() string { return p.source }

// Fields returns the fields that the expression reads, each once, in the order
// in which they first appear. The caller does not change it.
func (p *Program) Fields() []string { return p.fields }

// String returns the expression as it was written.
func (p *Program) String() string { return p.source }

// MarshalText writes the expression as it was written, for printed plans.
func (p *Program) MarshalText() ([]byte, error) { return []byte(p.source), nil }
