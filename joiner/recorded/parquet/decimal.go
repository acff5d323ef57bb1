package parquet

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/parquet-go/parquet-go/format"
)

// decimalWriter writes decimals in full, as a number or as text.
func (h meaning) decimalWriter(quoted bool) writer {
	scale := int(h.scale)
	return func(dst []byte, v *value) []byte {
		if quoted {
			dst = append(dst, '"')
		}
		switch h.physical {
		case format.Int32, format.Int64:
			n := h.count(v)
			dst = appendScaled(dst, n < 0, 0, magnitude(n), scale)
		default:
			dst = appendBig(dst, v.text, scale)
		}
		if quoted {
			dst = append(dst, '"')
		}
		return dst
	}
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// appendBig appends a big-endian two's complement integer, over 10^scale.
func appendBig(dst, b []byte, scale int) []byte {
	const words = 16
	negative := len(b) > 0 && b[0]&0x80 != 0
	if len(b) > words {
		n := new(big.Int).SetBytes(b)
		if negative {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
		}
		return appendPoint(dst, negative, n.Abs(n).Append(nil, 10), scale)
	}
	var full [words]byte
	if negative {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[words-len(b):], b)
	hi, lo := binary.BigEndian.Uint64(full[:8]), binary.BigEndian.Uint64(full[8:])
	if negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return appendScaled(dst, negative, hi, lo, scale)
}

// appendScaled appends hi*2^64+lo, at most 2^127, over 10^scale.
func appendScaled(dst []byte, negative bool, hi, lo uint64, scale int) []byte {
	const chunk = 1e19 // the largest power of ten that a word holds
	var buf [60]byte
	digits := buf[:0]
	if hi == 0 {
		digits = strconv.AppendUint(digits, lo, 10)
		return appendPoint(dst, negative, digits, scale)
	}
	// A magnitude has at most 2^127, so the quotient fits a word.
	quotient, low := bits.Div64(hi, lo, chunk)
	if upper := quotient / chunk; upper > 0 {
		digits = appendPadded(strconv.AppendUint(digits, upper, 10), quotient%chunk)
	} else {
		digits = strconv.AppendUint(digits, quotient, 10)
	}
	return appendPoint(dst, negative, appendPadded(digits, low), scale)
}

// appendPadded appends a chunk of 19 digits.
func appendPadded(dst []byte, chunk uint64) []byte {
	var buf [20]byte
	text := strconv.AppendUint(buf[:0], chunk, 10)
	for range 19 - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// appendPoint appends digits with the decimal point in its place.
func appendPoint(dst []byte, negative bool, digits []byte, scale int) []byte {
	if negative {
		dst = append(dst, '-')
	}
	if scale <= 0 {
		dst = append(dst, digits...)
		for ; scale < 0 && (len(digits) > 1 || digits[0] != '0'); scale++ {
			dst = append(dst, '0')
		}
		return dst
	}
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(dst, '0', '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:whole]...)
	dst = append(dst, '.')
	return append(dst, digits[whole:]...)
}
