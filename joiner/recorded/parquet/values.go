package parquet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go/format"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// writer appends a value that is not null as JSON.
type writer func(dst []byte, v *value) []byte

func writeNull(dst []byte, _ *value) []byte { return append(dst, "null"...) }

func writeBool(dst []byte, v *value) []byte { return strconv.AppendBool(dst, v.bits&1 != 0) }

// integerWriters are by: 64 bits, signed.
var integerWriters = map[bool]map[bool]writer{
	false: {
		true:  func(dst []byte, v *value) []byte { return strconv.AppendInt(dst, int64(int32(v.bits)), 10) },
		false: func(dst []byte, v *value) []byte { return strconv.AppendUint(dst, uint64(uint32(v.bits)), 10) },
	},
	true: {
		true:  func(dst []byte, v *value) []byte { return strconv.AppendInt(dst, int64(v.bits), 10) },
		false: func(dst []byte, v *value) []byte { return strconv.AppendUint(dst, v.bits, 10) },
	},
}

func (h meaning) isLong() bool { return h.physical == format.Int64 }

func writeDouble(dst []byte, v *value) []byte {
	return appendFloat(dst, math.Float64frombits(v.bits), 64)
}

func writeSingle(dst []byte, v *value) []byte {
	return appendFloat(dst, float64(math.Float32frombits(uint32(v.bits))), 32)
}

func writeHalf(dst []byte, v *value) []byte {
	b := v.text
	if len(b) != 2 {
		return writeNull(dst, v)
	}
	return appendFloat(dst, fromHalf(binary.LittleEndian.Uint16(b)), 32)
}

// fromHalf widens a float of 16 bits (IEEE 754 binary16).
func fromHalf(bits uint16) float64 {
	sign, exp, frac := 1.0, int(bits>>10&0x1f), float64(bits&0x3ff)
	if bits>>15 != 0 {
		sign = -1
	}
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 0x1f:
		return math.NaN() // or an infinity: neither is written
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

// appendFloat appends the shortest number that reads back the same.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-07 is e-7, as in JavaScript and encoding/json
		dst = dst[:n-1]
	}
	return dst
}

// writeWhole writes a float as an integer where it is one that a float can count to.
func writeWhole(dst []byte, v *value) []byte {
	const most = 1 << 53
	f := math.Float64frombits(v.bits)
	if f == math.Trunc(f) && math.Abs(f) <= most {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return appendFloat(dst, f, 64)
}

func writeText(dst []byte, v *value) []byte { return recorded.AppendString(dst, v.text) }

// writeDocument writes JSON as such, if it is.
func writeDocument(dst []byte, v *value) []byte {
	if b := v.text; json.Valid(b) && !bytes.ContainsAny(b, "\n\r") {
		return append(dst, b...)
	}
	return writeText(dst, v)
}

func writeUUID(dst []byte, v *value) []byte {
	b := v.text
	if len(b) != 16 {
		return recorded.AppendString(dst, b)
	}
	dst = append(dst, '"')
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		from := []int{0, 4, 6, 8, 10}[i]
		dst = hex.AppendEncode(dst, b[from:end])
	}
	return append(dst, '"')
}

// julian1970 is the Julian day number of 1970-01-01, which INT96 counts from.
const julian1970 = 2_440_588

const daySeconds = 24 * 3600

// timeWriter writes dates and timestamps; those without a zone are UTC.
func (h meaning) timeWriter(m *recorded.Member) writer {
	member, kind := *m, m.Type.Kind
	switch {
	case kind == mortise.Float && m.TimeUnit != "s", kind == mortise.Bool, kind == mortise.List:
		return nil
	case h.content == date && kind == mortise.String && m.TimeUnit == "":
		return func(dst []byte, v *value) []byte {
			day := time.Unix(int64(int32(v.bits))*daySeconds, 0).UTC()
			return append(day.AppendFormat(append(dst, '"'), time.DateOnly), '"')
		}
	case h.content == date:
		return func(dst []byte, v *value) []byte { return member.AppendTime(dst, int64(int32(v.bits))*daySeconds, 0) }
	case h.physical == format.Int96:
		return func(dst []byte, v *value) []byte {
			if len(v.text) != 12 { // ns of the day, and the day
				return writeNull(dst, v)
			}
			nanos := int64(binary.LittleEndian.Uint64(v.text))
			day := int64(binary.LittleEndian.Uint32(v.text[8:])) - julian1970
			seconds, rest := floorDiv(nanos, 1_000_000_000)
			return member.AppendTime(dst, day*daySeconds+seconds, rest)
		}
	}
	return func(dst []byte, v *value) []byte {
		seconds, rest := floorDiv(h.count(v), h.perSecond)
		return member.AppendTime(dst, seconds, rest*(1_000_000_000/h.perSecond))
	}
}

// count returns how many units a time is.
func (h meaning) count(v *value) int64 {
	if h.isLong() {
		return int64(v.bits)
	}
	return int64(int32(v.bits))
}

// floorDiv divides towards the past.
func floorDiv(n, per int64) (whole, rest int64) {
	whole, rest = n/per, n%per
	if rest < 0 {
		whole, rest = whole-1, rest+per
	}
	return whole, rest
}

// clockWriter writes a time of day as 15:04:05.999.
func (h meaning) clockWriter() writer {
	return func(dst []byte, v *value) []byte {
		seconds, rest := floorDiv(h.count(v), h.perSecond)
		clock := time.Unix(seconds, rest*(1_000_000_000/h.perSecond)).UTC()
		return append(clock.AppendFormat(append(dst, '"'), "15:04:05.999999999"), '"')
	}
}
