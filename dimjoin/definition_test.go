package dimjoin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func TestColumnsAreNullableWhereRowsMayMiss(t *testing.T) {
	fields := mortise.Schema{{Name: "brand", Type: mortise.Type{Kind: mortise.String}}}
	for missing, want := range map[string]string{MissingNull: "string?", MissingDefault: "string", MissingDeadLetter: "string", MissingWait: "string?"} {
		d := Definition{Fields: fields, Missing: missing}
		if got := d.Columns()[0].Type.String(); got != want {
			t.Errorf("missing: %s makes the column %s, want %s", missing, got, want)
		}
	}
	if fields[0].Type.Nullable {
		t.Error("Columns changed the definition")
	}
}

func TestCheckAsOf(t *testing.T) {
	redis, file := &Store{Kind: "redis"}, &Store{Kind: "file"}
	for _, c := range []struct {
		store *Store
		asOf  string
		ok    bool
	}{
		{redis, AsOfArrival, true},
		{redis, AsOfEventTime, false},
		{file, AsOfEventTime, true},
		{&Store{Kind: "ab", AB: [2]*Store{file, redis}}, AsOfEventTime, false},
		{&Store{Kind: "ab", AB: [2]*Store{file, file}}, AsOfEventTime, true},
		{&Store{Kind: "ab", AB: [2]*Store{file, redis}}, AsOfEmission, true},
		{&Store{Kind: "ab", AB: [2]*Store{nil, file}}, AsOfEventTime, true},
	} {
		if err := CheckAsOf(c.store, c.asOf); (err == nil) != c.ok {
			t.Errorf("%s as of %s: %v", c.store.Kind, c.asOf, err)
		}
	}
}

func TestCheckFields(t *testing.T) {
	main := mortise.Schema{{Name: "id", Type: mortise.Type{Kind: mortise.Int}}, {Name: "tags", Type: mortise.Type{Kind: mortise.List, Elem: mortise.Int}}}
	if err := CheckFields(main, main, []string{"id"}); err != nil {
		t.Error(err)
	}
	if err := CheckFields(nil, main, []string{"id"}); err == nil {
		t.Error("no fields were accepted")
	}
	if err := CheckFields(main, main, []string{"tags"}); err == nil || !strings.Contains(err.Error(), "tags") {
		t.Errorf("a list as key: %v", err)
	}
}

func TestDSNIsHidden(t *testing.T) {
	d := Definition{Store: Store{Kind: "sql", SQL: SQL{Driver: "postgres", DSN: "postgres://me:hunter2@db", Table: "items"}}}
	d.Store.Redis = Redis{Prefix: "items:", Password: "hunter2"}
	asJSON, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%v %+v %#v %v %s", d, d, d, d.Store, asJSON)
	if strings.Contains(out, "hunter2") || !strings.Contains(out, "items") {
		t.Errorf("printed as %s", out)
	}
}

func TestStoreKinds(t *testing.T) {
	for _, k := range StoreKinds {
		if got, ok := FindStoreKind(k.Name); !ok || got.Name != k.Name || len(got.Keys) == 0 {
			t.Errorf("%s: %+v, %v", k.Name, got, ok)
		}
	}
	if _, ok := FindStoreKind("mongo"); ok {
		t.Error("found a store that does not exist")
	}
}
