package featurestest

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// Event is one event of a source.
type Event struct {
	Source int
	TimeMS int64
	Row    mortise.Row
}

// taken is an event's argument, where its definition takes it.
type taken struct {
	timeMS int64
	value  mortise.Value
}

// Want computes a feature from the raw events, in the plainest way: those of the
// entity in [floor(asOf-window), floor(asOf)) that `where` takes and whose argument
// is not null. Estimates and decayed sums come with a tolerance relative to the
// answer; all else has none.
func Want(d *features.Definition, events []Event, entity string, asOfMS int64) (want mortise.Value, tolerance float64) {
	tile := d.Tile.Milliseconds()
	to := floor(asOfMS, tile)
	from := floor(asOfMS-d.Window.Milliseconds(), tile)
	var in []taken
	for i := range events {
		e := &events[i]
		if Sources[e.Source].Name == d.Source && e.TimeMS >= from && e.TimeMS < to && entityOf(d, e.Row) == entity {
			if v, ok := argument(d, e.Row); ok {
				in = append(in, taken{e.TimeMS, v})
			}
		}
	}
	slices.SortFunc(in, func(a, b taken) int { return cmp.Or(cmp.Compare(a.timeMS, b.timeMS), Compare(a.value, b.value)) })
	return aggregate(&d.Aggregate, in, to)
}

func floor(timeMS, tile int64) int64 {
	return timeMS - (timeMS%tile+tile)%tile
}

func entityOf(d *features.Definition, row mortise.Row) string {
	var parts []string
	for _, field := range d.Entity {
		key, _ := row[Row.Index(field)].AppendKey(nil)
		parts = append(parts, string(key))
	}
	return strings.Join(parts, "|")
}

func argument(d *features.Definition, row mortise.Row) (mortise.Value, bool) {
	if w := d.Where; w != nil {
		if ok, err := w.Bind(slots(w.Fields())).True(row); err != nil || !ok {
			return mortise.Value{}, false
		}
	}
	a := d.Aggregate.Arg
	if a == nil {
		return mortise.Value{}, true
	}
	v, err := a.Bind(slots(a.Fields())).Eval(row)
	return v, err == nil && !v.IsNull()
}

func slots(fields []string) (out []int) {
	for _, f := range fields {
		out = append(out, Row.Index(f))
	}
	return out
}

func aggregate(a *features.Aggregate, in []taken, asOfMS int64) (want mortise.Value, tolerance float64) {
	n := len(in)
	switch a.Func {
	case "count":
		return mortise.IntValue(int64(n)), 0
	case "sum":
		return sum(a, in), 0
	case "distinct":
		seen := map[string]bool{}
		for _, e := range in {
			seen[Format(e.value)] = true
		}
		if !a.Exact {
			tolerance = 0.08 // five standard errors
		}
		return mortise.IntValue(int64(len(seen))), tolerance
	case "last_n":
		list := []mortise.Value{}
		for i := n - 1; i >= max(0, n-a.N); i-- {
			list = append(list, in[i].value)
		}
		return mortise.ListValue(list), 0
	}
	if n == 0 {
		return mortise.NullValue(), 0
	}
	switch a.Func {
	case "first":
		return in[0].value, 0
	case "last":
		return in[n-1].value, 0
	case "topk":
		return topk(a, in), 0
	case "avg":
		total, _ := exactSum(in, 1).Float64()
		return mortise.FloatValue(total / float64(n)), 0
	case "stddev":
		return stddev(in), 0
	case "decayed_sum":
		return decayedSum(a, in, asOfMS)
	}
	slices.SortFunc(in, func(a, b taken) int { return Compare(a.value, b.value) })
	if a.Func == "min" {
		return in[0].value, 0
	}
	return in[n-1].value, 0
}

// exactSum is Σ vᵖ.
func exactSum(in []taken, power int) *big.Float {
	total := new(big.Float).SetPrec(6000)
	for _, e := range in {
		v := new(big.Float).SetPrec(6000)
		if e.value.Kind == mortise.Float {
			v.SetFloat64(e.value.Float())
		} else {
			v.SetInt64(e.value.Int())
		}
		if power == 2 {
			v.Mul(v, v)
		}
		total.Add(total, v)
	}
	return total
}

func sum(a *features.Aggregate, in []taken) mortise.Value {
	total := exactSum(in, 1)
	if a.Type.Kind == mortise.Float {
		v, _ := total.Float64()
		return mortise.FloatValue(v)
	}
	v, _ := total.Int64() // the nearest where it does not fit
	return mortise.IntValue(v)
}

func stddev(in []taken) mortise.Value {
	if len(in) < 2 {
		return mortise.NullValue()
	}
	count := new(big.Float).SetPrec(6000).SetInt64(int64(len(in)))
	mean := new(big.Float).SetPrec(6000).Quo(exactSum(in, 1), count)
	squares := exactSum(in, 2) // Σ(x-mean)² = Σx² - n·mean²
	squares.Sub(squares, mean.Mul(count, mean.Mul(mean, mean)))
	if exponent := squares.MantExp(nil); squares.Sign() <= 0 || exponent < -2500 { // what rounding 6000 bits leaves of nothing
		return mortise.FloatValue(0)
	}
	squares.Quo(squares, count.SetInt64(int64(len(in)-1)))
	v, _ := squares.Sqrt(squares).Float64()
	return mortise.FloatValue(v)
}

func decayedSum(a *features.Aggregate, in []taken, asOfMS int64) (mortise.Value, float64) {
	total, size := new(big.Float).SetPrec(6000), new(big.Float)
	for _, e := range in {
		number, _ := e.value.Number()
		v := new(big.Float).SetPrec(200).SetFloat64(number)
		half := float64(asOfMS-e.timeMS) / float64(a.HalfLife.Milliseconds())
		v.Mul(v, big.NewFloat(math.Exp2(math.Floor(half)-half)))
		v.SetMantExp(v, -int(math.Floor(half)))
		total.Add(total, v)
		size.Add(size, v.Abs(v))
	}
	want, _ := total.Float64()
	if math.Abs(want) < 1e-300 || math.IsInf(want, 0) { // too small for a relative difference
		return mortise.FloatValue(want), math.Inf(1)
	}
	ratio, _ := size.Quo(size, total.Abs(total)).Float64()
	return mortise.FloatValue(want), 1e-13 * ratio
}

func topk(a *features.Aggregate, in []taken) mortise.Value {
	counts := map[string]int{}
	values := []mortise.Value{}
	for _, e := range in {
		if counts[Format(e.value)]++; counts[Format(e.value)] == 1 {
			values = append(values, e.value)
		}
	}
	slices.SortFunc(values, func(a, b mortise.Value) int {
		return cmp.Or(cmp.Compare(counts[Format(b)], counts[Format(a)]), Compare(a, b))
	})
	return mortise.ListValue(values[:min(a.N, len(values))])
}

// Compare orders values of one kind: numbers by size, text by its bytes, lists by
// their elements' lengths and bytes.
func Compare(a, b mortise.Value) int {
	switch a.Kind {
	case mortise.Float:
		return cmp.Compare(a.Float(), b.Float())
	case mortise.String:
		return cmp.Compare(string(a.Text()), string(b.Text()))
	case mortise.List:
		return cmp.Compare(listBytes(a), listBytes(b))
	}
	return cmp.Compare(a.Int(), b.Int())
}

func listBytes(v mortise.Value) string {
	var out []byte
	for _, e := range v.List() {
		out = append(append(out, byte(len(e.Text()))), e.Text()...)
	}
	return string(out)
}

// Format writes a value so that two give the same text exactly if they are equal
// to the bit.
func Format(v mortise.Value) string {
	switch v.Kind {
	case mortise.Null:
		return "null"
	case mortise.Float:
		return fmt.Sprintf("float %x", v.Float())
	case mortise.String:
		return fmt.Sprintf("string %q", v.Text())
	case mortise.List:
		items := []string{}
		for _, e := range v.List() {
			items = append(items, Format(e))
		}
		return fmt.Sprintf("%v", items)
	}
	return fmt.Sprintf("%s %d", v.Kind, v.Int())
}

// Agrees reports whether got is want within the tolerance.
func Agrees(got, want mortise.Value, tolerance float64) bool {
	if tolerance == 0 {
		return Format(got) == Format(want)
	}
	g, ok := got.Number()
	w, _ := want.Number()
	return ok && got.Kind == want.Kind && (math.IsInf(tolerance, 1) || math.Abs(g-w) <= tolerance*math.Abs(w))
}
