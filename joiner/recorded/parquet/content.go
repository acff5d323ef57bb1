package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// content is what a leaf's values mean.
type content uint8

const (
	unreadable content = iota
	nothing            // a column of nulls
	boolean
	integer
	unsigned
	single // a float of 32 bits, or 16
	double
	decimal
	date
	timeOfDay
	instant
	text
	document // JSON text
	uuid
)

// meaning is what a leaf holds, with what it takes to read it.
type meaning struct {
	content
	name      string // for messages
	physical  format.Type
	half      bool  // a float of 16 bits
	perSecond int64 // of times; 0 for the nanoseconds and days of INT96
	scale     int32 // of decimals
}

// meaningOf reads a leaf's type; by its logical type, or else by what came before.
func meaningOf(n *node) meaning {
	m := meaning{physical: n.Type.V, name: n.Type.V.String()}
	set := func(c content, name string) meaning {
		m.content, m.name = c, name
		return m
	}
	switch t := n.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType:
		return set(text, "string")
	case *format.JsonType:
		return set(document, "json")
	case *format.UUIDType:
		return set(uuid, "uuid")
	case *format.DateType:
		return set(date, "date")
	case *format.NullType:
		return set(nothing, "null")
	case *format.IntType:
		if t.IsSigned {
			return set(integer, fmt.Sprintf("int%d", t.BitWidth))
		}
		return set(unsigned, fmt.Sprintf("uint%d", t.BitWidth))
	case *format.DecimalType:
		m.scale = t.Scale
		return set(decimal, fmt.Sprintf("decimal(%d, %d)", t.Precision, t.Scale))
	case *format.TimestampType:
		return m.times(instant, "timestamp", t.Unit)
	case *format.TimeType:
		return m.times(timeOfDay, "time", t.Unit)
	case *format.Float16Type:
		m.half = true
		return set(single, "float16")
	case nil:
		if n.ConvertedType.Valid {
			return m.converted(n)
		}
	default:
		return set(unreadable, t.String())
	}
	return m.plain()
}

// plain is what a physical type means when nothing is said of it.
func (h meaning) plain() meaning {
	switch h.physical {
	case format.Boolean:
		h.content, h.name = boolean, "bool"
	case format.Int32:
		h.content, h.name = integer, "int32"
	case format.Int64:
		h.content, h.name = integer, "int64"
	case format.Int96:
		h.content, h.name = instant, "timestamp(int96)"
	case format.Float:
		h.content, h.name = single, "float32"
	case format.Double:
		h.content, h.name = double, "float64"
	case format.ByteArray, format.FixedLenByteArray:
		h.content, h.name = text, "bytes"
	}
	return h
}

// converted reads the annotation of old writers.
func (h meaning) converted(n *node) meaning {
	switch t := n.ConvertedType.V; t {
	case deprecated.UTF8, deprecated.Enum:
		h.content, h.name = text, "string"
	case deprecated.Json:
		h.content, h.name = document, "json"
	case deprecated.Decimal:
		h.content, h.scale, h.name = decimal, n.Scale.V, fmt.Sprintf("decimal(%d, %d)", n.Precision.V, n.Scale.V)
	case deprecated.Date:
		h.content, h.name = date, "date"
	case deprecated.TimeMillis, deprecated.TimestampMillis:
		h.content, h.name, h.perSecond = instant, "timestamp(ms)", 1000
	case deprecated.TimeMicros, deprecated.TimestampMicros:
		h.content, h.name, h.perSecond = instant, "timestamp(us)", 1_000_000
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		h.content, h.name = unsigned, "unsigned int"
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		h.content, h.name = integer, "int"
	default:
		h.content, h.name = unreadable, fmt.Sprintf("a legacy type (%d)", t)
	}
	if t := n.ConvertedType.V; t == deprecated.TimeMillis || t == deprecated.TimeMicros {
		h.content, h.name = timeOfDay, "time"
	}
	return h
}

// times reads the unit of a time.
func (h meaning) times(c content, name string, unit format.TimeUnit) meaning {
	h.content = c
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		h.perSecond, h.name = 1000, name+"(ms)"
	case *format.MicroSeconds:
		h.perSecond, h.name = 1_000_000, name+"(us)"
	case *format.NanoSeconds:
		h.perSecond, h.name = 1_000_000_000, name+"(ns)"
	default:
		h.content, h.name = unreadable, name+" of an unknown unit"
	}
	return h
}

// isConsistent reports whether the physical type is one that the content can be
// stored in: writers of values rely on it.
func (h meaning) isConsistent() bool {
	switch h.content {
	case boolean:
		return h.physical == format.Boolean
	case integer, unsigned:
		return h.physical == format.Int32 || h.physical == format.Int64
	case date:
		return h.physical == format.Int32
	case timeOfDay, instant:
		return h.physical == format.Int64 || h.physical == format.Int32 && h.perSecond == 1000 || h.physical == format.Int96 && h.perSecond == 0
	case single:
		return h.physical == format.Float || h.half && h.physical == format.FixedLenByteArray
	case double:
		return h.physical == format.Double
	case text, document:
		return h.physical == format.ByteArray || h.physical == format.FixedLenByteArray
	case uuid:
		return h.physical == format.FixedLenByteArray
	case decimal:
		return h.physical != format.Boolean && h.physical != format.Float && h.physical != format.Double && h.physical != format.Int96
	}
	return true
}
