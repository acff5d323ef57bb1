package dimensions

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// toParquet makes a Parquet file of JSON lines: the first line has the columns'
// names and types.
const toParquet = `
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
types = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "timestamp": pa.timestamp("ms", tz="UTC")}
def of(t):
    t = t.rstrip("?")
    return pa.list_(types[t[1:-1]]) if t.startswith("[") else types[t]
lines = sys.stdin.buffer.read().decode("utf-8").split("\n")
columns = json.loads(lines[0])
rows = [json.loads(l) for l in lines[1:] if l]
table = pa.table({c["name"]: pa.array([r[c["name"]] for r in rows], of(c["type"])) for c in columns})
pq.write_table(table, sys.argv[1], row_group_size=97)
`

// parquetTable is a Parquet file that a test has pyarrow write.
type parquetTable struct {
	python string
	def    dimjoin.Definition
}

func (p *parquetTable) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	def := p.def
	def.Fields = fields
	return opened(file.Open(ctx, &def, file.Options{OpenColumns: openParquet}))
}

func (p *parquetTable) Fill(t testing.TB, records []dimjoin.Record) {
	var columns mortise.Schema
	for i, name := range p.def.Key {
		columns = append(columns, mortise.Field{Name: name, Type: p.def.KeyTypes[i]})
	}
	columns = append(columns, p.def.Fields...)
	if h := p.def.History; h.Kept() {
		from, to := mortise.Type{Kind: mortise.Timestamp}, mortise.Type{Kind: mortise.Int}
		columns = append(columns, mortise.Field{Name: h.From, Type: from}, mortise.Field{Name: h.To, Type: to})
	}
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	var head []column
	for _, f := range columns {
		head = append(head, column{f.Name, f.Type.String()})
	}
	lines := bytes.NewBuffer(nil)
	write := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(text, '\n'))
	}
	write(head)
	for i, r := range records {
		if r.Row == nil {
			continue
		}
		row := append(append(mortise.Row{}, r.Values...), r.Row...)
		if p.def.History.Kept() {
			to := mortise.NullValue()
			if i+1 < len(records) && bytes.Equal(records[i+1].Key, r.Key) {
				to = mortise.IntValue(records[i+1].FromMS)
			}
			row = append(row, mortise.IntValue(r.FromMS), to)
		}
		object := map[string]json.RawMessage{}
		for i, v := range row {
			text := []byte("null")
			if v.Kind == mortise.String {
				text, _ = json.Marshal(string(v.Text())) // text can always be quoted
			} else if !v.IsNull() {
				text = dimjoin.AppendText(nil, v)
			}
			object[columns[i].Name] = text
		}
		write(object)
	}
	cmd := exec.Command(p.python, "-c", toParquet, p.def.Store.Path)
	cmd.Stdin = lines
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func (p *parquetTable) Remove(t testing.TB) {
	if err := os.Remove(p.def.Store.Path); err != nil {
		t.Fatal(err)
	}
}

// TestParquetTables runs the suite of dimension tables on Parquet files.
func TestParquetTables(t *testing.T) {
	python := provisioned.Python(t)
	dimjointest.Run(t, dimjointest.Store{History: true, Scale: 2, New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		def.Store = dimjoin.Store{Kind: "file", Path: filepath.Join(t.TempDir(), "items.parquet")}
		return &parquetTable{python, def}
	}})
	path := filepath.Join(t.TempDir(), "items.parquet")
	if err := os.WriteFile(path, []byte("no Parquet at all, whatever its name"), 0o666); err != nil {
		t.Fatal(err)
	}
	def := &dimjoin.Definition{Name: "item", Key: []string{"id"}, Store: dimjoin.Store{Path: path}}
	if _, err := file.Open(context.Background(), def, file.Options{OpenColumns: openParquet}); err == nil || !strings.Contains(err.Error(), "items.parquet: it begins with") {
		t.Errorf("a text called Parquet: %v", err)
	}
}
