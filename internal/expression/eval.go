package expression

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Evaluator evaluates one program over rows of one layout. One goroutine uses
// it: it keeps its machine and its environment from row to row.
type Evaluator struct {
	program *Program
	slots   []int
	quick   condition // nil where the engine evaluates
	env     map[string]any
	machine vm.VM
}

// Bind makes an evaluator. slots[i] is the position in the row of Fields()[i].
func (p *Program) Bind(slots []int) *Evaluator {
	if len(slots) != len(p.fields) {
		panic(fmt.Sprintf("expression %q reads %d fields, bound to %d slots", p.source, len(p.fields), len(slots)))
	}
	e := &Evaluator{program: p, slots: slots, env: make(map[string]any, len(slots))}
	if p.quick != nil {
		e.quick = p.quick(slots)
	}
	return e
}

// Eval evaluates the expression over row. Text in the result may alias the row
// or the program: it is not to be changed, and is valid as long as the row is.
// The error is the record's fault.
func (e *Evaluator) Eval(row mortise.Row) (mortise.Value, error) {
	if e.quick != nil && e.whole(row) {
		switch e.quick(row) {
		case no:
			return mortise.BoolValue(false), nil
		case yes:
			return mortise.BoolValue(true), nil
		}
		return mortise.NullValue(), nil
	}
	return e.run(row)
}

// True evaluates a condition; null is false.
func (e *Evaluator) True(row mortise.Row) (bool, error) {
	if e.quick != nil && e.whole(row) {
		return e.quick(row) == yes, nil
	}
	v, err := e.run(row)
	return v.Kind == mortise.Bool && v.Bool(), err
}

// Number evaluates an expression that gives a number, a timestamp or a bool
// (1 or 0). ok is false when it is null.
func (e *Evaluator) Number(row mortise.Row) (v float64, ok bool, err error) {
	out, err := e.Eval(row)
	if err != nil {
		return 0, false, err
	}
	v, ok = out.Number()
	return v, ok, nil
}

// whole reports whether every field is there that must be; where one is not, run
// says which.
func (e *Evaluator) whole(row mortise.Row) bool {
	for i, at := range e.slots {
		if row[at].IsNull() && !e.program.types[i].Nullable {
			return false
		}
	}
	return true
}

func (e *Evaluator) run(row mortise.Row) (mortise.Value, error) {
	p := e.program
	for i, name := range p.fields {
		v := row[e.slots[i]]
		if v.IsNull() && !p.types[i].Nullable {
			return mortise.Value{}, fmt.Errorf("expression %q: field %s is null, but declared %s", p.source, name, p.types[i])
		}
		e.env[name] = toEngine(v, p.types[i])
	}
	out, err := e.machine.Run(p.code, e.env)
	if err != nil {
		var fault *file.Error
		if errors.As(err, &fault) {
			return mortise.Value{}, fmt.Errorf("expression %q: column %d: %s", p.source, fault.From+1, fault.Message)
		}
		return mortise.Value{}, fmt.Errorf("expression %q: %w", p.source, err)
	}
	v, err := fromEngine(out, p.typ)
	if err != nil {
		return mortise.Value{}, fmt.Errorf("expression %q: %w", p.source, err)
	}
	return v, nil
}

// toEngine makes the engine's form of a value. Text aliases.
func toEngine(v mortise.Value, t mortise.Type) any {
	switch v.Kind {
	case mortise.Int, mortise.Timestamp:
		if t.Kind == mortise.Float {
			return float64(v.Int())
		}
		return int(v.Int())
	case mortise.Float:
		return v.Float()
	case mortise.Bool:
		return v.Bool()
	case mortise.String:
		return aliasText(v.Text())
	case mortise.List:
		return toEngineList(v.List(), t.Elem)
	}
	return nil
}

func toEngineList(list []mortise.Value, elem mortise.Kind) any {
	switch elem {
	case mortise.String:
		return convert(list, func(v mortise.Value) string { return aliasText(v.Text()) })
	case mortise.Float:
		return convert(list, func(v mortise.Value) float64 { f, _ := v.Number(); return f })
	case mortise.Bool:
		return convert(list, mortise.Value.Bool)
	}
	return convert(list, func(v mortise.Value) int { return int(v.Int()) })
}

func convert[E any](list []mortise.Value, f func(mortise.Value) E) []E {
	out := make([]E, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// fromEngine makes a value of the static type t.
func fromEngine(x any, t mortise.Type) (mortise.Value, error) {
	switch x := x.(type) {
	case nil:
		return mortise.NullValue(), nil
	case bool:
		return mortise.BoolValue(x), nil
	case int:
		switch t.Kind {
		case mortise.Float:
			return mortise.FloatValue(float64(x)), nil
		case mortise.Timestamp:
			return mortise.TimestampValue(int64(x)), nil
		}
		return mortise.IntValue(int64(x)), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return mortise.Value{}, errors.New("the result is not a finite number")
		}
		return mortise.FloatValue(x), nil
	case string:
		return mortise.TextValue(unsafe.Slice(unsafe.StringData(x), len(x))), nil
	}
	return fromEngineList(x, mortise.Type{Kind: t.Elem})
}

func fromEngineList(x any, elem mortise.Type) (mortise.Value, error) {
	var items []any
	switch x := x.(type) {
	case []any:
		items = x
	case []int:
		items = convertAny(x)
	case []float64:
		items = convertAny(x)
	case []string:
		items = convertAny(x)
	case []bool:
		items = convertAny(x)
	default:
		return mortise.Value{}, fmt.Errorf("the result has the unexpected type %T", x)
	}
	out := make([]mortise.Value, len(items))
	for i, item := range items {
		var err error
		if out[i], err = fromEngine(item, elem); err != nil {
			return mortise.Value{}, err
		}
	}
	return mortise.ListValue(out), nil
}

func convertAny[E any](list []E) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func aliasText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
