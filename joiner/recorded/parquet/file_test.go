package parquet_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/joiner/recorded/parquet"
)

// impression is a row of the kind that the tests write.
type impression struct {
	ID    string    `parquet:"id"`
	TS    int64     `parquet:"ts"`
	Pos   *int64    `parquet:"pos,optional"`
	Score *float64  `parquet:"score,optional,snappy"`
	Top   bool      `parquet:"top"`
	Page  *string   `parquet:"page,optional,dict,zstd"`
	Tags  []string  `parquet:"tags,list"`
	Nums  []float64 `parquet:"nums,gzip"` // repeated, without a group around it
	Other struct {
		X int32 `parquet:"x"`
	} `parquet:"other"`
}

const impressionFields = "id:string ts:int pos:int? score:float? top:bool page:string? tags:[string] nums:[float]"

func impressions(rng *rand.Rand, n int) (rows []impression) {
	texts := []string{"", "a", `q"\`, "two\nlines", "日本", "a,b", " x "}
	for i := range n {
		r := impression{ID: fmt.Sprintf("id-%d", i), TS: 1_700_000_000_000 + rng.Int64N(1e9), Top: rng.IntN(2) == 0}
		if rng.IntN(3) > 0 {
			v := rng.Int64() - rng.Int64()
			r.Pos = &v
		}
		if rng.IntN(3) > 0 {
			v := rng.NormFloat64()
			r.Score = &v
		}
		if rng.IntN(3) > 0 {
			r.Page = &texts[rng.IntN(len(texts))]
		}
		for range rng.IntN(4) {
			r.Tags = append(r.Tags, texts[rng.IntN(len(texts))])
		}
		for range rng.IntN(3) {
			r.Nums = append(r.Nums, rng.Float64())
		}
		rows = append(rows, r)
	}
	return rows
}

// write writes rows as a Parquet file of groups of perGroup rows.
func write(t testing.TB, path string, rows []impression, perGroup int, options ...pq.WriterOption) string {
	t.Helper()
	var file bytes.Buffer
	w := pq.NewGenericWriter[impression](&file, append(options, pq.PageBufferSize(512))...)
	for len(rows) > 0 {
		n := min(perGroup, len(rows))
		if _, err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// asJSON writes rows as lines, in the order of impressionFields.
func asJSON(t testing.TB, rows []impression) (lines []string) {
	t.Helper()
	for _, r := range rows {
		if r.Tags == nil {
			r.Tags = []string{}
		}
		if r.Nums == nil {
			r.Nums = []float64{}
		}
		var line bytes.Buffer
		e := json.NewEncoder(&line)
		e.SetEscapeHTML(false)
		if err := e.Encode(struct {
			ID    string    `json:"id"`
			TS    int64     `json:"ts"`
			Pos   *int64    `json:"pos"`
			Score *float64  `json:"score"`
			Top   bool      `json:"top"`
			Page  *string   `json:"page"`
			Tags  []string  `json:"tags"`
			Nums  []float64 `json:"nums"`
		}{r.ID, r.TS, r.Pos, r.Score, r.Top, r.Page, r.Tags, r.Nums}); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSuffix(line.String(), "\n"))
	}
	return lines
}

// asCSV writes lines as CSV, null as nothing and the empty text in quotes.
func asCSV(t testing.TB, lines []string) []byte {
	t.Helper()
	names := []string{"nums", "id", "ts", "pos", "score", "top", "page", "tags"}
	var out bytes.Buffer
	out.WriteString(strings.Join(names, ",") + "\r\n")
	for _, line := range lines {
		var row map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			if i > 0 {
				out.WriteByte(',')
			}
			text := string(row[name])
			if text == "null" {
				continue
			}
			if text[0] == '"' {
				if err := json.Unmarshal(row[name], &text); err != nil {
					t.Fatal(err)
				}
			}
			var cell bytes.Buffer
			w := csv.NewWriter(&cell)
			if err := w.Write([]string{text, "x"}); err != nil {
				t.Fatal(err)
			}
			if w.Flush(); text == "" {
				out.WriteString(`""`)
			}
			out.WriteString(strings.TrimSuffix(cell.String(), ",x\n"))
		}
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// TestSameRowsFromEveryFormat writes random rows as JSON lines, as Parquet and
// as CSV: whatever they are read from, the lines are the same, to the byte.
func TestSameRowsFromEveryFormat(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		dir := t.TempDir()
		rows := impressions(rng, 1+rng.IntN(600))
		want := asJSON(t, rows)
		write(t, filepath.Join(dir, "f.parquet"), rows, 1+rng.IntN(300), pq.DataPageVersion(1+rng.IntN(2)))
		for name, data := range map[string][]byte{"f.jsonl": []byte(strings.Join(want, "\n")), "f.csv": asCSV(t, want)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"f.jsonl", "f.csv", "f.parquet"} {
			files, err := open(t, recorded.Options{Fields: fields(t, impressionFields)}, filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, files, nil); !slices.Equal(got, want) {
				for i := range want {
					if i >= len(got) || got[i] != want[i] {
						t.Fatalf("%s, row %d: got\n%s, want\n%s", name, i, got[i], want[i])
					}
				}
			}
		}
	}
}

func TestRowsAreNumbered(t *testing.T) {
	rows := impressions(rand.New(rand.NewPCG(1, 2)), 10)
	path := write(t, filepath.Join(t.TempDir(), "f.parquet"), rows, 4)
	files, err := open(t, recorded.Options{Fields: fields(t, "id:string")}, path)
	if err != nil {
		t.Fatal(err)
	}
	units := files.Units(1)
	if len(units) != 3 || units[1].String() != path+", row groups 1 to 1" {
		t.Fatalf("units %v", units)
	}
	r, err := units[2].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	line, err := r.Next()
	if err != nil || string(line.Data) != `{"id":"id-8"}` || line.Number != 9 || line.Position != 8 || line.Where() != path+":9" {
		t.Errorf("got %+v, %v", line, err)
	}
}

func TestColumnsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f.parquet"), impressions(rand.New(rand.NewPCG(1, 2)), 3), 3)
	for declared, want := range map[string]string{
		"id:int":      "column id: it holds string, and the source declares int: declare string",
		"ts:bool":     "column ts: it holds int64, and the source declares bool: declare int",
		"ts:string":   "",
		"ts:float":    "",
		"score:int":   "",
		"top:int":     "column top: it holds bool, and the source declares int: declare bool",
		"id:[string]": "",
		"tags:[int]":  "column tags: it holds lists of string, and the source declares [int]: declare [string]",
		"tags:string": "column tags: it holds lists, and the source declares string: declare a list",
		"other:int":   "column other: it is nested",
		"ts:[int]":    "column ts: it holds int64, and the source declares [int]",
		"gone:int":    path + " has no column gone, which the source declares as int",
		"gone:int?":   "",
	} {
		_, err := open(t, recorded.Options{Fields: fields(t, declared)}, path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: got %v\nwant %s", declared, err, want)
		}
	}
	type other struct {
		Top int64 `parquet:"top"`
	}
	odd := filepath.Join(dir, "a.parquet")
	if err := pq.WriteFile(odd, []other{{1}}); err != nil {
		t.Fatal(err)
	}
	var misfit *recorded.ColumnError
	if _, err := open(t, recorded.Options{Fields: fields(t, "top:bool")}, odd, path); !errors.As(err, &misfit) || misfit.File != odd || misfit.Elsewhere != path || !strings.Contains(err.Error(), "(in "+path+" it fits)") {
		t.Errorf("got %v", err)
	}
	_, err := open(t, recorded.Options{TimeField: "id", TimeUnit: "ms", Fields: fields(t, "id:int")}, path)
	if err != nil { // texts are times, or dead letters
		t.Error(err)
	}
	if _, err = open(t, recorded.Options{TimeField: "ts", TimeUnit: "rfc3339"}, path); err == nil || !strings.Contains(err.Error(), "it holds int64, and it is the event time in rfc3339") {
		t.Errorf("got %v", err)
	}
}

func TestWholeRows(t *testing.T) {
	rows := impressions(rand.New(rand.NewPCG(1, 2)), 1)
	rows[0] = impression{ID: "a", TS: 5, Tags: []string{"x"}}
	path := write(t, filepath.Join(t.TempDir(), "f.parquet"), rows, 1)
	files, err := open(t, recorded.Options{Whole: true, Fields: fields(t, "ts:int")}, path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"ts":5,"id":"a","pos":null,"score":null,"top":false,"page":null,"tags":["x"],"nums":[],"other":{"x":0}}`
	if got := read(t, files, nil); len(got) != 1 || got[0] != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestFieldsWithinGroups(t *testing.T) {
	type user struct {
		ID   int64    `parquet:"id"`
		Tags []string `parquet:"tags,list"`
		More struct {
			OS string `parquet:"os"`
		} `parquet:"more"`
	}
	type row struct {
		ID   string `parquet:"id"`
		User *user  `parquet:"user,optional"`
		Flat string `parquet:"flat.name"`
	}
	u := user{ID: 7, Tags: []string{"a"}}
	u.More.OS = "x"
	path := filepath.Join(t.TempDir(), "f.parquet")
	if err := pq.WriteFile(path, []row{{"a", &u, "f"}, {"b", nil, "g"}}); err != nil {
		t.Fatal(err)
	}
	o := recorded.Options{Fields: fields(t, "os:string? id:string uid:int? tags:[string]? flat:string"),
		From: map[string][]string{"os": {"user", "more", "os"}, "uid": {"user", "id"}, "tags": {"user", "tags"}, "flat": {"flat", "name"}}}
	files, err := open(t, o, path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"user":{"more":{"os":"x"},"id":7,"tags":["a"]},"id":"a","flat":{"name":"f"}}`, `{"user":{"more":{"os":null},"id":null,"tags":null},"id":"b","flat":{"name":"g"}}`}
	if got := read(t, files, nil); !slices.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	o = recorded.Options{Fields: fields(t, "gone:int"), From: map[string][]string{"gone": {"user", "gone"}}}
	if _, err := open(t, o, path); err == nil || !strings.Contains(err.Error(), "has no column user.gone, which the source declares as int. The file's columns are id, user, user.id, user.tags, user.more, user.more.os, flat.name") {
		t.Errorf("got %v", err)
	}
}

func TestFoldersOfParquet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dt=2019-11-24", "id=x")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(dir, "f.parquet"), []impression{{ID: "a"}}, 1)
	files, err := open(t, recorded.Options{Fields: fields(t, "id:string dt:string")}, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, files, nil); got[0] != `{"id":"a","dt":"2019-11-24"}` {
		t.Errorf("got %s", got)
	}
	files, err = open(t, recorded.Options{Fields: fields(t, "dt:string")}, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, files, nil); got[0] != `{"dt":"2019-11-24"}` {
		t.Errorf("got %s", got)
	}
}

func TestFilesThatAreNoParquet(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(write(t, filepath.Join(dir, "whole.parquet"), impressions(rand.New(rand.NewPCG(1, 2)), 50), 20))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty.parquet":  {nil, "it has 0 bytes"},
		"text.parquet":   {[]byte(`{"id":"a","ts":1}` + "\n"), `it begins with "{\"id", not with PAR1`},
		"cut.parquet":    {whole[:len(whole)-100], "it does not end with PAR1: it was cut off, or is still being written"},
		"cut.jsonl":      {whole[:len(whole)-100], "it does not end with PAR1"},
		"secret.parquet": {append([]byte("PARE"), whole[4:]...), "it is encrypted"},
		"footer.parquet": {append(slices.Clone(whole[:len(whole)-8]), "\xff\xff\xff\x7fPAR1"...), "its footer would have 2147483647 bytes"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, recorded.Options{Fields: fields(t, "id:string")}, path)
		var fault *recorded.ReadError
		if !errors.As(err, &fault) || fault.File != path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", name, err, c.want)
		}
	}
	// Content decides, not the name.
	path := filepath.Join(dir, "named.csv")
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	files, err := open(t, recorded.Options{Fields: fields(t, "id:string")}, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, files, nil); len(got) != 50 {
		t.Errorf("%d rows", len(got))
	}
}

// leads lay out members whose names do not matter.
var leads = func() (all [][]byte) {
	for i := range 20 {
		all = append(all, fmt.Appendf(nil, `%c"f%d":`, "{,"[min(i, 1)], i))
	}
	return all
}()

// damaged reads a file of any bytes to its end or its first error.
func damaged(data []byte, declared mortise.Schema) (rows int, err error) {
	table, err := parquet.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, err
	}
	o := recorded.Options{Fields: declared}
	members := slices.DeleteFunc(o.Members(), func(m recorded.Member) bool { return table.Fit(&m) != nil })
	layout := recorded.Layout{Leads: leads[:len(members)], Tail: []byte("}")}
	if len(members) == 0 {
		layout.Tail = []byte("{}")
	}
	r, err := table.Rows(members, layout, 0, len(table.Groups()))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		row, err := r.Next()
		if err != nil {
			return rows, err
		}
		if !json.Valid(row) {
			return rows, fmt.Errorf("row %d is no JSON: %q", rows, row)
		}
		if rows++; rows > 100_000 {
			return rows, io.EOF
		}
	}
}

// TestDamage cuts and changes files: reading gives rows and then an error, and
// neither panics nor takes more memory than the file's size allows for.
func TestDamage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	declared := fields(t, impressionFields)
	for version := 1; version <= 2; version++ {
		whole, err := os.ReadFile(write(t, filepath.Join(t.TempDir(), "f.parquet"), impressions(rng, 60), 25, pq.DataPageVersion(version)))
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := damaged(whole, declared); rows != 60 || !errors.Is(err, io.EOF) {
			t.Fatalf("undamaged: %d rows, %v", rows, err)
		}
		for range 1000 {
			data := slices.Clone(whole)
			for range 1 + rng.IntN(3) {
				switch at := rng.IntN(len(data)); rng.IntN(3) {
				case 0:
					data[at] ^= 1 << rng.IntN(8)
				case 1:
					data[at] = byte(rng.Uint32())
				default:
					data = append(data[:at], data[min(len(data), at+rng.IntN(20)):]...)
				}
			}
			if _, err := damaged(data, declared); err == nil {
				t.Fatal("neither an error nor the end")
			}
		}
	}
}

// FuzzFile reads any bytes as a file.
func FuzzFile(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for version := 1; version <= 2; version++ {
		data, err := os.ReadFile(write(f, filepath.Join(f.TempDir(), "f.parquet"), impressions(rng, 20), 10, pq.DataPageVersion(version)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	declared := fields(f, impressionFields)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := damaged(data, declared); err == nil || strings.Contains(err.Error(), "is no JSON") {
			t.Fatalf("ended with %v", err)
		}
	})
}
