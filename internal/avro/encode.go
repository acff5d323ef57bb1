package avro

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/internal/fields"
)

// Encoder writes JSON objects as records of a schema: plain JSON, in which a
// union's value stands alone. Fields that the schema does not have are left out;
// those that the object lacks have their default, or are null if they can be.
type Encoder struct {
	root  *Node
	units fields.Units
	path  []string
}

// Encoder makes an encoder of the schema.
func (s *Schema) Encoder(units fields.Units) *Encoder { return &Encoder{root: s.Root, units: units} }

// Append appends an object, whose numbers are json.Number.
func (e *Encoder) Append(dst []byte, object map[string]any) ([]byte, error) {
	e.path = e.path[:0]
	return e.value(dst, e.root, object)
}

var errType = errors.New("it is of another type")

func (e *Encoder) value(dst []byte, n *Node, v any) ([]byte, error) {
	if unit, isTime := wholeUnits[n.Logical]; isTime && (n.Kind == Int || n.Kind == Long) {
		switch v.(type) {
		case int32, int64: // a default, in the schema's own unit
		default:
			t, err := e.units.Time(v, e.path, unit)
			return binary.AppendVarint(dst, t), err
		}
	}
	switch n.Kind {
	case Null:
		if v != nil {
			return dst, errType
		}
		return dst, nil
	case Boolean:
		if b, ok := v.(bool); ok {
			return append(dst, map[bool]byte{true: 1}[b]), nil
		}
	case Int, Long:
		return appendInt(dst, n, v)
	case Float, Double:
		return appendFloat(dst, n, v)
	case String, Bytes, Fixed:
		return appendText(dst, n, v)
	case Enum:
		symbol, _ := v.(string)
		if at := slices.Index(n.Symbols, symbol); at >= 0 {
			return binary.AppendVarint(dst, int64(at)), nil
		}
		return dst, fmt.Errorf("%v is none of its symbols %s", v, strings.Join(n.Symbols, ", "))
	case Union:
		return e.union(dst, n, v)
	case Record:
		if object, ok := v.(map[string]any); ok {
			return e.record(dst, n, object)
		}
	case Array:
		if items, ok := v.([]any); ok {
			return e.array(dst, n, items)
		}
	case Map:
		if entries, ok := v.(map[string]any); ok {
			return e.entries(dst, n, entries)
		}
	}
	return dst, errType
}

// wholeUnits are the nanoseconds of one of a logical type's units.
var wholeUnits = map[string]int64{"timestamp-millis": 1e6, "local-timestamp-millis": 1e6, "timestamp-micros": 1e3, "local-timestamp-micros": 1e3,
	"timestamp-nanos": 1, "local-timestamp-nanos": 1, "date": 24 * 3600 * 1e9}

func appendInt(dst []byte, n *Node, v any) ([]byte, error) {
	var number int64
	switch v := v.(type) {
	case json.Number:
		var err error
		if number, err = v.Int64(); err != nil {
			return dst, fmt.Errorf("%s is not a whole number of 64 bits", v)
		}
	case int32:
		number = int64(v)
	case int64:
		number = v
	default:
		return dst, errType
	}
	if n.Kind == Int && (number < math.MinInt32 || number > math.MaxInt32) {
		return dst, fmt.Errorf("%d does not fit 32 bits", number)
	}
	return binary.AppendVarint(dst, number), nil
}

func appendFloat(dst []byte, n *Node, v any) ([]byte, error) {
	var f float64
	switch v := v.(type) {
	case json.Number:
		var err error
		if f, err = v.Float64(); err != nil {
			return dst, fmt.Errorf("%s does not fit a float", v)
		}
	case float32:
		f = float64(v)
	case float64:
		f = v
	default:
		return dst, errType
	}
	if n.Kind == Float {
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), nil
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
}

func appendText(dst []byte, n *Node, v any) ([]byte, error) {
	var text []byte
	switch v := v.(type) {
	case string:
		text = []byte(v)
		if n.Logical == "uuid" && n.Kind == Fixed {
			raw, err := hex.DecodeString(strings.ReplaceAll(v, "-", ""))
			if err != nil {
				return dst, fmt.Errorf("%q is not a UUID", v)
			}
			text = raw
		}
	case []byte:
		text = v
	case json.Number:
		if n.Logical != "decimal" {
			return dst, errType
		}
		unscaled, err := fields.Decimal(v, n.Scale)
		if err != nil {
			return dst, err
		}
		text = complement(unscaled, n.Size)
	default:
		return dst, errType
	}
	if n.Kind == Fixed {
		if len(text) != n.Size {
			return dst, fmt.Errorf("it takes %d bytes, not %d", n.Size, len(text))
		}
		return append(dst, text...), nil
	}
	return append(binary.AppendVarint(dst, int64(len(text))), text...), nil
}

// complement is a number in two's complement, big-endian, in so many bytes, or as
// few as it needs.
func complement(n *big.Int, size int) []byte {
	bytes := max(n.BitLen()/8+1, size)
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(bytes)*8))
	}
	return n.FillBytes(make([]byte, bytes))
}

// union writes the value as the first branch that takes it.
func (e *Encoder) union(dst []byte, n *Node, v any) ([]byte, error) {
	first, at := len(dst), len(e.path)
	why := errType
	for i, branch := range n.Branches {
		out, err := e.value(binary.AppendVarint(dst[:first], int64(i)), branch, v)
		if err == nil {
			return out, nil
		}
		if e.path = e.path[:at]; !errors.Is(err, errType) {
			why = err
		}
	}
	return dst[:first], why
}

func (e *Encoder) record(dst []byte, n *Node, object map[string]any) ([]byte, error) {
	for i := range n.Fields {
		f := &n.Fields[i]
		v, ok := object[f.Name]
		if !ok || v == nil && !f.Type.takesNull() {
			switch {
			case f.HasDefault:
				v = f.Default
			case !f.Type.takesNull():
				return dst, fmt.Errorf("field %s is missing, and has no default in the schema", strings.Join(append(e.path, f.Name), "."))
			}
		}
		e.path = append(e.path, f.Name)
		var err error
		if dst, err = e.value(dst, f.Type, v); err != nil {
			if _, deeper := errors.AsType[*fieldError](err); !deeper {
				err = &fieldError{strings.Join(e.path, "."), f.Type.describe(), err}
			}
			return dst, err
		}
		e.path = e.path[:len(e.path)-1]
	}
	return dst, nil
}

// fieldError says which field does not fit the schema.
type fieldError struct {
	path, typ string
	err       error
}

func (e *fieldError) Error() string {
	return fmt.Sprintf("field %s, which the schema has as %s: %v", e.path, e.typ, e.err)
}
func (e *fieldError) Unwrap() error { return e.err }

func (n *Node) takesNull() bool {
	return n.Kind == Null || n.Kind == Union && slices.ContainsFunc(n.Branches, (*Node).takesNull)
}

func (e *Encoder) array(dst []byte, n *Node, items []any) (_ []byte, err error) {
	if len(items) > 0 {
		dst = binary.AppendVarint(dst, int64(len(items)))
	}
	for _, item := range items {
		if dst, err = e.value(dst, n.Elem, item); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}

func (e *Encoder) entries(dst []byte, n *Node, entries map[string]any) (_ []byte, err error) {
	if len(entries) > 0 {
		dst = binary.AppendVarint(dst, int64(len(entries)))
	}
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		dst = append(binary.AppendVarint(dst, int64(len(key))), key...)
		if dst, err = e.value(dst, n.Elem, entries[key]); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}
