package tiling

import (
	"math"
	"reflect"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func somePacked() mortise.Row {
	return mortise.Row{mortise.StringValue("käse|"), mortise.IntValue(math.MinInt64), mortise.FloatValue(-0.5), mortise.BoolValue(true), mortise.BoolValue(false), mortise.TimestampValue(1_700_000_000_000),
		mortise.ListValue([]mortise.Value{mortise.IntValue(3), mortise.NullValue(), mortise.StringValue("")}), mortise.NullValue(), mortise.StringValue("")}
}

func packed() (*parcel, []int) {
	n := len(somePacked())
	fields, numbers, slots := make([]string, n), make([]uint32, n), make([]int, n)
	for i := range n {
		fields[i], numbers[i], slots[i] = string(rune('a'+i)), uint32(n-i)*3, i
	}
	return newParcel(fields, numbers), slots
}

// TestParcel packs values of every kind, and unpacks them: by whoever knows all of
// the fields, and by one who knows one of them, and another that was not sent.
func TestParcel(t *testing.T) {
	p, slots := packed()
	value := p.append(nil, 7, -5, somePacked(), slots)
	got := make(mortise.Row, len(slots))
	if from, ms, err := p.read(value, got); err != nil || from != 7 || ms != -5 || !reflect.DeepEqual(got, somePacked()) {
		t.Fatalf("%d, %d, %v, %v", from, ms, err, got)
	}
	other := newParcel([]string{"x", "b"}, []uint32{1, p.numbers[1]})
	got = mortise.Row{mortise.IntValue(1), mortise.IntValue(2)}
	if _, _, err := other.read(value, got); err != nil || !got[0].IsNull() || got[1].Int() != math.MinInt64 {
		t.Errorf("%v, %v", err, got)
	}
	for n := range value {
		if _, _, err := p.read(value[:n], make(mortise.Row, len(slots))); err == nil && n < 3 {
			t.Errorf("%d bytes are a parcel", n)
		}
	}
}

// FuzzParcel reads anything; what it takes for a parcel it packs into one of the same
// values.
func FuzzParcel(f *testing.F) {
	p, slots := packed()
	f.Add(p.append(nil, 7, -5, somePacked(), slots))
	f.Add([]byte{parcelFormat, 0, 0})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, value []byte) {
		row := make(mortise.Row, len(slots))
		from, ms, err := p.read(value, row)
		if err != nil {
			return
		}
		again := make(mortise.Row, len(slots))
		f2, ms2, err := p.read(p.append(nil, from, ms, row, slots), again)
		if err != nil || f2 != from || ms2 != ms {
			t.Fatalf("%d, %d became %d, %d, %v", from, ms, f2, ms2, err)
		}
		for i := range row { // NaN is not itself
			if row[i].Kind != again[i].Kind || row[i].Kind != mortise.Float && row[i].Kind != mortise.List && !reflect.DeepEqual(row[i], again[i]) {
				t.Fatalf("%v became %v", row[i], again[i])
			}
		}
	})
}
