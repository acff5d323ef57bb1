package recorded

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	mortise "github.com/mortise-dev/mortise"
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

// rowsOf returns the lines of patterns as "name:number json", and how it ended.
func rowsOf(t testing.TB, o Options, patterns ...string) ([]string, error) {
	t.Helper()
	f, err := Open(t.Context(), o, patterns...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var got []string
	for {
		line, err := f.Next()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%s:%d %s", filepath.Base(line.File), line.Number, line.Data))
	}
}

func TestCSV(t *testing.T) {
	dir := t.TempDir()
	o := Options{Fields: fields(t, "id:string n:int? note:string? tags:[string]?"), TimeField: "ts", TimeUnit: "ms"}
	text := "\xef\xbb\xbfn, id ,unused,ts,tags,note\r\n" +
		"7,a,zzz,1000,\"[\"\"x\"\",\"\"y,z\"\"]\",\r\n" +
		"\r\n" +
		",\"b \"\"quoted\"\"\n\nlines\",,2000,,\"\"\n" +
		"x,c\"d\",\"\",3000,,,extra\n" +
		"1,\"e\"f,,4000,,\n" +
		"1,too few\n" +
		"2,last,,5000,,end"
	path := write(t, dir, "a.csv", []byte(text))
	got, err := rowsOf(t, o, path)
	wantLines(t, got, err,
		`a.csv:2 {"id":"a","n":7,"note":null,"tags":["x","y,z"],"ts":1000}`,
		`a.csv:4 {"id":"b \"quoted\"\n\nlines","n":null,"note":"","tags":null,"ts":2000}`,
		`a.csv:7 ["x","c\"d\"","","3000","","","extra"]`,
		`a.csv:8 ["1","\"e\"f","","4000","",""]`,
		`a.csv:9 ["1","too few"]`,
		`a.csv:10 {"id":"last","n":2,"note":"end","tags":null,"ts":5000}`)
	for name, data := range map[string][]byte{"b.csv.gz": gzipped(t, []byte(text)), "c.CSV.zst": zstded(t, []byte(text))} {
		packed, err := rowsOf(t, o, write(t, dir, name, data))
		for i := range packed {
			packed[i] = "a.csv" + strings.TrimPrefix(packed[i], name)
		}
		wantLines(t, packed, err, got...)
	}
	got, err = rowsOf(t, o, write(t, dir, "d.tsv", []byte("id\tts\n\"a\tb\"\t1,5\n\t\n")))
	wantLines(t, got, err, `d.tsv:2 {"id":"a\tb","ts":"1,5"}`, `d.tsv:3 {"id":"","ts":null}`)
}

func TestFieldsWithinObjectsOfCSV(t *testing.T) {
	dir := t.TempDir()
	o := Options{Fields: fields(t, "os:string id:string uid:int"), From: map[string][]string{"os": {"user", "os"}, "uid": {"user", "id"}}}
	got, err := rowsOf(t, o, write(t, dir, "a.csv", []byte("user.id,id,user.os\n7,a,x\n")), write(t, dir, "b.csv", []byte("id,os,uid\na,x,7\n")))
	wantLines(t, got, err, `a.csv:2 {"user":{"os":"x","id":7},"id":"a"}`, `b.csv:2 {"user":{"os":"x","id":7},"id":"a"}`)
	got, err = rowsOf(t, o, writeIn(t, dir, "id=b/c.csv", []byte("user.id,os\n7,x\n")))
	wantLines(t, got, err, `c.csv:2 {"user":{"os":"x","id":7},"id":"b"}`)
}

func TestWholeCSV(t *testing.T) {
	path := write(t, t.TempDir(), "a.csv", []byte(",id,more,more\n0,a,1,2\n"))
	got, err := rowsOf(t, Options{Fields: fields(t, "id:string"), Whole: true}, path)
	wantLines(t, got, err, `a.csv:2 {"id":"a","more":"1"}`)
}

func TestEmptyCSV(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.csv", nil)
	write(t, dir, "b.csv", []byte("id\n"))
	write(t, dir, "c.csv", []byte("id\nx\n"))
	f, err := Open(t.Context(), Options{Fields: fields(t, "id:string")}, filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, f, nil); f.Empty() != 2 || len(got) != 1 {
		t.Errorf("%d empty files, rows %q", f.Empty(), got)
	}
}

func TestColumnsThatAreMissing(t *testing.T) {
	dir := t.TempDir()
	o := Options{Fields: fields(t, "id:string n:int note:string?"), TimeField: "ts", TimeUnit: "ms"}
	good := write(t, dir, "good.csv", []byte("id,n,ts\n"))
	for text, want := range map[string]string{
		"id,ts\n":         "bad.csv has no column n, which the source declares as int; " + good + " has it. The file's columns are id, ts: leave the file out, or declare the field with ? if it may be missing",
		"id,n,time\n":     "bad.csv has no column ts, which is the event time; " + good + " has it",
		"ID,n,ts\n":       "names match exactly, so rename ID",
		"id;n;ts\n":       "the separator of .csv files is the comma",
		"id,n,ts,id\n":    "bad.csv has 2 columns of the name id: rename all but one",
		"id,n,ts,x,x\n":   "",
		"id,n,ts,note\n1": "",
		"":                "",
	} {
		path := write(t, dir, "bad.csv", []byte(text))
		_, err := Open(t.Context(), o, path, good)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
	}
	var missing *MissingColumnError
	if _, err := Open(t.Context(), o, write(t, dir, "bad.csv", []byte("id,ts\n")), good); !errors.As(err, &missing) || missing.Column != "n" || missing.Elsewhere != good {
		t.Errorf("got %v", err)
	}
}

func TestUnclosedQuote(t *testing.T) {
	path := write(t, t.TempDir(), "a.csv", []byte("id,n\na,1\nb,\"2\nc,3\n"))
	got, err := rowsOf(t, Options{Fields: fields(t, "id:string n:int")}, path)
	var fault *ReadError
	if !errors.As(err, &fault) || !errors.Is(err, errOpenQuote) || fault.Line != 2 || !strings.Contains(err.Error(), path+":3: the quote that opens column 2 is never closed") || len(got) != 1 {
		t.Errorf("after %q: %v", got, err)
	}
}

func TestCutOffCSV(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("id,n\n")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		fmt.Fprintf(&text, "%x,%d\n", rng.Uint64(), i)
	}
	whole := gzipped(t, text.Bytes())
	path := write(t, t.TempDir(), "a.csv.gz", whole[:len(whole)/2])
	got, err := rowsOf(t, Options{Fields: fields(t, "id:string n:int")}, path)
	var fault *ReadError
	if !errors.As(err, &fault) || fault.File != path || fault.Line != int64(len(got))+1 || !strings.Contains(err.Error(), "gzip data is cut off") {
		t.Errorf("after %d rows: %v", len(got), err)
	}
}

// FuzzCSV compares the reader with encoding/csv on what that takes, and expects
// of the rest JSON or a ReadError.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a,b\n\"1\n,\"\"2\",3\r\n", "a\n\"\"\n\n\"\n", "a,b\n\"x\"y,\n,\n", "\xef\xbb\xbfa\n1", "a,b,c\n1,2\n\"", "a\n\"\"\"\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if refuse(data) != nil || bytes.HasPrefix(data, gzipMagic) || bytes.HasPrefix(data, zstdMagic) || isSkippable(data) {
			return
		}
		oracle := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, utf8Mark)))
		oracle.FieldsPerRecord = -1
		want, oracleErr := oracle.ReadAll()
		var o Options
		if len(want) > 0 {
			for i, name := range want[0] {
				want[0][i] = strings.TrimSpace(name)
				if o.Fields.Index(want[0][i]) < 0 {
					o.Fields = append(o.Fields, mortise.Field{Name: want[0][i], Type: mortise.Type{Kind: mortise.String}})
				}
			}
		}
		var got []string
		r, err := (&file{name: "x.csv", place: pipe{bytes.NewReader(data)}, sizeBytes: -1, format: commas}).rows(&o, new(atomic.Int64))
		for err == nil {
			var line Line
			if line, err = r.Next(); err == nil {
				if !json.Valid(line.Data) {
					t.Fatalf("%q is no JSON", line.Data)
				}
				got = append(got, string(line.Data))
			}
		}
		var damage *ReadError
		if !errors.Is(err, io.EOF) && !errors.As(err, &damage) {
			t.Fatalf("ended with %v", err)
		}
		// encoding/csv takes a line of blanks for a row, and \r\n in quotes for \n.
		if oracleErr != nil || len(want) == 0 || bytes.ContainsAny(data, "\r\v\f\t ") {
			return
		}
		for i, row := range want[1:] {
			if line := objectOf(want[0], row, o.Fields); i >= len(got) || got[i] != line {
				t.Fatalf("row %d: got %q, want %s", i+1, got, line)
			}
		}
		if len(got) != len(want)-1 {
			t.Fatalf("got %d rows, want %d", len(got), len(want)-1)
		}
	})
}

// objectOf makes a row's JSON the slow way.
func objectOf(header, row []string, fields mortise.Schema) string {
	var parts []string
	if len(row) != len(header) {
		for _, cell := range row {
			parts = append(parts, string(AppendString(nil, []byte(cell))))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	for _, f := range fields {
		parts = append(parts, string(AppendString(nil, []byte(f.Name)))+":"+string(AppendString(nil, []byte(row[slices.Index(header, f.Name)]))))
	}
	return "{" + strings.Join(parts, ",") + "}"
}
