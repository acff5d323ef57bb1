package features

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/zeebo/xxh3"
)

// datum is a value that a partial aggregate keeps. Text and lists are its own:
// set copies them, into the buffer that is there.
type datum struct {
	kind mortise.Kind
	bits uint64
	text []byte // of a string, or a list's elements as appendDatum writes them
}

// set makes the datum a copy of v, which is not null.
func (a *datum) set(v mortise.Value) {
	a.kind, a.bits, a.text = v.Kind, 0, a.text[:0]
	switch v.Kind {
	case mortise.String:
		a.text = append(a.text, v.Text()...)
	case mortise.List:
		for _, e := range v.List() {
			item := view(e)
			a.text = item.append(a.text)
		}
	default:
		a.bits = number(v)
	}
}

// view returns v, which is not null, as a datum that aliases it.
func view(v mortise.Value) (a datum) {
	switch v.Kind {
	case mortise.String:
		return datum{kind: v.Kind, text: v.Text()}
	case mortise.List:
		a.set(v)
		return a
	}
	return datum{kind: v.Kind, bits: number(v)}
}

// copyFrom makes the datum a copy of b.
func (a *datum) copyFrom(b *datum) {
	a.kind, a.bits, a.text = b.kind, b.bits, append(a.text[:0], b.text...)
}

// value returns the datum as a value that aliases it. Lists are made anew.
func (a *datum) value() mortise.Value {
	switch a.kind {
	case mortise.String:
		return mortise.TextValue(a.text)
	case mortise.Int:
		return mortise.IntValue(int64(a.bits))
	case mortise.Timestamp:
		return mortise.TimestampValue(int64(a.bits))
	case mortise.Float:
		return mortise.FloatValue(math.Float64frombits(a.bits))
	case mortise.Bool:
		return mortise.BoolValue(a.bits != 0)
	case mortise.List:
		d := decoder{data: a.text}
		list := []mortise.Value{}
		for len(d.data) > 0 {
			var item datum
			item.decode(&d)
			list = append(list, item.value())
		}
		return mortise.ListValue(list)
	}
	return mortise.NullValue()
}

// compare orders data: numbers by size, false before true, text by its bytes,
// lists by the bytes that they are written as. Of two kinds, the lower comes first.
func (a *datum) compare(b *datum) int {
	if a.kind != b.kind {
		return cmp.Compare(a.kind, b.kind)
	}
	switch a.kind {
	case mortise.Int, mortise.Timestamp:
		return cmp.Compare(int64(a.bits), int64(b.bits))
	case mortise.Float:
		return cmp.Compare(math.Float64frombits(a.bits), math.Float64frombits(b.bits))
	case mortise.Bool:
		return cmp.Compare(a.bits, b.bits)
	}
	return bytes.Compare(a.text, b.text)
}

// append writes the datum: its kind, then its number or its length and bytes.
func (a *datum) append(dst []byte) []byte {
	dst = append(dst, byte(a.kind))
	switch a.kind {
	case mortise.Int, mortise.Timestamp:
		return appendVarint(dst, int64(a.bits))
	case mortise.Float:
		return binary.LittleEndian.AppendUint64(dst, a.bits)
	case mortise.Bool:
		return append(dst, byte(a.bits))
	}
	return appendText(dst, a.text)
}

// decode reads what append wrote; text aliases the bytes that it is read from.
func (a *datum) decode(d *decoder) {
	*a = datum{kind: mortise.Kind(d.byte())}
	switch a.kind {
	case mortise.Int, mortise.Timestamp:
		a.bits = uint64(d.varint())
	case mortise.Float:
		if b := d.take(8); b != nil {
			a.bits = binary.LittleEndian.Uint64(b)
		}
		if f := math.Float64frombits(a.bits); math.IsNaN(f) || math.IsInf(f, 0) {
			d.fail()
		}
	case mortise.Bool:
		if a.bits = uint64(d.byte()); a.bits > 1 {
			d.fail()
		}
	case mortise.String:
		a.text = d.text()
	case mortise.List:
		a.text = d.text()
		for items := (decoder{data: a.text}); len(items.data) > 0 && !d.bad; {
			var item datum
			item.decode(&items)
			if d.bad = items.bad || item.kind == mortise.List; d.bad {
				d.fail()
			}
		}
	default:
		d.fail()
	}
}

// hash is the 64-bit hash of a value that is neither null nor a list: XXH3, which
// is specified, so that it is the same on every machine and in every release.
func hash(v mortise.Value) uint64 {
	if v.Kind == mortise.String {
		return xxh3.Hash(v.Text())
	}
	var raw [9]byte
	raw[0] = byte(v.Kind)
	binary.LittleEndian.PutUint64(raw[1:], number(v))
	return xxh3.Hash(raw[:])
}

// number is the 64 bits of a value that is neither text nor a list. Two values of
// a kind have the same exactly if they are equal: -0 is 0.
func number(v mortise.Value) uint64 {
	if v.Kind == mortise.Float {
		return math.Float64bits(v.Float() + 0)
	}
	return uint64(v.Int())
}
