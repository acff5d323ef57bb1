package instancetest

import (
	"math"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Row is an instance as a text that two instances share when they are the same
// row. Numbers that are not finite count as null, and bytes that are not UTF-8 as
// U+FFFD, as in every format.
func Row(c *instances.Columns, in *instances.Instance) string {
	row := string(instances.NewJSONEncoder(c).Append(nil, in))
	return strings.ReplaceAll(row, `\ufffd`, "\ufffd") // JSON shows which of them the text had itself
}

// Golden are rows that spell out a format's contract, for golden files: every
// type, what is null, and what is unusual.
func Golden() (*instances.Columns, []instances.Instance) {
	c, err := instances.NewColumns([]string{"click", "order"}, mortise.Schema{
		{Name: "user_segment", Type: mortise.Type{Kind: mortise.String}},
		{Name: "position", Type: mortise.Type{Kind: mortise.Int, Nullable: true}},
		{Name: "propensity", Type: mortise.Type{Kind: mortise.Float}},
		{Name: "seen_at", Type: mortise.Type{Kind: mortise.Timestamp, Nullable: true}},
		{Name: "is_top", Type: mortise.Type{Kind: mortise.Bool}},
		{Name: "seg_last_items", Type: mortise.Type{Kind: mortise.List, Elem: mortise.String}},
		{Name: "prices", Type: mortise.Type{Kind: mortise.List, Elem: mortise.Float, Nullable: true}},
		{Name: "item_category", Type: mortise.Type{Kind: mortise.String, Nullable: true}},
	})
	if err != nil {
		panic(err) // the names above differ
	}
	text, list := mortise.StringValue, func(values ...mortise.Value) mortise.Value { return mortise.ListValue(values) }
	return c, []instances.Instance{
		{ID: []byte("bts-women-127"), TimeMS: 1574553663979, Labels: []instances.LabelValue{{Value: 1, FirstMS: 1574559099027, Count: 1}, {}},
			Selected: mortise.Row{text("28e84658d0c5"), mortise.IntValue(2), mortise.FloatValue(0.045525), mortise.TimestampValue(1574553663000), mortise.BoolValue(false),
				list(text("men-2"), text("men-7")), list(mortise.FloatValue(19.9), mortise.FloatValue(20)), text("shirts")},
			Weight: 1, Final: true},
		{ID: []byte("bts-men-0"), TimeMS: 1574553689788, Labels: []instances.LabelValue{{}, {}},
			Selected: mortise.Row{text(""), mortise.NullValue(), mortise.FloatValue(1e-7), mortise.NullValue(), mortise.BoolValue(true), list(), mortise.NullValue(), {}},
			Weight:   4, Final: true},
		{ID: []byte(`r|1\\x`), TimeMS: 31536000000, Labels: []instances.LabelValue{{Value: 3, FirstMS: 31535999999, Count: 3}, {Value: -59.97, FirstMS: 31536000000, Count: 2}},
			Selected: mortise.Row{text("<日本 & \"café\">\n\u2028\x00\xff"), mortise.IntValue(math.MinInt64), mortise.FloatValue(math.Inf(1)), mortise.TimestampValue(0),
				mortise.BoolValue(true), list(text("a|b"), text(`c\d`)), list(mortise.FloatValue(math.NaN()), mortise.FloatValue(1e21)), text("null")},
			Weight: 1 / 0.3, Revision: 2, Final: false, Late: true, Degraded: []string{"item:stale", `user "x":missing`}},
	}
}

// Typical is a row of ordinary size, for benchmarks.
func Typical() (*instances.Columns, *instances.Instance) {
	var selected mortise.Schema
	for _, f := range []struct {
		name string
		kind mortise.Kind
	}{{"user_segment", mortise.String}, {"item_id", mortise.String}, {"position", mortise.Int}, {"propensity", mortise.Float}, {"campaign", mortise.String},
		{"seen_at", mortise.Timestamp}, {"shown", mortise.Bool}, {"ctr", mortise.Float}, {"age", mortise.String}, {"gender", mortise.String}} {
		selected = append(selected, mortise.Field{Name: f.name, Type: mortise.Type{Kind: f.kind}})
	}
	c, err := instances.NewColumns([]string{"click"}, selected)
	if err != nil {
		panic(err) // the names above differ
	}
	text := mortise.StringValue
	return c, &instances.Instance{ID: []byte("bts-women-127"), TimeMS: 1574553663979, Labels: []instances.LabelValue{{Value: 1, FirstMS: 1574559099027, Count: 1}},
		Selected: mortise.Row{text("28e84658d0c5"), text("women-36"), mortise.IntValue(2), mortise.FloatValue(0.021739130434782608), text("women"),
			mortise.TimestampValue(1574553663000), mortise.BoolValue(true), mortise.FloatValue(0.0125), text("cef3390e"), text("2d03db55")},
		Weight: 4, Final: true, Degraded: []string{"item:stale"}}
}
