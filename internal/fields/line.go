package fields

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// Units say what the numbers of a JSON line mean where a schema has a time: ms,
// but for the one field at Path, whose numbers are in Unit.
type Units struct {
	Path []string
	Unit string // s, ms, us, ns; rfc3339 for text alone
}

// nanos are the lengths of units.
var nanos = map[string]int64{"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

// Time reads a time of a JSON line as a number of a unit of so many nanoseconds; what
// is finer is cut off. path is where it lies.
func (u *Units) Time(v any, path []string, unitNanos int64) (int64, error) {
	switch v := v.(type) {
	case string:
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return 0, fmt.Errorf("%q is not an RFC 3339 time", v)
		}
		n := new(big.Int).Mul(big.NewInt(at.Unix()), big.NewInt(1e9))
		return whole(new(big.Rat).SetFrac(n.Add(n, big.NewInt(int64(at.Nanosecond()))), big.NewInt(unitNanos)), v)
	case json.Number:
		r, ok := rational(v)
		own, known := nanos[u.unitAt(path)]
		if !ok || !known {
			return 0, fmt.Errorf("%s is not a time", v)
		}
		return whole(r.Mul(r, big.NewRat(own, unitNanos)), v.String())
	}
	return 0, fmt.Errorf("%v is not a time", v)
}

func (u *Units) unitAt(path []string) string {
	if len(path) != len(u.Path) || len(path) == 0 {
		return "ms"
	}
	for i := range path {
		if path[i] != u.Path[i] {
			return "ms"
		}
	}
	return u.Unit
}

// rational reads a number exactly, as long as it is of a sensible length.
func rational(n json.Number) (*big.Rat, bool) {
	const most = 400
	if len(n) > most {
		return nil, false
	}
	if f, err := n.Float64(); err != nil || f > 1e300 || f < -1e300 || f != 0 && f < 1e-300 && f > -1e-300 {
		return nil, false // 1e999999999 would take long to write out
	}
	return new(big.Rat).SetString(n.String())
}

// whole cuts a number to an int64.
func whole(r *big.Rat, text string) (int64, error) {
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() {
		return 0, fmt.Errorf("%s is out of range", text)
	}
	return n.Int64(), nil
}

// Decimal reads a JSON number as a decimal of a scale, rounded half away from zero.
func Decimal(n json.Number, scale int) (*big.Int, error) {
	const most = 400
	r, ok := rational(n)
	if !ok || scale < 0 || scale > most {
		return nil, fmt.Errorf("%s is not a decimal", n)
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
	r.Mul(r, new(big.Rat).SetInt(ten))
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		half.Neg(half)
	}
	r.Add(r, half)
	return new(big.Int).Quo(r.Num(), r.Denom()), nil
}
