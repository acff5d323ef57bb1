package features

import (
	"errors"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

var row = mortise.Schema{
	{Name: "item_id", Type: mortise.Type{Kind: mortise.String}},
	{Name: "price", Type: mortise.Type{Kind: mortise.Float}},
	{Name: "qty", Type: mortise.Type{Kind: mortise.Int, Nullable: true}},
	{Name: "tags", Type: mortise.Type{Kind: mortise.List, Elem: mortise.String}},
}

func TestParseAggregate(t *testing.T) {
	for _, c := range []struct{ text, normal, typ string }{
		{"count", "count", "int"},
		{" count( ) ", "count", "int"},
		{"sum(price)", "sum(price)", "float"},
		{"sum( qty )", "sum(qty)", "int"},
		{"avg(price * 2)", "avg(price * 2)", "float?"},
		{"min(item_id)", "min(item_id)", "string?"},
		{"max(price)", "max(price)", "float?"},
		{"first(item_id)", "first(item_id)", "string?"},
		{"last(tags)", "last(tags)", "[string]?"},
		{"last_n(item_id,5)", "last_n(item_id, 5)", "[string]"},
		{"topk(item_id, 3)", "topk(item_id, 3)", "[string]?"},
		{"distinct(item_id)", "distinct(item_id)", "int"},
		{"distinct(item_id, exact)", "distinct(item_id, exact)", "int"},
		{"stddev(price)", "stddev(price)", "float?"},
		{"decayed_sum(1.0, 6h)", "decayed_sum(1.0, 6h)", "float?"},
		{`last_n(replace(item_id, ",", ")"), 2)`, `last_n(replace(item_id, ",", ")"), 2)`, "[string]"},
	} {
		agg, err := ParseAggregate(c.text, row)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if agg.String() != c.normal || agg.Type.String() != c.typ {
			t.Errorf("%s: %s %s, want %s %s", c.text, agg.String(), agg.Type, c.normal, c.typ)
		}
		again, err := ParseAggregate(agg.String(), row)
		if err != nil || again.String() != agg.String() {
			t.Errorf("%s: normal form %s does not parse to itself: %v", c.text, agg.String(), err)
		}
	}
}

func TestParseAggregateErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		col  int
		want string
	}{
		{"", 1, "empty"},
		{"cuont", 1, "unknown aggregate function cuont"},
		{"count(price)", 7, "takes no argument"},
		{"sum", 1, "write sum(expression)"},
		{"sum(price, 2)", 1, "2 arguments"},
		{"sum(item_id)", 5, "does not take string"},
		{"last_n(tags, 3)", 8, "does not take [string]"},
		{"last_n(item_id)", 1, "write last_n(expression, n)"},
		{"last_n(item_id, 0)", 17, "from 1 to 1000"},
		{"last_n(item_id, many)", 17, "from 1 to 1000"},
		{"distinct(item_id, approx)", 19, "can only be exact"},
		{"decayed_sum(price, 6 hours)", 20, "duration"},
		{"decayed_sum(price, 0s)", 20, "half-life"},
		{"sum(prise)", 5, "unknown field or function prise"},
		{"sum(1 + prise)", 9, "unknown field or function prise"},
		{"sum(price", 1, "does not end with )"},
		{"sum(price) + 1", 1, "does not end with )"},
	} {
		_, err := ParseAggregate(c.text, row)
		var e *Error
		if !errors.As(err, &e) || e.Col != c.col || !strings.Contains(e.Message, c.want) {
			t.Errorf("%q: %v; want column %d and %q", c.text, err, c.col, c.want)
		}
	}
}

func FuzzParseAggregate(f *testing.F) {
	f.Add("last_n(item_id, 5)")
	f.Add(`sum(len("a,)") * price)`)
	f.Add("count(")
	f.Fuzz(func(t *testing.T, text string) {
		agg, err := ParseAggregate(text, row)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Col < 1 {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		if _, err := ParseAggregate(agg.String(), row); err != nil {
			t.Fatalf("%q: normal form %q: %v", text, agg.String(), err)
		}
	})
}

func TestCheckWindow(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		window, tile time.Duration
		want         string // empty for good
	}{
		{day, time.Minute, ""},
		{time.Minute, time.Minute, ""},
		{30 * time.Second, time.Minute, "shorter than its tile"},
		{90 * time.Second, time.Minute, "1m or 2m would be"},
		{1000 * day, time.Hour, "longer than"},
		{365 * day, time.Second, "use a longer tile"},
		{day, time.Millisecond, "shorter than 1s"},
		{day, time.Second + time.Nanosecond, "whole number of milliseconds"},
	} {
		err := CheckTile(c.tile)
		if err == nil {
			err = CheckWindow(c.window, c.tile)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("window %s, tile %s: %v, want %q", c.window, c.tile, err, c.want)
		}
	}
}
