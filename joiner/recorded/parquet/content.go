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
func (m meaning) plain() meaning {
	switch m.physical {
	case format.Boolean:
		m.content, m.name = boolean, "bool"
	case format.Int32:
		m.content, m.name = integer, "int32"
	case format.Int64:
		m.content, m.name = integer, "int64"
	case format.Int96:
		m.content, m.name = instant, "timestamp(int96)"
	case format.Float:
		m.content, m.name = single, "float32"
	case format.Double:
		m.content, m.name = double, "float64"
	case format.ByteArray, format.FixedLenByteArray:
		m.content, m.name = text, "bytes"
	}
	return m
}

// converted reads the annotation of old writers.
func (m meaning) converted(n *node) meaning {
	switch t := n.ConvertedType.V; t {
	case deprecated.UTF8, deprecated.Enum:
		m.content, m.name = text, "string"
	case deprecated.Json:
		m.content, m.name = document, "json"
	case deprecated.Decimal:
		m.content, m.scale, m.name = decimal, n.Scale.V, fmt.Sprintf("decimal(%d, %d)", n.Precision.V, n.Scale.V)
	case deprecated.Date:
		m.content, m.name = date, "date"
	case deprecated.TimeMillis, deprecated.TimestampMillis:
		m.content, m.name, m.perSecond = instant, "timestamp(ms)", 1000
	case deprecated.TimeMicros, deprecated.TimestampMicros:
		m.content, m.name, m.perSecond = instant, "timestamp(us)", 1_000_000
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		m.content, m.name = unsigned, "unsigned int"
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		m.content, m.name = integer, "int"
	default:
		m.content, m.name = unreadable, fmt.Sprintf("a legacy type (%d)", t)
	}
	if t := n.ConvertedType.V; t == deprecated.TimeMillis || t == deprecated.TimeMicros {
		m.content, m.name = timeOfDay, "time"
	}
	return m
}

// times reads the unit of a time.
func (m meaning) times(c content, name string, unit format.TimeUnit) meaning {
	m.content = c
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		m.perSecond, m.name = 1000, name+"(ms)"
	case *format.MicroSeconds:
		m.perSecond, m.name = 1_000_000, name+"(us)"
	case *format.NanoSeconds:
		m.perSecond, m.name = 1_000_000_000, name+"(ns)"
	default:
		m.content, m.name = unreadable, name+" of an unknown unit"
	}
	return m
}

// isConsistent reports whether the physical type is one that the content can be
// stored in: writers of values rely on it.
func (m meaning) isConsistent() bool {
	switch m.content {
	case boolean:
		return m.physical == format.Boolean
	case integer, unsigned:
		return m.physical == format.Int32 || m.physical == format.Int64
	case date:
		return m.physical == format.Int32
	case timeOfDay, instant:
		return m.physical == format.Int64 || m.physical == format.Int32 && m.perSecond == 1000 || m.physical == format.Int96 && m.perSecond == 0
	case single:
		return m.physical == format.Float || m.half && m.physical == format.FixedLenByteArray
	case double:
		return m.physical == format.Double
	case text, document:
		return m.physical == format.ByteArray || m.physical == format.FixedLenByteArray
	case uuid:
		return m.physical == format.FixedLenByteArray
	case decimal:
		return m.physical != format.Boolean && m.physical != format.Float && m.physical != format.Double && m.physical != format.Int96
	}
	return true
}
