package expression

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// TestQuickIsTheEngine holds random conditions, over random rows, against the
// engine: value for value and error for error.
func TestQuickIsTheEngine(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	quick := 0
	for range 3000 {
		src := randomCondition(rng, 3)
		p, err := Compile(src, quickSchema)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if p.quick == nil {
			continue
		}
		quick++
		fast, slow := bind(p, quickSchema), bind(p, quickSchema)
		slow.quick = nil
		for range 8 {
			row := randomRow(rng)
			a, errA := fast.Eval(row)
			b, errB := slow.Eval(row)
			if show(a) != show(b) || fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Fatalf("%s over %s: quick %s %v, engine %s %v", src, show(mortise.ListValue(row)), show(a), errA, show(b), errB)
			}
			ta, _ := fast.True(row)
			tb, _ := slow.True(row)
			if ta != tb {
				t.Fatalf("%s over %s: True is %v, of the engine %v", src, show(mortise.ListValue(row)), ta, tb)
			}
		}
	}
	if quick < 2000 {
		t.Errorf("only %d of 3000 conditions were quick", quick)
	}
}

var quickSchema = mortise.Schema{
	{Name: "i", Type: typ("int")}, {Name: "ni", Type: typ("int?")},
	{Name: "f", Type: typ("float")}, {Name: "nf", Type: typ("float?")},
	{Name: "s", Type: typ("string")}, {Name: "ns", Type: typ("string?")},
	{Name: "b", Type: typ("bool")}, {Name: "nb", Type: typ("bool?")},
	{Name: "t", Type: typ("timestamp")}, {Name: "nt", Type: typ("timestamp?")},
}

func pick[E any](rng *rand.Rand, from ...E) E { return from[rng.IntN(len(from))] }

// randomCondition makes a condition of the forms that quick.go knows, and now
// and then of one that it does not.
func randomCondition(rng *rand.Rand, depth int) string {
	if depth > 0 && rng.IntN(2) == 0 {
		a, b := randomCondition(rng, depth-1), randomCondition(rng, depth-1)
		return pick(rng, "("+a+" && "+b+")", "("+a+" || "+b+")", "not ("+a+")", "("+a+" and "+b+" or "+a+")")
	}
	operator := pick(rng, "==", "!=", "<", "<=", ">", ">=")
	var field, literal string
	switch rng.IntN(5) {
	case 0:
		return pick(rng, "b", "nb", "!nb")
	case 1:
		field, literal = pick(rng, "s", "ns"), pick(rng, `""`, `"a"`, `"ä"`, `"b"`)
	case 2:
		return pick(rng, "ni", "nf", "ns", "nb", "i") + pick(rng, " == nil", " != nil")
	case 3:
		field, literal = pick(rng, "i", "ni", "f", "nf", "t", "nt"), pick(rng, "0", "1", "2", "9007199254740993")
	default:
		field, literal = pick(rng, "i", "ni", "f", "nf", "t", "nt"), pick(rng, "0.0", "1.5", "1e300", "9007199254740993.0")
	}
	if rng.IntN(3) == 0 {
		field, literal = literal, field
	}
	return strings.Join([]string{field, operator, literal}, " ")
}

func randomRow(rng *rand.Rand) mortise.Row {
	row := make(mortise.Row, len(quickSchema))
	for i, f := range quickSchema {
		if rng.IntN(4) == 0 && (f.Type.Nullable || rng.IntN(20) == 0) {
			row[i] = pick(rng, mortise.NullValue(), mortise.Value{})
			continue
		}
		n := pick(rng, int64(0), 1, 2, -1, 9007199254740992, 9007199254740993, math.MaxInt64, math.MinInt64)
		switch f.Type.Kind {
		case mortise.Int:
			row[i] = mortise.IntValue(n)
		case mortise.Timestamp:
			row[i] = mortise.TimestampValue(n)
		case mortise.Float:
			row[i] = mortise.FloatValue(pick(rng, 0, 1, 1.5, -2, 9007199254740992, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)))
		case mortise.String:
			row[i] = mortise.StringValue(pick(rng, "", "a", "ä", "b", "aa"))
		case mortise.Bool:
			row[i] = mortise.BoolValue(rng.IntN(2) == 0)
		}
	}
	return row
}

// TestNullWhereNoneCanBe: a row that breaks its schema is an error on both ways.
func TestNullWhereNoneCanBe(t *testing.T) {
	for _, src := range []string{`i >= 1`, `i + 1 >= 1`, `ni == 1 || i > 0`} {
		p, err := Compile(src, quickSchema)
		if err != nil {
			t.Fatal(err)
		}
		row := make(mortise.Row, len(quickSchema))
		_, err = bind(p, quickSchema).True(row)
		if err == nil || !strings.Contains(err.Error(), "field i is null, but declared int") {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// FuzzCompile: no source makes the compiler panic, and what compiles evaluates
// to its type, to null where the type allows it, or to an error.
func FuzzCompile(f *testing.F) {
	for _, src := range []string{`position >= 1`, `ni ?? 0`, `let a = i; a == nil ? 1 : a`, `map(xs, # + 1)[0] in 1..3`, `name[1:] + "x"`, `item.brand contains "a"`, `filter(tags, # matches "^a") | len()`} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := Compile(src, schema)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Col < 1 || e.Message == "" {
				t.Fatalf("%q: %#v", src, err)
			}
			return
		}
		v, err := bind(p, schema).Eval(row)
		if err != nil {
			return
		}
		if v.Kind == mortise.Null && !p.Type().Nullable || v.Kind != mortise.Null && v.Kind != p.Type().Kind {
			t.Fatalf("%q: %s of type %s", src, show(v), p.Type())
		}
	})
}
