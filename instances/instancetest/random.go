// Package instancetest makes instances for the tests of the formats that stage 5,
// instances, is written in, and says when two of them are the same row.
package instancetest

import (
	"fmt"
	"math"
	"math/rand"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Columns draws columns: up to three labels, and selected fields of every type.
func Columns(rnd *rand.Rand) *instances.Columns {
	var labels []string
	for i := range rnd.Intn(4) {
		labels = append(labels, fmt.Sprintf("l%d", i))
	}
	var selected mortise.Schema
	for i := range rnd.Intn(12) {
		typ := mortise.Type{Kind: mortise.String + mortise.Kind(rnd.Intn(6)), Nullable: rnd.Intn(2) == 0}
		if typ.Kind == mortise.List {
			typ.Elem = mortise.String + mortise.Kind(rnd.Intn(5))
		}
		selected = append(selected, mortise.Field{Name: fmt.Sprintf("f%d_%s", i, typ.Kind), Type: typ})
	}
	c, err := instances.NewColumns(labels, selected)
	if err != nil {
		panic(err) // the names above differ
	}
	return c
}

// Instance draws an instance of the columns, its edges included: texts that are
// not UTF-8, numbers that are not finite, nulls where the type has them.
func Instance(rnd *rand.Rand, c *instances.Columns) *instances.Instance {
	in := &instances.Instance{ID: Text(rnd), TimeMS: rnd.Int63() - rnd.Int63(), Labels: make([]instances.LabelValue, len(c.Labels())),
		Weight: finite(rnd), Revision: int32(rnd.Intn(5)), Final: rnd.Intn(2) == 0, Late: rnd.Intn(2) == 0}
	for i := range in.Labels {
		if rnd.Intn(2) == 0 {
			in.Labels[i] = instances.LabelValue{Value: finite(rnd), FirstMS: rnd.Int63() - rnd.Int63(), Count: 1 + rnd.Int63n(9)}
		}
	}
	for range rnd.Intn(3) {
		in.Degraded = append(in.Degraded, fmt.Sprintf("d%d:stale", rnd.Intn(5)))
	}
	for _, f := range c.Selected() {
		in.Selected = append(in.Selected, value(rnd, f.Type))
	}
	return in
}

func value(rnd *rand.Rand, typ mortise.Type) mortise.Value {
	switch {
	case typ.Nullable && rnd.Intn(4) == 0:
		return mortise.NullValue()
	case typ.Nullable && rnd.Intn(20) == 0:
		return mortise.Value{}
	case typ.Kind != mortise.List:
		return scalar(rnd, typ.Kind)
	}
	list := make([]mortise.Value, rnd.Intn(5))
	for i := range list {
		list[i] = scalar(rnd, typ.Elem)
	}
	return mortise.ListValue(list)
}

func scalar(rnd *rand.Rand, kind mortise.Kind) mortise.Value {
	switch kind {
	case mortise.Int:
		return mortise.IntValue(integer(rnd))
	case mortise.Timestamp:
		return mortise.TimestampValue(integer(rnd))
	case mortise.Float:
		if rnd.Intn(8) == 0 {
			return mortise.FloatValue([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[rnd.Intn(4)])
		}
		return mortise.FloatValue(finite(rnd))
	case mortise.Bool:
		return mortise.BoolValue(rnd.Intn(2) == 0)
	}
	return mortise.TextValue(Text(rnd))
}

func integer(rnd *rand.Rand) int64 {
	if rnd.Intn(8) == 0 {
		return []int64{0, math.MinInt64, math.MaxInt64, -1, 1 << 53}[rnd.Intn(5)]
	}
	return int64(rnd.Uint64()) >> rnd.Intn(64)
}

func finite(rnd *rand.Rand) float64 {
	if rnd.Intn(2) == 0 {
		return float64(rnd.Intn(100)) / 4
	}
	for {
		if f := math.Float64frombits(rnd.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
}

// Text draws a short text; now and then one that is not UTF-8.
func Text(rnd *rand.Rand) []byte {
	runes := []rune("ab|\\\"\n\t\x00\x1f\x7f/<é日\u2028😀\ufffd")
	var text []byte
	for range rnd.Intn(12) {
		if rnd.Intn(40) == 0 {
			text = append(text, byte(rnd.Intn(256)))
			continue
		}
		text = append(text, string(runes[rnd.Intn(len(runes))])...)
	}
	return text
}
