package file_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

// written is a file that a test writes in one format.
type written struct {
	def    dimjoin.Definition
	encode func(t testing.TB, names []string, rows []mortise.Row) []byte
}

func (w *written) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	def := w.def
	def.Fields = fields
	return file.Open(ctx, &def, file.Options{})
}

func (w *written) Remove(t testing.TB) {
	if err := os.Remove(w.def.Store.Path); err != nil {
		t.Fatal(err)
	}
}

func (w *written) Fill(t testing.TB, records []dimjoin.Record) {
	names := append(append([]string{}, w.def.Key...), w.def.Fields.Names()...)
	if w.def.History.Kept() {
		names = append(names, w.def.History.From, w.def.History.To)
	}
	var rows []mortise.Row
	for i, r := range records {
		if r.Row == nil {
			continue // the end of the row before
		}
		row := append(append(mortise.Row{}, r.Values...), r.Row...)
		if w.def.History.Kept() {
			to := mortise.NullValue()
			if i+1 < len(records) && bytes.Equal(records[i+1].Key, r.Key) {
				to = mortise.IntValue(records[i+1].FromMS)
			}
			row = append(row, mortise.IntValue(r.FromMS), to)
		}
		rows = append(rows, row)
	}
	if err := os.WriteFile(w.def.Store.Path, w.encode(t, names, rows), 0o666); err != nil {
		t.Fatal(err)
	}
}

// asCSV writes null as nothing, and nothing as "".
func asCSV(t testing.TB, names []string, rows []mortise.Row) []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.Write(names); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				out.WriteByte(',')
			}
			if !v.IsNull() {
				out.WriteByte('"')
				out.Write(bytes.ReplaceAll(dimjoin.AppendText(nil, v), []byte(`"`), []byte(`""`)))
				out.WriteByte('"')
			}
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func asJSONL(t testing.TB, names []string, rows []mortise.Row) []byte {
	var out bytes.Buffer
	for _, row := range rows {
		out.WriteByte('{')
		for i, v := range row {
			if i > 0 {
				out.WriteByte(',')
			}
			name, _ := json.Marshal(names[i])
			out.Write(append(name, ':'))
			switch {
			case v.IsNull():
				out.WriteString("null")
			case v.Kind == mortise.String:
				text, err := json.Marshal(string(v.Text()))
				if err != nil {
					t.Fatal(err)
				}
				out.Write(text)
			default:
				out.Write(dimjoin.AppendText(nil, v))
			}
		}
		out.WriteString("}\n")
	}
	return out.Bytes()
}

var formats = []struct {
	name   string
	encode encoder
}{{"items.csv", asCSV}, {"items.jsonl", asJSONL}, {"items.csv.gz", gzipped(asCSV)}, {"items.jsonl.zst", zstandard(asJSONL)}}

type encoder func(t testing.TB, names []string, rows []mortise.Row) []byte

func gzipped(encode encoder) encoder {
	return func(t testing.TB, names []string, rows []mortise.Row) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err := z.Write(encode(t, names, rows)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
}

func zstandard(encode encoder) encoder {
	return func(t testing.TB, names []string, rows []mortise.Row) []byte {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		return z.EncodeAll(encode(t, names, rows), nil)
	}
}

func TestConformance(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			dimjointest.Run(t, dimjointest.Store{History: true, BlankText: strings.Contains(f.name, ".csv"), New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
				def.Store = dimjoin.Store{Kind: "file", Path: filepath.Join(t.TempDir(), f.name)}
				return &written{def, f.encode}
			}})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	dimjointest.Benchmark(b, dimjointest.Store{New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		def.Store = dimjoin.Store{Kind: "file", Path: filepath.Join(t.TempDir(), "items.csv")}
		return &written{def, asCSV}
	}})
}

// TestObjects reads a file of an object store, and reads it again when it changes.
func TestObjects(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	bucket, err := objectstore.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	put := func(text string) {
		t.Helper()
		if err := bucket.Put(ctx, "items.csv", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	put("id,n\na,1\n")
	def := &dimjoin.Definition{Name: "item", Key: []string{"id"}, Store: dimjoin.Store{Path: "s3://there/items.csv?secret=1"},
		Fields: mortise.Schema{{Name: "n", Type: mortise.Type{Kind: mortise.Int}}}}
	opts := file.Options{Every: -1, OpenBucket: func(ctx context.Context, place string) (file.Bucket, error) {
		if place != "s3://there?secret=1" {
			t.Errorf("opened %s", place)
		}
		return objectstore.Open(ctx, dir)
	}}
	table, err := file.Open(ctx, def, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	want := func(n int64) {
		t.Helper()
		l := []dimjoin.Lookup{{Key: []byte("a"), AsOfMS: dimjoin.Latest}}
		if err := table.Read(ctx, l); err != nil || l[0].Row == nil || l[0].Row[0].Int() != n {
			t.Errorf("%v, want %d (%v)", l[0].Row, n, err)
		}
	}
	want(1)
	put("id,n\na,22\n")
	table.Look(ctx)
	table.Look(ctx)
	want(22)
	put("id,n\na,x\n")
	if _, err := file.Open(ctx, def, opts); err == nil || !strings.Contains(err.Error(), "s3://there/items.csv:2: column n (2)") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad file: %v", err)
	}
	if err := bucket.Delete(ctx, "items.csv"); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(ctx, def, opts); err == nil || !strings.Contains(err.Error(), "no object items.csv") {
		t.Errorf("without an object: %v", err)
	}
	if _, err := file.Open(ctx, def, file.Options{}); err == nil {
		t.Error("a URL was read without a way to")
	}
}
