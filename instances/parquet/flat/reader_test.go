package flat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// spell writes a row as text, a type beside every number.
func spell(v *mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return fmt.Sprintf("%q", v.Text())
	case mortise.List:
		var parts []string
		for _, e := range v.List() {
			parts = append(parts, spell(&e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	case mortise.Int, mortise.Timestamp:
		return fmt.Sprintf("%s(%d)", v.Kind, v.Int())
	case mortise.Float:
		return fmt.Sprintf("float(%v)", v.Float())
	}
	return "null"
}

func readAll(t *testing.T, data []byte) (names []string, rows []string, r *Reader) {
	t.Helper()
	r, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		for i := range row {
			cells = append(cells, spell(&row[i]))
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if int64(len(rows)) != r.NumRows() {
		t.Errorf("%d rows read, the file has %d", len(rows), r.NumRows())
	}
	names = r.Names()
	return names, rows, r
}

func TestOwnLibrary(t *testing.T) {
	type row struct {
		ID   string   `parquet:"instance_id"`
		At   int64    `parquet:"event_time,timestamp(millisecond)"`
		Rev  int32    `parquet:"revision"`
		P    *float64 `parquet:"p,optional"`
		F    float32  `parquet:"f"`
		B    bool     `parquet:"b"`
		L    []string `parquet:"l,list"`
		Bare []int64  `parquet:"bare"`
		S    struct{ X, Y int64 }
	}
	p := 0.25
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.MaxRowsPerRowGroup(2))
	w.SetKeyValueMetadata("mortise.version", "7")
	if _, err := w.Write([]row{{ID: "a", At: 1574553663979, Rev: 1, P: &p, F: 1.5, B: true, L: []string{"x", ""}, Bare: []int64{1, 2}}, {ID: "b"}, {ID: "c", L: []string{"z"}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names, rows, r := readAll(t, b.Bytes())
	if got := strings.Join(names, " "); got != "instance_id event_time revision p f b l bare" || strings.Join(r.Left(), " ") != "S" || r.Lookup("mortise.version") != "7" || r.Lookup("x") != "" {
		t.Errorf("columns %s, left out %v, version %s", got, r.Left(), r.Lookup("mortise.version"))
	}
	for i, want := range []string{
		`"a" timestamp(1574553663979) int(1) float(0.25) float(1.5) true ["x" ""] [int(1) int(2)]`,
		`"b" timestamp(0) int(0) null float(0) false [] []`,
		`"c" timestamp(0) int(0) null float(0) false ["z"] []`,
	} {
		if rows[i] != want {
			t.Errorf("row %d\n got %s\nwant %s", i, rows[i], want)
		}
	}
}

// TestArrow reads what Arrow, Spark's older timestamps and DuckDB write.
func TestArrow(t *testing.T) {
	python := provisioned.Python(t)
	dir := t.TempDir()
	out, err := exec.Command(python, "-c", `
import sys, decimal, datetime, json
import pyarrow as pa, pyarrow.parquet as pq, duckdb
at = [datetime.datetime(2026, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc), None]
t = pa.table({
  "s": pa.array(["x", None]), "big": pa.array(["y", "z"], pa.large_string()), "d": pa.array(["d", "d"]).dictionary_encode(),
  "i8": pa.array([-1, None], pa.int8()), "u32": pa.array([4294967295, 1], pa.uint32()), "u64": pa.array([2**63, 1], pa.uint64()),
  "f": pa.array([0.5, None], pa.float32()), "ms": pa.array(at, pa.timestamp("ms", "UTC")), "us": pa.array(at, pa.timestamp("us", "UTC")),
  "ns": pa.array(at, pa.timestamp("ns")), "dec": pa.array([decimal.Decimal("-1.25"), None], pa.decimal128(20, 2)),
  "l": pa.array([["a", None], None], pa.list_(pa.string())), "e": pa.array([[], [1.5]], pa.list_(pa.float64())), "n": pa.array([None, None]),
  "st": pa.array([{"a": 1}, None]), "ll": pa.array([[[1]], None])})
d = sys.argv[1]
pq.write_table(t, d + "/a.parquet")
pq.write_table(t, d + "/v2.parquet", data_page_version="2.0", compression="zstd", row_group_size=1)
pq.write_table(t.select(["ms"]), d + "/int96.parquet", use_deprecated_int96_timestamps=True)
duckdb.sql(f"copy (select 'x' as s, [1, 2] as l, 1.5::decimal(9,1) as dec, timestamp '2026-01-01 00:00:01.5' as at) to '{d}/duck.parquet'")
`, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	read := func(name string) ([]string, []string, *Reader) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, data)
	}
	for _, name := range []string{"a.parquet", "v2.parquet"} {
		_, rows, r := read(name)
		if got, _ := json.Marshal(r.Left()); string(got) != `["st","ll"]` {
			t.Errorf("%s: left out %s", name, got)
		}
		for i, want := range []string{
			`"x" "y" "d" int(-1) int(4294967295) float(9.223372036854775808e+18) float(0.5) timestamp(1767225601500) timestamp(1767225601500) timestamp(1767225601500) float(-1.25) ["a" null] [] null`,
			`null "z" "d" null int(1) int(1) null null null null null null [float(1.5)] null`,
		} {
			if rows[i] != strings.ReplaceAll(want, "9.223372036854775808e+18", "9.223372036854776e+18") {
				t.Errorf("%s, row %d\n got %s\nwant %s", name, i, rows[i], want)
			}
		}
	}
	if _, rows, _ := read("int96.parquet"); rows[0] != "timestamp(1767225601500)" || rows[1] != "null" {
		t.Errorf("int96: %v", rows)
	}
	if _, rows, _ := read("duck.parquet"); rows[0] != `"x" [int(1) int(2)] float(1.5) timestamp(1767225601500)` {
		t.Errorf("duckdb: %v", rows)
	}
}

func TestOpenFaults(t *testing.T) {
	for _, data := range []string{"", "PAR1", strings.Repeat("x", 100)} {
		if _, err := Open(strings.NewReader(data), int64(len(data))); err == nil || !strings.HasPrefix(err.Error(), "opening as Parquet: ") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// TestDamage changes bytes of a file anywhere: rows or an error come, no panic.
func TestDamage(t *testing.T) {
	type row struct {
		ID string   `parquet:"instance_id"`
		L  []string `parquet:"l,list"`
		F  *float64 `parquet:"f,optional"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.MaxRowsPerRowGroup(20))
	for i := range 60 {
		f := float64(i)
		if _, err := w.Write([]row{{ID: fmt.Sprint("k", i), L: make([]string, i%3), F: &f}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	failed := 0
	for range 400 {
		data := bytes.Clone(b.Bytes())
		for range 1 + rnd.Intn(3) {
			data[rnd.Intn(len(data))] = byte(rnd.Intn(256))
		}
		r, err := Open(bytes.NewReader(data), int64(len(data)))
		for n := 0; err == nil && n < 10_000; n++ {
			_, err = r.Next()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
}
