package parquet

import (
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

func TestTypes(t *testing.T) {
	var selected mortise.Schema
	for _, text := range []string{"string?", "int", "float", "bool", "timestamp", "[int]", "[string]?"} {
		typ, err := mortise.ParseType(text)
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, mortise.Field{Name: "c" + text, Type: typ})
	}
	c, err := instances.NewColumns([]string{"click"}, selected)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"BYTE_ARRAY (STRING)", "INT64 (TIMESTAMP, ms, UTC)", "DOUBLE", "INT64 (TIMESTAMP, ms, UTC), optional", "INT64",
		"BYTE_ARRAY (STRING), optional", "INT64", "DOUBLE, optional", "BOOLEAN", "INT64 (TIMESTAMP, ms, UTC)", "LIST of optional INT64", "LIST of optional BYTE_ARRAY (STRING), optional",
		"DOUBLE", "INT32", "BOOLEAN", "BOOLEAN", "LIST of BYTE_ARRAY (STRING)"}
	if got := Types(c); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
