package avro

import (
	"math/big"
	"strconv"
)

// exactTens are the powers of ten that a float64 holds exactly.
var exactTens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimal is the float64 nearest to a decimal: a big-endian number in two's
// complement, over ten to the scale.
func decimal(raw []byte, scale int) float64 {
	const exact = 1 << 53
	if len(raw) <= 8 && scale >= 0 && scale < len(exactTens) {
		unscaled := int64(0)
		if len(raw) > 0 && raw[0] >= 0x80 {
			unscaled = -1
		}
		for _, b := range raw {
			unscaled = unscaled<<8 | int64(b)
		}
		if -exact < unscaled && unscaled < exact {
			return float64(unscaled) / exactTens[scale] // both exact, so it is rounded once
		}
	}
	unscaled := new(big.Int).SetBytes(raw)
	if len(raw) > 0 && raw[0] >= 0x80 {
		unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(len(raw))*8))
	}
	f, _ := strconv.ParseFloat(unscaled.String()+"e"+strconv.Itoa(-scale), 64) // the only error is an infinity
	return f
}
