package instances

import (
	"fmt"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func schema(t testing.TB, decls string) (s mortise.Schema) {
	t.Helper()
	for decl := range strings.FieldsSeq(decls) {
		name, typ, _ := strings.Cut(decl, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, mortise.Field{Name: name, Type: parsed})
	}
	return s
}

func columns(t testing.TB, labels, selected string) *Columns {
	t.Helper()
	c, err := NewColumns(strings.Fields(labels), schema(t, selected))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestColumnsInOrder(t *testing.T) {
	c := columns(t, "click order", "user_segment:string position:int? seg_last_items:[string] item_category:string?")
	var got []string
	for _, f := range c.Schema() {
		got = append(got, fmt.Sprintf("%s %s", f.Name, f.Type))
	}
	want := "instance_id string, event_time timestamp, label_click float, label_click_time timestamp?, label_click_count int, " +
		"label_order float, label_order_time timestamp?, label_order_count int, " +
		"user_segment string, position int?, seg_last_items [string], item_category string?, " +
		"weight float, revision int, final bool, late bool, degraded [string]"
	if joined := strings.Join(got, ", "); joined != want {
		t.Errorf("got %s\nwant %s", joined, want)
	}
	if strings.Join(c.Labels(), " ") != "click order" || len(c.Selected()) != 4 {
		t.Errorf("labels %v, selected %v", c.Labels(), c.Selected())
	}
}

func TestColumnsRefuses(t *testing.T) {
	for _, c := range []struct {
		labels   []string
		selected mortise.Schema
		want     string
	}{
		{[]string{"click"}, schema(t, "weight:float"), "there would be two columns weight"},
		{[]string{"click"}, schema(t, "event_time:int"), "there would be two columns event_time"},
		{[]string{"click", "click_time"}, nil, "there would be two columns label_click_time"},
		{[]string{"click", "click"}, nil, "there would be two columns label_click:"},
		{nil, schema(t, "a:int b:int a:int"), "there would be two columns a: rename the label, or give the selected field another name with `derive`"},
		{nil, schema(t, "label_x:int"), ""},
		{[]string{""}, nil, "a label has no name"},
		{nil, mortise.Schema{{Name: "a"}}, `selected column "a" has no name or no type`},
		{nil, mortise.Schema{{Type: mortise.Type{Kind: mortise.Int}}}, `selected column "" has no name or no type`},
	} {
		got, err := NewColumns(c.labels, c.selected)
		if c.want == "" && err != nil || c.want != "" && (err == nil || got != nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("labels %v, selected %v: got %v, want %s", c.labels, c.selected, err, c.want)
		}
	}
}
