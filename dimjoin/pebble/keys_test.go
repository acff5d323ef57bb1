package pebble_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	goPebble "github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin/pebble"
)

// checkOrder says where the comparer breaks what Pebble relies on, of two keys
// whatever: base.Comparer lists it, and a Pebble built with -race asserts some of it,
// of some keys.
func checkOrder(a, b []byte) error {
	c := pebble.Comparer
	n, m := c.Split(a), c.Split(b)
	prefix, other := a[:n], b[:m]
	if c.Split(prefix) != n {
		return fmt.Errorf("the prefix %q of %q has the prefix %q", prefix, a, prefix[:c.Split(prefix)])
	}
	if n < len(a) && c.Compare(prefix, a) >= 0 {
		return fmt.Errorf("the prefix %q is not before its key %q", prefix, a)
	}
	want := cmp.Or(bytes.Compare(prefix, other), c.ComparePointSuffixes(a[n:], b[m:]))
	if got := c.Compare(a, b); got != want || c.Equal(a, b) != (got == 0) {
		return fmt.Errorf("%q is %d to %q, and by prefix and time %d", a, got, b, want)
	}
	if x, y := c.AbbreviatedKey(a), c.AbbreviatedKey(b); x != y && cmp.Compare(x, y) != want {
		return fmt.Errorf("%q is %d to %q, and abbreviated %d", a, want, b, cmp.Compare(x, y))
	}
	if k := c.Successor(nil, a); c.Compare(a, k) > 0 {
		return fmt.Errorf("the successor %q is before %q", k, a)
	}
	if want < 0 && len(a) > 0 {
		if k := c.Separator(nil, a, b); c.Compare(a, k) > 0 || c.Compare(k, b) >= 0 {
			return fmt.Errorf("%q does not separate %q and %q", k, a, b)
		}
	}
	next := c.ImmediateSuccessor(nil, prefix)
	if c.Split(next) != len(next) || c.Compare(prefix, next) >= 0 {
		return fmt.Errorf("%q is no prefix after %q", next, prefix)
	}
	if c.Compare(prefix, other) < 0 && c.Compare(other, next) < 0 {
		return fmt.Errorf("%q lies between the prefixes %q and %q", other, prefix, next)
	}
	return nil
}

// TestOrder is of every two keys of up to four bytes that matter, parts of keys and
// what Pebble makes of keys among them.
func TestOrder(t *testing.T) {
	keys := [][]byte{{}}
	for from, length := 0, 0; length < 4; length++ {
		to := len(keys)
		for _, k := range keys[from:to] {
			for _, c := range []byte{0, 1, 2, 0xfe, 0xff} {
				keys = append(keys, append(slices.Clip(k), c))
			}
		}
		from = to
	}
	for _, a := range keys {
		for _, b := range keys {
			if err := checkOrder(a, b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCheckComparer is Pebble's own test of a comparer, with the keys of rows.
func TestCheckComparer(t *testing.T) {
	var prefixes, times [][]byte
	for _, version := range []uint32{0, 1, 0x72_00_01, math.MaxUint32} {
		for _, key := range []string{"", "a", "135", "a key of more than fifteen bytes", "\x00", "\x00\x01", "\x01", "a\x00\xffb", "\xff\xff"} {
			row := pebble.AppendRow(nil, version, []byte(key), 0)
			prefixes = append(prefixes, row[:len(row)-8])
		}
	}
	for _, ms := range []int64{math.MinInt64, -1, 0, 1, 1_700_000_000_000, math.MaxInt64} {
		row := pebble.AppendRow(nil, 0, nil, ms)
		times = append(times, row[len(row)-8:])
	}
	if err := goPebble.CheckComparer(pebble.Comparer, prefixes, times); err != nil {
		t.Error(err)
	}
}

// FuzzKeys holds the comparer to its rules, and rows to the order of version, key, and
// time, newest first.
func FuzzKeys(f *testing.F) {
	f.Add(uint32(0), []byte("item"), int64(5), uint32(1), []byte("item"), int64(6), 14)
	f.Add(uint32(257), []byte("a\x00"), int64(-5), uint32(257), []byte("a\x00\x01"), int64(math.MaxInt64), 3)
	f.Add(uint32(math.MaxUint32), []byte("\x01\x00\xff"), int64(math.MinInt64), uint32(7), []byte{}, int64(0), 6)
	f.Fuzz(func(t *testing.T, version uint32, key []byte, ms int64, otherVersion uint32, otherKey []byte, otherMS int64, cut int) {
		a, b := pebble.AppendRow(nil, version, key, ms), pebble.AppendRow(nil, otherVersion, otherKey, otherMS)
		want := cmp.Or(cmp.Compare(version, otherVersion), bytes.Compare(key, otherKey), cmp.Compare(otherMS, ms))
		if got := pebble.Comparer.Compare(a, b); got != want {
			t.Errorf("%q is %d to %q, want %d", a, got, b, want)
		}
		if n := pebble.Comparer.Split(a); n != len(a)-8 || pebble.TimeOf(a) != ms {
			t.Errorf("the time of %q begins at %d and is %d, want %d", a, n, pebble.TimeOf(a), ms)
		}
		cut = max(cut, 0) % (len(a) + 1)
		for _, of := range [][2][]byte{{a, b}, {a[:cut], b}, {key, otherKey}, {a, a[:cut]}, {a, key}} {
			for _, err := range []error{checkOrder(of[0], of[1]), checkOrder(of[1], of[0])} {
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
}
