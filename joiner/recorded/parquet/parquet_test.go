package parquet_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/joiner/recorded/parquet"
)

// fields declares fields: "id:string n:int?".
func fields(t testing.TB, text string) (all mortise.Schema) {
	t.Helper()
	for _, f := range strings.Fields(text) {
		name, typ, _ := strings.Cut(f, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mortise.Field{Name: name, Type: parsed})
	}
	return all
}

func open(t testing.TB, o recorded.Options, patterns ...string) (*recorded.Files, error) {
	o.OpenTable = parquet.Open
	return recorded.Open(t.Context(), o, patterns...)
}

// read returns the lines of a reader, and closes it.
func read(t testing.TB, r recorded.RowReader, err error) (lines []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line.Data))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestOtherWriters reads what pyarrow and DuckDB write: encodings, page versions,
// codecs, types.
func TestOtherWriters(t *testing.T) {
	python := provisioned.Python(t)
	dir, seed := t.TempDir(), rand.Uint32()
	t.Logf("seed %d", seed)
	if out, err := exec.Command(python, "testdata/files.py", dir, fmt.Sprint(seed)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			base := strings.TrimSuffix(path, ".parquet")
			declared, err := os.ReadFile(base + ".fields")
			if err != nil {
				t.Fatal(err)
			}
			files, err := open(t, recorded.Options{Fields: fields(t, string(declared))}, path)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, files, nil)
			if done, total := files.Progress(); done != total {
				t.Errorf("progress %d of %d", done, total)
			}
			sameLines(t, got, base+".jsonl")
			var parts []string
			units := files.Units(files.Units(0)[0].Bytes() / 3)
			for i := range units {
				r, err := units[i].Open()
				parts = append(parts, read(t, r, err)...)
			}
			if !reflect.DeepEqual(parts, got) {
				t.Errorf("read in %d parts, the rows differ", len(units))
			}
		})
	}
}

// sameLines compares lines with a file's: the same members, in order, with the
// same values, whatever the spelling.
func sameLines(t *testing.T, got []string, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := bufio.NewScanner(f)
	want.Buffer(nil, 1<<20)
	n := 0
	for ; want.Scan(); n++ {
		if n >= len(got) {
			continue
		}
		if g, w := decode(t, got[n]), decode(t, want.Text()); !reflect.DeepEqual(g, w) {
			for i := range w {
				if i >= len(g) || !reflect.DeepEqual(g[i], w[i]) {
					t.Fatalf("row %d: got %v, want %v", n, g[i], w[i])
				}
			}
		}
	}
	if n != len(got) {
		t.Fatalf("got %d rows, want %d", len(got), n)
	}
}

// decode returns an object's names and values in their order; numbers that are
// not integers as floats.
func decode(t *testing.T, line string) (parts []any) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if n, ok := token.(json.Number); ok && strings.ContainsAny(n.String(), ".eE") {
			if token, err = strconv.ParseFloat(n.String(), 64); err != nil {
				t.Fatal(err)
			}
			if f := token.(float64); f == float64(int64(f)) {
				token = json.Number(strconv.FormatInt(int64(f), 10))
			}
		}
		parts = append(parts, token)
	}
}
