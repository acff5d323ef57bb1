package dataset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// TestOtherReaders checks that pyarrow and DuckDB take the folder for one table:
// by hour, whole, under columns that came later, and beside what is Mortise's own.
func TestOtherReaders(t *testing.T) {
	python := provisioned.Python(t)
	dir := t.TempDir()
	place := openDir(t, dir)
	d := open(t, place, options(t))
	next(t, d, "p00000")
	publish(t, d, "p00000", 0, 300)
	if err := d.Complete(ctx, startMS, startMS+2*hourMS); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	o.Version, o.Columns = 4, instancetest.MustColumns([]string{"click"}, "item", "string", "position", "int?", "ctr", "float", "last", "[string]", "new", "int")
	later := open(t, place, o)
	w := later.NewPart("p00000", next(t, later, "p00000").Next)
	for offset := int64(300); offset < 400; offset++ {
		in := rowAt("p00000", offset)
		in.Selected = append(in.Selected, mortise.IntValue(offset))
		if err := w.Append(in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Publish(ctx, 400); err != nil {
		t.Fatal(err)
	}

	var ids []string
	ofHour := 0
	for offset := range int64(400) {
		in := rowAt("p00000", offset)
		ids = append(ids, string(in.ID))
		if folderOf(in.TimeMS, hourMS) == "dt=2026-02-01/hour=00/" {
			ofHour++
		}
	}
	slices.Sort(ids)
	out, err := exec.Command(python, "testdata/folders.py", dir).Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	var got struct {
		Pyarrow       []string          `json:"pyarrow"`
		PyarrowOfHour int               `json:"pyarrow of the hour"`
		Elsewhere     int               `json:"in another folder"`
		PyarrowNull   int               `json:"null in new"`
		DuckDB        []string          `json:"duckdb"`
		DuckDBOfHour  int               `json:"duckdb of the hour"`
		DuckDBNull    int               `json:"duckdb null in new"`
		Metadata      map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !slices.Equal(got.Pyarrow, ids) || !slices.Equal(got.DuckDB, ids) {
		t.Errorf("pyarrow reads %d rows and DuckDB %d, want %d, or others", len(got.Pyarrow), len(got.DuckDB), len(ids))
	}
	counts := fmt.Sprint(got.PyarrowOfHour, got.DuckDBOfHour, got.Elsewhere, got.PyarrowNull, got.DuckDBNull)
	if want := fmt.Sprint(ofHour, ofHour, 0, 300, 300); counts != want || ofHour == 0 {
		t.Errorf("rows of the hour, in another folder, without the new column: %s, want %s", counts, want)
	}
	want := map[string]string{"mortise.experiment": "feed-ctr", "mortise.version": "3", "mortise.config": "ab12", "mortise.origin": "p00000", "mortise.offsets": "0-300", "mortise.labels": `["click"]`,
		"mortise.columns": `["instance_id string","event_time timestamp","label_click float","label_click_time timestamp?","label_click_count int","item string","position int?","ctr float","last [string]","weight float","revision int","final bool","late bool","degraded [string]"]`}
	if !reflect.DeepEqual(got.Metadata, want) {
		t.Errorf("metadata %q\nwant %q", got.Metadata, want)
	}
}
