package features

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// MaxListLen bounds what last_n and topk keep for each entity and tile.
const MaxListLen = 1000

// Aggregate is one call of an aggregate function, such as `last_n(item_id, 5)`.
type Aggregate struct {
	Func     string
	Arg      *expression.Program // over the source's row; nil for count
	N        int                 // of last_n and topk
	Exact    bool                // of distinct: a set rather than an estimate
	HalfLife time.Duration       // of decayed_sum
	Type     mortise.Type        // of the result
}

// String writes the call in one normal form, whatever its spacing was.
func (a *Aggregate) String() string {
	if a.Arg == nil {
		return a.Func
	}
	args := []string{strings.TrimSpace(a.Arg.Source())}
	switch {
	case a.N > 0:
		args = append(args, strconv.Itoa(a.N))
	case a.Exact:
		args = append(args, "exact")
	case a.HalfLife > 0:
		args = append(args, short(a.HalfLife))
	}
	return a.Func + "(" + strings.Join(args, ", ") + ")"
}

// Error says where an aggregate call is wrong, and how.
type Error struct {
	Col     int    // 1-based, in runes, from the start of the call
	Len     int    // in runes; 0 when only the place is known
	Message string // without the place
	Name    string // the unknown function or field; empty for other faults
	InArg   bool   // the fault is the expression's, not the call's
}

// Error formats the message with its column.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Col, e.Message) }

// An aggregateFunc says what a function takes and gives.
type aggregateFunc struct {
	second string // what the second argument is; empty for none
	result func(arg mortise.Type) (mortise.Type, bool)
}

// aggregates are the functions by name, with the type over nothing included: 0
// for count, sum and distinct, an empty list for last_n, null otherwise.
var aggregates = map[string]aggregateFunc{
	"count":       {},
	"sum":         {result: numeric(false)},
	"avg":         {result: always(mortise.Float, true)},
	"stddev":      {result: always(mortise.Float, true)},
	"min":         {result: ordered},
	"max":         {result: ordered},
	"first":       {result: single},
	"last":        {result: single},
	"last_n":      {result: listOf(false), second: "n"},
	"topk":        {result: listOf(true), second: "k"},
	"distinct":    {result: distinct, second: "exact?"},
	"decayed_sum": {result: always(mortise.Float, true), second: "half-life"},
}

// FuncNames lists the aggregate functions, for messages and documentation.
func FuncNames() []string {
	return []string{"count", "sum", "avg", "min", "max", "first", "last", "last_n", "distinct", "topk", "stddev", "decayed_sum"}
}

func isNumber(k mortise.Kind) bool {
	return k == mortise.Int || k == mortise.Float || k == mortise.Timestamp
}

func numeric(nullable bool) func(mortise.Type) (mortise.Type, bool) {
	return func(arg mortise.Type) (mortise.Type, bool) {
		kind := mortise.Int
		if arg.Kind == mortise.Float {
			kind = mortise.Float
		}
		return mortise.Type{Kind: kind, Nullable: nullable}, isNumber(arg.Kind)
	}
}

func always(k mortise.Kind, nullable bool) func(mortise.Type) (mortise.Type, bool) {
	return func(arg mortise.Type) (mortise.Type, bool) {
		return mortise.Type{Kind: k, Nullable: nullable}, isNumber(arg.Kind)
	}
}

func ordered(arg mortise.Type) (mortise.Type, bool) {
	return mortise.Type{Kind: arg.Kind, Nullable: true}, isNumber(arg.Kind) || arg.Kind == mortise.String
}

func single(arg mortise.Type) (mortise.Type, bool) {
	return mortise.Type{Kind: arg.Kind, Elem: arg.Elem, Nullable: true}, true
}

func listOf(nullable bool) func(mortise.Type) (mortise.Type, bool) {
	return func(arg mortise.Type) (mortise.Type, bool) {
		return mortise.Type{Kind: mortise.List, Elem: arg.Kind, Nullable: nullable}, arg.Kind != mortise.List
	}
}

func distinct(arg mortise.Type) (mortise.Type, bool) {
	return mortise.Type{Kind: mortise.Int}, arg.Kind != mortise.List
}

// ParseAggregate reads a call such as `count`, `sum(price)`, `last_n(item_id,
// 5)`, `distinct(user_id, exact)` or `decayed_sum(1.0, 6h)` over a source's row.
// The error is an *Error. Events whose argument is null are not aggregated.
func ParseAggregate(text string, row mortise.Schema) (Aggregate, error) {
	call, err := splitCall(text)
	if err != nil {
		return Aggregate{}, err
	}
	fn, ok := aggregates[call.name.text]
	if !ok {
		e := call.name.fault("unknown aggregate function %s", call.name.text)
		e.Name = call.name.text
		return Aggregate{}, e
	}
	agg := Aggregate{Func: call.name.text, Type: mortise.Type{Kind: mortise.Int}}
	if fn.result == nil {
		if len(call.args) > 0 {
			return Aggregate{}, call.args[0].fault("%s takes no argument; use `where` to count some of the events", agg.Func)
		}
		return agg, nil
	}
	if err := checkArity(call, fn); err != nil {
		return Aggregate{}, err
	}
	if agg.Arg, err = call.args[0].compile(row); err != nil {
		return Aggregate{}, err
	}
	if agg.Type, ok = fn.result(agg.Arg.Type()); !ok {
		return Aggregate{}, call.args[0].fault("%s does not take %s", agg.Func, agg.Arg.Type())
	}
	if len(call.args) == 2 {
		err = agg.setSecond(call.args[1])
	}
	return agg, err
}

func checkArity(call call, fn aggregateFunc) error {
	least, most := 1, 1
	if fn.second != "" {
		least, most = 2, 2
		if strings.HasSuffix(fn.second, "?") {
			least = 1
		}
	}
	if len(call.args) >= least && len(call.args) <= most {
		return nil
	}
	form := call.name.text + "(expression"
	if fn.second != "" {
		form += ", " + strings.TrimSuffix(fn.second, "?")
	}
	return call.name.fault("%s has %d arguments; write %s)", call.name.text, len(call.args), form)
}

// setSecond reads what follows the expression: a number, `exact`, or a duration.
func (a *Aggregate) setSecond(arg part) error {
	var err error
	switch a.Func {
	case "distinct":
		if a.Exact = arg.text == "exact"; !a.Exact {
			return arg.fault("the second argument of distinct can only be exact")
		}
	case "decayed_sum":
		if a.HalfLife, err = mortise.ParseDuration(arg.text); err != nil {
			return arg.fault("%s", err)
		}
		if a.HalfLife < time.Millisecond || a.HalfLife > MaxWindow {
			return arg.fault("the half-life must lie between 1ms and %s", short(MaxWindow))
		}
	default:
		if a.N, err = strconv.Atoi(arg.text); err != nil || a.N < 1 || a.N > MaxListLen {
			return arg.fault("the second argument of %s is a number from 1 to %d", a.Func, MaxListLen)
		}
	}
	return nil
}

// part is a piece of a call with where it starts.
type part struct {
	text string
	col  int // 1-based, in runes
}

func (p part) fault(format string, args ...any) *Error {
	return &Error{Col: p.col, Len: utf8.RuneCountInString(p.text), Message: fmt.Sprintf(format, args...)}
}

// compile compiles the piece; errors get their column within the whole call.
func (p part) compile(row mortise.Schema) (*expression.Program, error) {
	program, err := expression.Compile(p.text, row)
	if e, ok := errors.AsType[*expression.Error](err); ok {
		return nil, &Error{Col: p.col + e.Col - 1, Len: e.Len, Message: e.Message, Name: e.Name, InArg: true}
	}
	return program, err
}
