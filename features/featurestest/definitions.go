package featurestest

import (
	"fmt"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
)

// Row is the schema of the events that Definitions aggregate.
var Row = mortise.Schema{
	{Name: "item", Type: mortise.Type{Kind: mortise.String}},
	{Name: "user", Type: mortise.Type{Kind: mortise.Int}},
	{Name: "price", Type: mortise.Type{Kind: mortise.Float, Nullable: true}},
	{Name: "qty", Type: mortise.Type{Kind: mortise.Int, Nullable: true}},
	{Name: "brand", Type: mortise.Type{Kind: mortise.String, Nullable: true}},
	{Name: "seen", Type: mortise.Type{Kind: mortise.Timestamp}},
	{Name: "paid", Type: mortise.Type{Kind: mortise.Bool}},
	{Name: "tags", Type: mortise.Type{Kind: mortise.List, Elem: mortise.String}},
}

// Slot finds a field in rows of Row, of any source.
func Slot(_ int, field string) int { return Row.Index(field) }

// Sources are those of Definitions.
var Sources = []features.Source{{Name: "views", Identity: "topic views"}, {Name: "orders", Identity: "topic orders"}}

// Definitions is every aggregate over every type that it takes, with and without
// `where`, in windows that share tiles and ones that do not.
func Definitions() []features.Definition {
	var defs []features.Definition
	add := func(source, entity, agg, where string, window, tile time.Duration) {
		defs = append(defs, Define(fmt.Sprintf("f%d", len(defs)), source, agg, where, window, tile, entity))
	}
	const day = 24 * time.Hour
	for _, agg := range []string{
		"count", "sum(price)", "sum(qty)", "avg(price)", "avg(qty)", "stddev(price)", "stddev(qty)", "sum(seen)",
		"min(price)", "max(price)", "min(qty)", "max(brand)", "min(brand)", "max(seen)",
		"first(brand)", "last(price)", "first(tags)", "last(tags)", "last(paid)", "last_n(brand, 3)", "last_n(qty, 7)",
		"distinct(brand)", "distinct(user)", "distinct(brand, exact)", "distinct(price, exact)", "distinct(user, exact)", "distinct(paid, exact)",
		"topk(brand, 2)", "topk(user, 5)", "topk(paid, 1)", "decayed_sum(price, 1h)", "decayed_sum(qty, 5m)",
	} {
		add("views", "item", agg, "", 6*time.Hour, time.Minute)
	}
	for _, window := range []time.Duration{time.Minute, time.Hour, 61 * time.Minute, day, 30 * day} {
		add("views", "item", "count", "paid", window, time.Minute)
		add("views", "item", "sum(price * 2.0)", "qty > 1", window, time.Minute)
		add("orders", "user", "last_n(item, 4)", "brand == 'b1' || paid", window, time.Minute)
		add("orders", "user", "decayed_sum(1.0, 1h)", "", window, time.Minute)
	}
	add("views", "user", "avg(qty + 1)", "", 9*time.Second, time.Second)
	add("views", "user", "count", "", 700*time.Second, 7*time.Second)
	add("orders", "item", "topk(item, 3)", "", 90*day, time.Hour)
	add("orders", "item", "stddev(price)", "price > 0.0", 90*day, day)
	return defs
}

// Define makes one definition over Row; it panics on what does not parse.
func Define(name, source, agg, where string, window, tile time.Duration, entity ...string) features.Definition {
	a, err := features.ParseAggregate(agg, Row)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", agg, err))
	}
	d := features.Definition{Name: name, Type: a.Type, Source: source, Entity: entity, Aggregate: a, Window: window, Tile: tile}
	if where != "" {
		if d.Where, err = expression.Compile(where, Row); err != nil {
			panic(fmt.Sprintf("%s: %v", where, err))
		}
	}
	return d
}
