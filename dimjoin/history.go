package dimjoin

import (
	"fmt"
	"math"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// History says in which columns a table with history ("zipper" table) keeps from
// when to when a row is valid, and in what unit: [from, to). Without a From it has
// none.
//
// A null from is "since ever". A null to, or one in 2099 or later, as such tables
// write it, is "until further notice": Latest reads the version that nothing ends.
// Where versions of a key overlap, the one whose from is later wins.
//
// Stores that keep versions by themselves (pebble, hbase) have no such columns and
// look at nothing but whether there is a From.
type History struct{ From, To, Unit string }

// What a history is called where it is not said.
const (
	DefaultFrom = "valid_from"
	DefaultTo   = "valid_to"
	DefaultUnit = "ms"
)

// HistoryUnits are the units of a history's columns. Times that a store has a type
// for (timestamps of SQL and Parquet) are read as what they are.
var HistoryUnits = []string{"ms", "s", "us", "ns", "rfc3339"}

// Always is the From of a version that has none.
const Always int64 = math.MinInt64

// OpenEndMS is 2099-01-01 UTC: a version that ends then or later does not end.
const OpenEndMS = 4070908800000

// Kept reports whether the table has a history.
func (h *History) Kept() bool { return h.From != "" }

// Check reports what is wrong with the history, or nil.
func (h *History) Check() error {
	if !h.Kept() {
		return nil
	}
	if h.From == h.To {
		return fmt.Errorf("the history's from and to are both %s", h.From)
	}
	for _, unit := range HistoryUnits {
		if h.unit() == unit {
			return nil
		}
	}
	return fmt.Errorf("unknown unit %q of the history: there are %s", h.Unit, strings.Join(HistoryUnits, ", "))
}

func (h *History) unit() string {
	if h.Unit == "" {
		return DefaultUnit
	}
	return h.Unit
}

// Begin reads a value of the From column as ms UTC.
func (h *History) Begin(v mortise.Value) (ms int64, ok bool) {
	if v.IsNull() {
		return Always, true
	}
	return h.ms(v)
}

// End reads a value of the To column as ms UTC, or Latest where it is open.
func (h *History) End(v mortise.Value) (ms int64, ok bool) {
	if v.IsNull() {
		return Latest, true
	}
	if ms, ok = h.ms(v); ms >= OpenEndMS {
		ms = Latest
	}
	return ms, ok
}

// ms reads a time; what is finer is cut off, towards the past.
func (h *History) ms(v mortise.Value) (int64, bool) {
	switch v.Kind {
	case mortise.Timestamp:
		return v.Int(), true
	case mortise.Int:
		return h.ofInt(v.Int())
	case mortise.Float:
		if ms := math.Floor(v.Float() * 1000); h.unit() == "s" && ms > -1<<62 && ms < 1<<62 {
			return int64(ms), true
		}
		if n := int64(v.Float()); float64(n) == v.Float() {
			return h.ofInt(n)
		}
	case mortise.String:
		return ofText(v.Text())
	}
	return 0, false
}

func (h *History) ofInt(n int64) (int64, bool) {
	switch h.unit() {
	case "ms":
		return n, true
	case "s":
		return n * 1000, n > math.MinInt64/1000 && n < math.MaxInt64/1000
	case "us":
		return floorDiv(n, 1e3), true
	case "ns":
		return floorDiv(n, 1e6), true
	}
	return 0, false
}

// Of writes ms as the columns' unit has it; a text for rfc3339.
func (h *History) Of(ms int64) mortise.Value {
	switch h.unit() {
	case "s":
		return mortise.IntValue(floorDiv(ms, 1000))
	case "us":
		return mortise.IntValue(ms * 1e3)
	case "ns":
		return mortise.IntValue(ms * 1e6)
	case "rfc3339":
		return mortise.StringValue(time.UnixMilli(ms).UTC().Format(time.RFC3339Nano))
	}
	return mortise.IntValue(ms)
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// layouts are how tables write times, in the order of how often: RFC 3339, and
// as databases and data frames print them. Without a zone it is UTC.
var layouts = []string{time.RFC3339Nano, time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07"}

func ofText(text []byte) (int64, bool) {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, string(text)); err == nil {
			return at.UnixMilli(), true
		}
	}
	return 0, false
}

// ParseTime reads a date, or a date and a time, as ms UTC.
func ParseTime(text []byte) (ms int64, ok bool) { return ofText(text) }
