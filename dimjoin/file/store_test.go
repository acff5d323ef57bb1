package file_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/file"
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
	encode func(t testing.TB, names []string, rows []mortise.Row) []byte
}{{"items.csv", asCSV}, {"items.jsonl", asJSONL}}

func TestConformance(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			dimjointest.Run(t, dimjointest.Store{History: true, BlankText: f.name == "items.csv", New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
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
