package inputs

import (
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
)

func TestOptionsServeEveryReader(t *testing.T) {
	str, intOrNull, integer := mortise.Type{Kind: mortise.String}, mortise.Type{Kind: mortise.Int, Nullable: true}, mortise.Type{Kind: mortise.Int}
	a := &spec.Source{TimeField: "ts", TimeUnit: "us", Fields: mortise.Schema{{Name: "id", Type: str}, {Name: "n", Type: intOrNull}, {Name: "m", Type: intOrNull}}}
	b := &spec.Source{TimeField: "ts", TimeUnit: "us", Fields: mortise.Schema{{Name: "n", Type: integer}, {Name: "m", Type: intOrNull}, {Name: "more", Type: str}}}
	o := Options([]*spec.Source{nil, a, b})
	want := mortise.Schema{{Name: "id", Type: str}, {Name: "n", Type: integer}, {Name: "m", Type: intOrNull}, {Name: "more", Type: str}}
	if !slices.Equal(o.Fields, want) || o.TimeField != "ts" || o.TimeUnit != "us" || o.Whole {
		t.Errorf("got %+v, want fields %v", o, want)
	}
	if a.Fields[1].Type != intOrNull {
		t.Error("a source was changed")
	}
	if b.Clean = "f"; !Options([]*spec.Source{a, b}).Whole {
		t.Error("a clean function sees whole records")
	}
}
