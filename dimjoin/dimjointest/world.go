package dimjointest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// world draws rows.
type world struct{ *rand.Rand }

func newWorld(t interface {
	Helper()
	Logf(string, ...any)
}) world {
	t.Helper()
	t.Logf("seed %d (-dimseed)", *seedFlag)
	return world{rand.New(rand.NewPCG(*seedFlag, 6))}
}

// everyType are fields of each type that a row can have.
func everyType() mortise.Schema {
	return schema("brand", "string", "note", "string?", "stock", "int", "rank", "int?", "price", "float", "score", "float?",
		"live", "bool", "adult", "bool?", "since", "timestamp", "until", "timestamp?",
		"tags", "[string]", "sizes", "[int]?", "weights", "[float]", "flags", "[bool]?")
}

var texts = []string{"", " ", "a", "A", "a ", "null", "NULL", "0", "|", `\`, `a|b\c`, `"quoted"`, "comma, semicolon; 'apostrophe'",
	"line\nbreak", "tab\there", "été", "商品", "🙂", "e\u0301", "%_*?[", "{brace}:colon", "--;DROP", "$1", "?", "0x00", "-"}

func (w world) text() []byte {
	if w.IntN(3) > 0 {
		return []byte(texts[w.IntN(len(texts))])
	}
	return fmt.Append(nil, texts[w.IntN(len(texts))], w.IntN(1000))
}

func (w world) scalar(k mortise.Kind) mortise.Value {
	switch k {
	case mortise.String:
		return mortise.TextValue(w.text())
	case mortise.Int:
		return mortise.IntValue([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1 << 53, w.Int64(), -w.Int64N(1000)}[w.IntN(8)])
	case mortise.Float:
		return mortise.FloatValue([]float64{0, 1, -1.5, 0.1, 1e300, -1e-300, math.MaxFloat64, w.NormFloat64()}[w.IntN(8)])
	case mortise.Bool:
		return mortise.BoolValue(w.IntN(2) == 0)
	}
	return mortise.TimestampValue([]int64{0, 1, 1_700_000_000_123, 951_782_400_000, -62_135_596, w.Int64N(4e12)}[w.IntN(6)])
}

func (w world) value(t mortise.Type) mortise.Value {
	if t.Nullable && w.IntN(3) == 0 {
		return mortise.NullValue()
	}
	if t.Kind != mortise.List {
		return w.scalar(t.Kind)
	}
	list := make([]mortise.Value, w.IntN(4))
	for i := range list {
		list[i] = w.scalar(t.Elem)
	}
	return mortise.ListValue(list)
}

func (w world) row(fields mortise.Schema) mortise.Row {
	row := make(mortise.Row, len(fields))
	for i, f := range fields {
		row[i] = w.value(f.Type)
	}
	return row
}

// record makes a row of a key.
func record(row mortise.Row, key ...mortise.Value) dimjoin.Record {
	text, ok := dimjoin.AppendKey(nil, key...)
	if !ok {
		panic("a key with a null")
	}
	return dimjoin.Record{Key: text, Values: key, Row: row}
}

// numbered is the key of item n.
func numbered(n int) mortise.Value { return mortise.StringValue(fmt.Sprint("item ", n)) }

func lookup(r dimjoin.Record, asOfMS int64) dimjoin.Lookup {
	return dimjoin.Lookup{Key: r.Key, Values: r.Values, AsOfMS: asOfMS}
}

// show prints a row.
func show(row mortise.Row) string {
	if row == nil {
		return "no row"
	}
	var b strings.Builder
	for i, v := range row {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(showValue(v))
	}
	return b.String()
}

func showValue(v mortise.Value) string {
	switch v.Kind {
	case mortise.Null:
		return "null"
	case mortise.String:
		if len(v.Text()) > 100 {
			return fmt.Sprintf("text of %d bytes", len(v.Text()))
		}
		return fmt.Sprintf("%q", v.Text())
	case mortise.Float:
		return fmt.Sprintf("float %v", v.Float())
	case mortise.List:
		return "[" + show(v.List()) + "]"
	}
	return fmt.Sprintf("%s %s", v.Kind, dimjoin.AppendText(nil, v))
}
