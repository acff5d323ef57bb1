package changes

import (
	"encoding/base64"
	"math/big"
	"strconv"
)

// Decimals, as Kafka Connect writes them: the digits as a big-endian number in
// two's complement, in base64; how many of them stand behind the point says the
// schema, or the value where every row has another scale.

const (
	connectDecimal  = "org.apache.kafka.connect.data.Decimal"
	variableDecimal = "io.debezium.data.VariableScaleDecimal"

	mostScale = 1000 // of any database's
	mostBytes = 1 << 10
)

// decimal reads a value that is known to be one.
func (r reading) decimal(raw []byte) (*big.Rat, bool) {
	if isObject(raw) {
		scale, digits, ok := variable(raw)
		if !ok {
			return nil, false
		}
		return decimalOf(digits, scale)
	}
	if r.column.name != connectDecimal || !isString(raw) {
		return nil, false
	}
	return decimalOf(unquote(raw), r.column.scale)
}

func (r reading) scaleOf(raw []byte) int {
	if scale, _, ok := variable(raw); ok {
		return scale
	}
	return r.column.scale
}

// variable takes a {"scale": n, "value": "…"} apart.
func variable(raw []byte) (scale int, digits []byte, ok bool) {
	if !isObject(raw) {
		return 0, nil, false
	}
	c := columnsOf(raw)
	if len(c) != 2 || !isString(c["value"]) {
		return 0, nil, false
	}
	scale, err := strconv.Atoi(string(c["scale"]))
	return scale, unquote(c["value"]), err == nil
}

func decimalOf(digits []byte, scale int) (*big.Rat, bool) {
	if scale < -mostScale || scale > mostScale || len(digits) > mostBytes {
		return nil, false
	}
	data, err := base64.StdEncoding.DecodeString(string(digits))
	if err != nil || len(data) == 0 {
		return nil, false
	}
	n := new(big.Int).SetBytes(data)
	if data[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(data))*8))
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
	if scale < 0 {
		return new(big.Rat).SetInt(n.Mul(n, ten)), true
	}
	return new(big.Rat).SetFrac(n, ten), true
}

// decimalText writes a decimal as databases do: all the digits of its scale.
func decimalText(d *big.Rat, scale int) string { return d.FloatString(max(scale, 0)) }
