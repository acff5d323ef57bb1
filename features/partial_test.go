package features

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// calls are one aggregate for each kind of state.
var calls = [numKinds]string{
	kindCount: "count", kindSumInt: "sum(qty)", kindSumFloat: "sum(price)", kindMoments: "stddev(price)",
	kindMin: "min(item_id)", kindMax: "max(price)", kindFirst: "first(tags)", kindLast: "last_n(item_id, 3)",
	kindSketch: "distinct(item_id)", kindSet: "distinct(item_id, exact)", kindTopK: "topk(item_id, 2)", kindDecayed: "decayed_sum(price, 1h)",
}

func statesOf(t testing.TB, call string) states {
	t.Helper()
	a, err := ParseAggregate(call, row)
	if err != nil {
		t.Fatal(err)
	}
	k, p := kindOf(&a)
	s := newStates(k, p)
	s.resize(1)
	return s
}

// event is a row's argument for a call.
type event struct {
	timeMS int64
	value  mortise.Value
}

func argument(call string, i int) mortise.Value {
	switch {
	case strings.Contains(call, "price"):
		return mortise.FloatValue(float64(i*i)/8 - 3)
	case strings.Contains(call, "qty"):
		return mortise.IntValue(int64(i*i) - 10)
	case strings.Contains(call, "tags"):
		return mortise.ListValue([]mortise.Value{mortise.StringValue("a"), mortise.StringValue(fmt.Sprint(i))})
	}
	return mortise.StringValue(fmt.Sprint("item", i*i%5))
}

func show(v mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Float:
		return fmt.Sprint(v.Float())
	case mortise.List:
		parts := []string{}
		for _, e := range v.List() {
			parts = append(parts, show(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case mortise.Null:
		return "null"
	}
	return fmt.Sprint(v.Int())
}

// The written form is stored, so it may not change; neither may a result.
func TestGolden(t *testing.T) {
	const base = int64(1_700_000_000_000)
	for _, c := range []struct{ call, state, result, nothing string }{
		{"count", "06", "6", "0"},
		{"sum(qty)", "0609", "-5", "0"},
		{"avg(qty)", "0609", "-0.8333333333333334", "null"},
		{"stddev(qty)", "060003050004df01", "9.745084230865666", "null"},
		{"sum(price)", "06050359", "-11.125", "0"},
		{"stddev(price)", "060503590b040307", "1.2181355288582083", "null"},
		{"min(item_id)", "02056974656d30", "item0", "null"},
		{"max(price)", "04000000000000c03f", "0.125", "null"},
		{"first(tags)", "000706020161020130", "[a 0]", "null"},
		{"last(item_id)", "0101904e02056974656d30", "item0", "null"},
		{"last_n(item_id, 3)", "0303904e02056974656d30c03e02056974656d31f02e02056974656d34", "[item0 item1 item4]", "[]"},
		{"distinct(item_id)", "00818907c1d303c7c202", "3", "0"},
		{"distinct(item_id, exact)", "03f998a8a4a5bc909471ead7c5f593d58ec23afadfe4f6a4feeba928", "3", "0"},
		{"topk(item_id, 2)", "000302056974656d3005010102056974656d31010202056974656d340a0101", "[item0 item1]", "null"},
		{"decayed_sum(price, 1h)", "6b11ff5ebde2b1cf3e03", "-5.564124958825355", "null"},
	} {
		s := statesOf(t, c.call)
		if got := show(s.result(0, base)); got != c.nothing {
			t.Errorf("%s over nothing: %s, want %s", c.call, got, c.nothing)
		}
		for i := range 6 {
			s.add(0, argument(c.call, i), base+int64(i)*1000)
		}
		if got := hex.EncodeToString(s.append(nil, 0, base)); got != c.state {
			t.Errorf("%s: state %s, want %s", c.call, got, c.state)
		}
		if got := show(s.result(0, base+3_600_000)); got != c.result {
			t.Errorf("%s: %s, want %s", c.call, got, c.result)
		}
	}
}

// However events are divided and ordered, the state's bytes are the same.
func TestStatesAreCanonical(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 1))
	for k, call := range calls {
		for range 40 {
			var events []event
			for range 1 + rnd.IntN(60) {
				events = append(events, event{int64(rnd.IntN(20)) * 100_000, argument(call, rnd.IntN(8))})
			}
			want := stateBytes(t, call, events)
			for range 4 {
				rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				cut := rnd.IntN(len(events) + 1)
				whole := statesOf(t, call)
				for _, part := range [][]event{events[cut:], events[:cut]} {
					if len(part) == 0 {
						continue
					}
					if err := whole.absorb(0, stateBytes(t, call, part), 5000); err != nil {
						t.Fatal(err)
					}
				}
				if got := whole.append(nil, 0, 5000); !bytes.Equal(got, want) {
					t.Fatalf("%s (kind %d): %x, want %x", call, k, got, want)
				}
			}
		}
	}
}

func stateBytes(t testing.TB, call string, events []event) []byte {
	s := statesOf(t, call)
	for _, e := range events {
		s.add(0, e.value, e.timeMS)
	}
	return s.append(nil, 0, 5000)
}

// A row that is used again after resize knows nothing of before.
func TestStatesAreReset(t *testing.T) {
	for _, call := range calls {
		s := statesOf(t, call)
		want := stateBytes(t, call, []event{{7, argument(call, 2)}})
		for i := range 3000 { // enough to leave every small form
			v := argument(call, i)
			if v.Kind == mortise.String {
				v = mortise.StringValue(fmt.Sprint(i))
			}
			s.add(0, v, int64(i))
		}
		s.resize(1)
		if s.has(0) || show(s.result(0, 0)) != show(statesOf(t, call).result(0, 0)) {
			t.Errorf("%s: the row is not empty", call)
		}
		s.add(0, argument(call, 2), 7)
		if got := s.append(nil, 0, 5000); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", call, got, want)
		}
	}
}

func TestSumsOfIntegersDoNotWrap(t *testing.T) {
	for _, c := range []struct {
		values []int64
		want   int64
	}{
		{[]int64{math.MaxInt64, 1}, math.MaxInt64},
		{[]int64{math.MinInt64, -1}, math.MinInt64},
		{[]int64{math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64}, -2},
		{[]int64{math.MaxInt64, math.MinInt64}, -1},
		{[]int64{math.MinInt64}, math.MinInt64},
	} {
		s := statesOf(t, "sum(qty)")
		for _, v := range c.values {
			s.add(0, mortise.IntValue(v), 0)
		}
		again := statesOf(t, "sum(qty)")
		if err := again.absorb(0, s.append(nil, 0, 0), 0); err != nil {
			t.Fatal(err)
		}
		if got := again.result(0, 0).Int(); got != c.want {
			t.Errorf("%v: %d, want %d", c.values, got, c.want)
		}
	}
}

// Values that compare equal are one value, whatever their bits.
func TestZeroHasNoSign(t *testing.T) {
	negative := mortise.FloatValue(math.Copysign(0, -1))
	for _, call := range []string{"min(price)", "last(price)", "distinct(price, exact)", "distinct(price)", "topk(price, 1)", "sum(price)"} {
		if a, b := stateBytes(t, call, []event{{1, negative}}), stateBytes(t, call, []event{{1, mortise.FloatValue(0)}}); !bytes.Equal(a, b) {
			t.Errorf("%s: %x and %x", call, a, b)
		}
	}
}

func TestSetIsExact(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 1))
	for _, below := range []uint64{10, 1000, math.MaxUint64} {
		want, whole := map[uint64]bool{}, statesOf(t, "distinct(qty, exact)")
		for range 30 {
			part := statesOf(t, "distinct(qty, exact)")
			for range 1 + rnd.IntN(2000) {
				v := rnd.Uint64N(below)
				want[v] = true
				part.add(0, mortise.IntValue(int64(v)), 0)
			}
			if rnd.IntN(2) == 0 {
				part.result(0, 0) // which sorts it
			}
			if err := whole.absorb(0, part.append(nil, 0, 0), 0); err != nil {
				t.Fatal(err)
			}
			if got := whole.result(0, 0).Int(); rnd.IntN(3) == 0 && got != int64(len(want)) {
				t.Fatalf("values below %d: %d, want %d", below, got, len(want))
			}
		}
		if got := whole.result(0, 0).Int(); got != int64(len(want)) {
			t.Fatalf("values below %d: %d, want %d", below, got, len(want))
		}
	}
}

func TestSketchError(t *testing.T) {
	const trials = 200
	for _, n := range []int{1, 10, 100, 1000, 5000, 20_000, 100_000} {
		if testing.Short() && n > 5000 {
			continue
		}
		mean, square, worst := 0.0, 0.0, 0.0
		for trial := range trials {
			var s sketch
			for i := range n {
				h := uint64(trial)<<32 | uint64(i)
				s.add(nil, mortise.IntValue(int64(h)), 0)
			}
			off := float64(s.result(nil, 0).Int())/float64(n) - 1
			mean, square, worst = mean+off/trials, square+off*off/trials, max(worst, math.Abs(off))
		}
		t.Logf("%d values: off by %+.4f on average, standard error %.4f, worst %.4f", n, mean, math.Sqrt(square), worst)
		standard := 1.04 / math.Sqrt(registers)
		if math.Sqrt(square) > 1.15*standard || math.Abs(mean) > 4*standard/math.Sqrt(trials) || worst > 4.5*standard+1/float64(n) {
			t.Errorf("%d values: standard error %.4f, mean %.4f, worst %.4f; expected about %.4f", n, math.Sqrt(square), mean, worst, standard)
		}
	}
}

// Beyond MaxTopKValues the counts are of a sample, which neither order nor grouping
// changes, and in which frequent values stay.
func TestTopKBeyondItsBound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 1))
	var events []event
	share := []float64{0.1, 0.05, 0.03}
	const n = 60_000
	for i := range n {
		name := fmt.Sprint("rare", rnd.IntN(40_000))
		at := rnd.Float64()
		for k, s := range share {
			if at -= s; at < 0 {
				name = fmt.Sprint("frequent", k)
				break
			}
		}
		events = append(events, event{int64(i), mortise.StringValue(name)})
	}
	want := stateBytes(t, "topk(item_id, 3)", events)
	s := statesOf(t, "topk(item_id, 3)")
	if err := s.absorb(0, want, 5000); err != nil {
		t.Fatal(err)
	}
	if got := show(s.result(0, 0)); got != "[frequent0 frequent1 frequent2]" {
		t.Errorf("the most frequent are %s", got)
	}
	f := &s.(*rows[frequent, *frequent]).states[0]
	if f.level == 0 || len(f.counts) > MaxTopKValues || len(f.counts) < MaxTopKValues/4 {
		t.Errorf("level %d with %d values", f.level, len(f.counts))
	}
	for k, share := range share {
		v := mortise.StringValue(fmt.Sprint("frequent", k))
		key := view(v)
		got := float64(f.counts[string(key.append(nil))].total() << f.level)
		if off := math.Abs(got/(share*n) - 1); off > 4/math.Sqrt(2048*share) {
			t.Errorf("%s: about %.0f of %.0f", v.Text(), got, share*n)
		}
	}
	rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	whole := statesOf(t, "topk(item_id, 3)")
	for len(events) > 0 {
		cut := min(len(events), 1+rnd.IntN(9000))
		if err := whole.absorb(0, stateBytes(t, "topk(item_id, 3)", events[:cut]), 5000); err != nil {
			t.Fatal(err)
		}
		events = events[cut:]
	}
	if !bytes.Equal(whole.append(nil, 0, 5000), want) {
		t.Error("another order and grouping gives another state")
	}
}

// Bytes that are no state give an error; what gives none is read back as it is written.
func FuzzState(f *testing.F) {
	for k, call := range calls {
		f.Add(uint8(k), stateBytes(f, call, []event{{1, argument(call, 1)}, {90_000, argument(call, 3)}, {90_000, argument(call, 3)}}))
	}
	var dense []event
	for i := range 3000 {
		dense = append(dense, event{0, mortise.StringValue(fmt.Sprint(i))})
	}
	f.Add(uint8(kindSketch), stateBytes(f, calls[kindSketch], dense))
	f.Fuzz(func(t *testing.T, k uint8, state []byte) {
		k %= uint8(numKinds)
		s := statesOf(t, calls[k])
		if err := s.absorb(0, state, 5000); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		once := s.append(nil, 0, 5000)
		again := statesOf(t, calls[k])
		if err := again.absorb(0, once, 5000); err != nil {
			t.Fatalf("%x became %x: %v", state, once, err)
		}
		if twice := again.append(nil, 0, 5000); !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x, and that %x", state, once, twice)
		}
		s.result(0, 10_000_000)
	})
}
