package expression

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/builtin"
)

// Bounds on what one evaluation may build. Together with the bound on nodes and
// with predicates not nesting they bound an expression's memory and work by the
// size of its row, whatever the row holds.
const (
	maxTextBytes        = 1 << 20 // one text that is built
	maxElementTextBytes = 4 << 10 // the same, once for each element of a list
	maxListLen          = 10_000  // a list that a predicate, uniq or split goes over

	// What a predicate reads from outside, once for each element.
	maxElementReadBytes = 64 << 10
	maxElementListLen   = 1000
	maxElementUniqLen   = 100
)

var errTextTooLong = errors.New("the text that it builds is too long")

// boundedFunctions replace engine functions that could build without bound, or
// whose result depends on the machine. `$name` is the variant outside, `$name#`
// the variant inside a predicate.
var boundedFunctions = makeBounded()

// A builder is a text function. limit is the longest text that it may build.
type builder func(args []any, limit int) (any, error)

func makeBounded() map[string]*builtin.Function {
	out := map[string]*builtin.Function{}
	add := func(name string, result any, run func(args ...any) (any, error)) {
		typ := reflect.FuncOf([]reflect.Type{reflect.TypeFor[[]any]()}, []reflect.Type{reflect.TypeOf(result)}, true)
		out[name] = &builtin.Function{Name: name, Func: run, Types: []reflect.Type{typ}}
	}
	for name, build := range builders {
		var result any = ""
		if strings.HasPrefix(name, "split") {
			result = []string{}
		}
		add("$"+name, result, func(args ...any) (any, error) { return build(args, maxTextBytes) })
		add("$"+name+"#", result, func(args ...any) (any, error) { return build(args, maxElementTextBytes) })
	}
	for _, suffix := range []string{"", "#"} {
		add("$int"+suffix, 0, toInt)
		add("$float"+suffix, 0.0, toFloat)
	}
	list := reflect.FuncOf([]reflect.Type{reflect.TypeFor[any]()}, []reflect.Type{reflect.TypeFor[any]()}, false)
	for name, check := range map[string]func(...any) (any, error){"$list": boundedList, "$short": short} {
		out[name] = &builtin.Function{Name: name, Func: check, Types: []reflect.Type{list}}
	}
	for name, limit := range map[string]int{"$uniq": maxListLen, "$uniq#": maxElementUniqLen} {
		uniq := *builtin.Builtins[builtin.Index["uniq"]] // its time is quadratic
		inner := uniq.Func
		uniq.Name, uniq.Func = name, func(args ...any) (any, error) {
			if err := checkLen(args[0], limit); err != nil {
				return nil, err
			}
			return inner(args...)
		}
		out[name] = &uniq
	}
	return out
}

var builders = map[string]builder{
	"plus": func(a []any, limit int) (any, error) {
		x, y := a[0].(string), a[1].(string)
		if len(x)+len(y) > limit {
			return nil, errTextTooLong
		}
		return x + y, nil
	},
	"upper":      func(a []any, limit int) (any, error) { return mapText(strings.ToUpper, a, limit) },
	"lower":      func(a []any, limit int) (any, error) { return mapText(strings.ToLower, a, limit) },
	"toBase64":   func(a []any, limit int) (any, error) { return mapText(encodeBase64, a, limit) },
	"fromBase64": fromBase64,
	"string":     toText,
	"replace":    replace,
	"repeat":     repeat,
	"join":       join,
	"split":      func(a []any, limit int) (any, error) { return split(strings.SplitN, a, limit) },
	"splitAfter": func(a []any, limit int) (any, error) { return split(strings.SplitAfterN, a, limit) },
}

func encodeBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func mapText(f func(string) string, a []any, limit int) (any, error) {
	s := a[0].(string)
	if len(s) > limit {
		return nil, errTextTooLong
	}
	return f(s), nil
}

func fromBase64(a []any, limit int) (any, error) {
	s := a[0].(string)
	if len(s) > limit {
		return nil, errTextTooLong
	}
	out, err := base64.StdEncoding.DecodeString(s)
	return string(out), err
}

func toText(a []any, limit int) (any, error) {
	switch x := a[0].(type) {
	case string:
		return x, nil
	case int:
		return strconv.Itoa(x), nil
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(x), nil
	}
	return nil, fmt.Errorf("cannot make text of %T", a[0])
}

func replace(a []any, limit int) (any, error) {
	s, old, with, n := a[0].(string), a[1].(string), a[2].(string), -1
	if len(a) == 4 {
		n = a[3].(int)
	}
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if len(s) > limit || count > 0 && len(with)-len(old) > (limit-len(s))/count {
		return nil, errTextTooLong
	}
	return strings.Replace(s, old, with, n), nil
}

func repeat(a []any, limit int) (any, error) {
	s, n := a[0].(string), a[1].(int)
	if n < 0 {
		return nil, fmt.Errorf("repeat of %d times", n)
	}
	if n > limit || len(s)*n > limit {
		return nil, errTextTooLong
	}
	return strings.Repeat(s, n), nil
}

func join(a []any, limit int) (any, error) {
	glue := ""
	if len(a) == 2 {
		glue = a[1].(string)
	}
	parts, ok := a[0].([]string)
	if !ok {
		for _, p := range a[0].([]any) {
			parts = append(parts, p.(string))
		}
	}
	size := 0
	for _, p := range parts {
		if size += len(p) + len(glue); size > limit {
			return nil, errTextTooLong
		}
	}
	return strings.Join(parts, glue), nil
}

func split(f func(s, sep string, n int) []string, a []any, limit int) (any, error) {
	s, sep, n := a[0].(string), a[1].(string), -1
	if len(a) == 3 {
		n = a[2].(int)
	}
	if len(s) > limit {
		return nil, errTextTooLong
	}
	if n < 0 && strings.Count(s, sep) > maxListLen || n > maxListLen {
		return nil, fmt.Errorf("it splits into more than %d parts", maxListLen)
	}
	return f(s, sep, n), nil
}

// toInt refuses what has no integer; the engine's own differs by processor.
func toInt(a ...any) (any, error) {
	switch x := a[0].(type) {
	case int:
		return x, nil
	case float64:
		if !(x >= math.MinInt64 && x < math.MaxInt64) {
			return nil, fmt.Errorf("%v does not fit an int", x)
		}
		return int(x), nil
	case string:
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not an int", x)
		}
		return int(n), nil
	}
	return nil, fmt.Errorf("cannot make an int of %T", a[0])
}

func toFloat(a ...any) (any, error) {
	switch x := a[0].(type) {
	case int:
		return float64(x), nil
	case float64:
		return x, nil
	case string:
		f, err := strconv.ParseFloat(x, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not a float", x)
		}
		return f, nil
	}
	return nil, fmt.Errorf("cannot make a float of %T", a[0])
}

// boundedList passes a list through that is short enough to go over.
func boundedList(a ...any) (any, error) { return a[0], checkLen(a[0], maxListLen) }

// short passes a list or a text through that is short enough to be gone over
// once for each element of another list.
func short(a ...any) (any, error) {
	if s, ok := a[0].(string); ok && len(s) > maxElementReadBytes {
		return nil, fmt.Errorf("a text of %d bytes is read for every element of a list; the limit is %d", len(s), maxElementReadBytes)
	}
	return a[0], checkLen(a[0], maxElementListLen)
}

// checkLen checks a list's length; what is no list passes.
func checkLen(list any, limit int) error {
	n := 0
	switch x := list.(type) {
	case []any:
		n = len(x)
	case []int:
		n = len(x)
	case []float64:
		n = len(x)
	case []string:
		n = len(x)
	case []bool:
		n = len(x)
	}
	if n > limit {
		return fmt.Errorf("the list has %d elements; a function that goes over it takes at most %d here", n, limit)
	}
	return nil
}
