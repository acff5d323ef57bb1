package flat

import (
	"math"
	"math/big"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	mortise "github.com/mortise-dev/mortise"
)

// reading returns how values of a type are read that are not null. Timestamps of
// any unit become ms; what is finer than that, a float. Decimals become floats.
func reading(t parquet.Type) func(parquet.Value) mortise.Value {
	if units := unitsPerMS(t); units > 0 {
		return func(v parquet.Value) mortise.Value { return timestamp(v.Int64(), units) }
	}
	if scale, ok := decimalScale(t); ok {
		return func(v parquet.Value) mortise.Value { return mortise.FloatValue(decimal(v, scale)) }
	}
	unsigned := isUnsigned(t)
	switch t.Kind() {
	case parquet.Boolean:
		return func(v parquet.Value) mortise.Value { return mortise.BoolValue(v.Boolean()) }
	case parquet.Int32:
		if unsigned {
			return func(v parquet.Value) mortise.Value { return mortise.IntValue(int64(v.Uint32())) }
		}
		return func(v parquet.Value) mortise.Value { return mortise.IntValue(int64(v.Int32())) }
	case parquet.Int64:
		return func(v parquet.Value) mortise.Value {
			if n := v.Int64(); !unsigned || n >= 0 {
				return mortise.IntValue(n)
			}
			return mortise.FloatValue(float64(v.Uint64()))
		}
	case parquet.Float:
		return func(v parquet.Value) mortise.Value { return mortise.FloatValue(float64(v.Float())) }
	case parquet.Double:
		return func(v parquet.Value) mortise.Value { return mortise.FloatValue(v.Double()) }
	case parquet.Int96:
		return func(v parquet.Value) mortise.Value { return int96(v.Int96()) }
	}
	return func(v parquet.Value) mortise.Value { return mortise.TextValue(v.ByteArray()) }
}

// unitsPerMS returns how many of a timestamp's units a millisecond has; 0 for
// what is no timestamp.
func unitsPerMS(t parquet.Type) int64 {
	if l := t.LogicalType(); l != nil {
		stamp, ok := l.Value.(*format.TimestampType)
		if !ok {
			return 0
		}
		switch stamp.Unit.Value.(type) {
		case *format.MilliSeconds:
			return 1
		case *format.MicroSeconds:
			return 1000
		}
		return 1_000_000
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.TimestampMillis:
			return 1
		case deprecated.TimestampMicros:
			return 1000
		}
	}
	return 0
}

func timestamp(n, units int64) mortise.Value {
	if n%units != 0 {
		return mortise.FloatValue(float64(n) / float64(units))
	}
	return mortise.TimestampValue(n / units)
}

// int96 is a timestamp as older Spark and Hive write it: nanoseconds of the day,
// then the Julian day.
func int96(v deprecated.Int96) mortise.Value {
	const julianEpoch, dayMS = 2_440_588, 86_400_000
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	day := (int64(v[2]) - julianEpoch) * dayMS
	if nanos%1_000_000 != 0 {
		return mortise.FloatValue(float64(day) + float64(nanos)/1e6)
	}
	return mortise.TimestampValue(day + nanos/1_000_000)
}

func decimalScale(t parquet.Type) (int32, bool) {
	if l := t.LogicalType(); l != nil {
		if d, ok := l.Value.(*format.DecimalType); ok {
			return d.Scale, true
		}
	}
	return 0, false
}

func decimal(v parquet.Value, scale int32) float64 {
	var unscaled float64
	switch v.Kind() {
	case parquet.Int32:
		unscaled = float64(v.Int32())
	case parquet.Int64:
		unscaled = float64(v.Int64())
	default: // big-endian two's complement
		b := v.ByteArray()
		n := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		unscaled, _ = new(big.Float).SetInt(n).Float64()
	}
	return unscaled / math.Pow10(int(scale))
}

func isUnsigned(t parquet.Type) bool {
	if l := t.LogicalType(); l != nil {
		n, ok := l.Value.(*format.IntType)
		return ok && !n.IsSigned
	}
	if c := t.ConvertedType(); c != nil {
		return *c == deprecated.Uint8 || *c == deprecated.Uint16 || *c == deprecated.Uint32 || *c == deprecated.Uint64
	}
	return false
}
