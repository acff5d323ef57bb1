package parquet

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// typesOf says how pyarrow and DuckDB call a column's type.
func typesOf(c *instances.Columns, i int) [2]string {
	names := map[mortise.Kind][2]string{mortise.String: {"string", "VARCHAR"}, mortise.Int: {"int64", "BIGINT"}, mortise.Float: {"double", "DOUBLE"},
		mortise.Bool: {"bool", "BOOLEAN"}, mortise.Timestamp: {"timestamp[ms, tz=UTC]", "TIMESTAMP WITH TIME ZONE"}}
	typ := c.Schema()[i].Type
	if part, _ := c.Part(i); part == instances.PartRevision {
		return [2]string{"int32", "INTEGER"}
	} else if part == instances.PartDegraded {
		return [2]string{"list<element: string not null>", "VARCHAR[]"}
	}
	if typ.Kind != mortise.List {
		return names[typ.Kind]
	}
	elem := names[typ.Elem]
	return [2]string{"list<element: " + elem[0] + ">", elem[1] + "[]"}
}

// TestOtherReaders checks that pyarrow and DuckDB read files with the documented
// types and exactly their rows, and that what they write is read here.
func TestOtherReaders(t *testing.T) {
	python := provisioned.Python(t)
	r := newRand(t)
	every := everyType()
	rows := randomRows(r, every, 5000)
	for i := range rows {
		bringNear(&rows[i])
	}
	golden, goldenRows := instancetest.Golden()
	traffic := benchColumns(40)
	for _, c := range []struct {
		name    string
		columns *instances.Columns
		rows    []instances.Instance
		opts    Options
	}{
		{"golden", golden, goldenRows, Options{}},
		{"every type", every, rows, Options{RowGroupBytes: 150 << 10, PageBytes: 4 << 10}},
		{"traffic", traffic, benchRows(traffic, 20_000), Options{RowGroupBytes: 2 << 20}},
		{"no rows", every, nil, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			data := write(t, NewWriter(c.columns, c.opts), Metadata{Experiment: "e"}, c.rows, 1000)
			save(t, filepath.Join(dir, "rows.parquet"), data)
			encoder := instances.NewJSONEncoder(c.columns)
			var lines []byte
			for i := range c.rows {
				lines = append(encoder.Append(lines, &c.rows[i]), '\n')
			}
			save(t, filepath.Join(dir, "rows.jsonl"), lines)
			save(t, filepath.Join(dir, "types.json"), typesJSON(t, c.columns))
			said, err := exec.Command(python, "testdata/readers.py", dir).CombinedOutput()
			if want := fmt.Sprintf("%d rows, %d row groups, 0 faults\n", len(c.rows), len(open(t, data).file.RowGroups())); err != nil || string(said) != want {
				t.Fatalf("%v: got %s\nwant %s", err, said, want)
			}
			for _, name := range []string{"pyarrow.parquet", "duckdb.parquet"} {
				checkFile(t, filepath.Join(dir, name), c.columns, c.rows)
			}
		})
	}
}

func save(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func typesJSON(t *testing.T, c *instances.Columns) []byte {
	t.Helper()
	var decls []string
	for i, f := range c.Schema() {
		name, err := json.Marshal(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		types, err := json.Marshal(typesOf(c, i))
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, string(name)+": "+string(types))
	}
	return []byte("{" + strings.Join(decls, ", ") + "}") // a map would lose the order
}

// bringNear moves times into the range that all readers have, about the year 2000.
func bringNear(in *instances.Instance) {
	const span = 4_000_000_000_000
	in.TimeMS %= span
	for i := range in.Labels {
		in.Labels[i].FirstMS %= span
	}
	for i := range in.Selected {
		v := &in.Selected[i]
		if v.Kind == mortise.Timestamp {
			*v = mortise.TimestampValue(v.Int() % span)
		}
		for j := range v.List() {
			if e := &v.List()[j]; e.Kind == mortise.Timestamp {
				*e = mortise.TimestampValue(e.Int() % span)
			}
		}
	}
}

// checkFile checks the rows of a file that another program wrote, in any order of
// its columns.
func checkFile(t *testing.T, path string, c *instances.Columns, rows []instances.Instance) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	got := readAllAs(t, r, c, make([]instances.Instance, 300))
	if len(got) != len(rows) {
		t.Fatalf("%s has %d rows, want %d", path, len(got), len(rows))
	}
	for i := range rows {
		if want := instancetest.Row(c, &rows[i]); got[i] != want {
			t.Fatalf("%s: row %d:\n got %s\nwant %s", path, i, got[i], want)
		}
	}
}

// readAllAs reads a file and shows its rows in the columns' order.
func readAllAs(t *testing.T, r *Reader, c *instances.Columns, buffer []instances.Instance) (shown []string) {
	t.Helper()
	labels, selected := map[string]int{}, map[string]int{}
	for i, name := range r.Columns().Labels() {
		labels[name] = i
	}
	for i, f := range r.Columns().Selected() {
		selected[f.Name] = i
	}
	for {
		n, err := r.Read(buffer)
		if n == 0 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			return shown
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range buffer[:n] {
			in := buffer[i]
			in.Labels, in.Selected = nil, nil
			for _, name := range c.Labels() {
				in.Labels = append(in.Labels, buffer[i].Labels[labels[name]])
			}
			for _, f := range c.Selected() {
				in.Selected = append(in.Selected, buffer[i].Selected[selected[f.Name]])
			}
			shown = append(shown, instancetest.Row(c, &in))
		}
	}
}
