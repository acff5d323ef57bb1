package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/avro"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/instances/protobuf"
	"github.com/mortise-dev/mortise/instances/tfexample"
	internal "github.com/mortise-dev/mortise/internal/protobuf"
	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/joiner/clean"
	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// These tests talk to Python's clients: confluent-kafka's serializers and
// deserializers, fastavro, protoc and Protobuf's own library.

type wireRecord struct {
	Format   string      `json:"format"`
	SchemaID string      `json:"schema_id"`
	Subject  string      `json:"subject"`
	Headers  [][2]string `json:"headers"`
	Value    string      `json:"value"`
}

// python runs a script and returns the lines that it prints.
func python(t *testing.T, script string, input []byte, args ...string) [][]byte {
	t.Helper()
	cmd := exec.Command(provisioned.Python(t), append([]string{script}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, errOut.String())
	}
	return bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
}

// rowsIn encodes rows in every format and with every way to say the schema's id.
func rowsIn(t *testing.T, r *Registry, c *instances.Columns, rows []*instances.Instance, name string) (records []wireRecord) {
	t.Helper()
	for _, format := range []string{"avro", "protobuf", "tfexample"} {
		e := &spec.Experiment{Name: name, Path: name}
		ws, err := experiments.RowSchema(e, c, format)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []string{"prefix", "header"} {
			rec := wireRecord{Format: format, SchemaID: place, Subject: name + "-" + format + "-value", Headers: [][2]string{}}
			var frame []byte
			if ws != nil {
				reg, err := r.Register(t.Context(), rec.Subject, ws)
				if err != nil {
					t.Fatal(err)
				}
				frame = reg.Number.Append(nil)
				if place == "header" {
					frame = reg.GUID.Append(nil)
				}
				if format == "protobuf" {
					frame = append(frame, protobuf.MessageIndexes...)
				}
				if place == "header" {
					rec.Headers = [][2]string{{mortise.SchemaIDHeader, base64.StdEncoding.EncodeToString(frame)}}
					frame = nil
				}
			}
			encoder := map[string]instances.Encoder{"avro": avro.NewEncoder(c, frame), "protobuf": protobuf.NewEncoder(c, frame), "tfexample": tfexample.NewEncoder(c)}[format]
			for _, in := range rows {
				rec.Value = base64.StdEncoding.EncodeToString(encoder.Append(nil, in))
				records = append(records, rec)
			}
		}
	}
	return records
}

// serializing is a registry that gives Protobuf schemas as descriptors in base64
// where they are asked for so, as Confluent's does and Python's client asks.
func serializing(t *testing.T) *srfake.Registry {
	t.Helper()
	f := fake(t)
	direct, err := sr.NewClient(sr.URLs(f.URL()))
	if err != nil {
		t.Fatal(err)
	}
	f.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		var id int
		if n, _ := fmt.Sscanf(req.URL.Path, "/schemas/ids/%d", &id); req.URL.Query().Get("format") != "serialized" || n != 1 && !strings.HasPrefix(req.URL.Path, "/schemas/guids/") {
			return false
		}
		s, err := direct.SchemaByID(req.Context(), id)
		if id == 0 {
			var found sr.SubjectSchema
			found, err = direct.SchemaByGUID(req.Context(), strings.TrimPrefix(req.URL.Path, "/schemas/guids/"))
			s = found.Schema
		}
		if err != nil || s.Type != sr.TypeProtobuf {
			return false
		}
		parsed, err := internal.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: s.Schema})
		if err != nil {
			return false
		}
		raw, err := proto.Marshal(protodesc.ToFileDescriptorProto(parsed.File))
		if err != nil {
			return false
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"schema": base64.StdEncoding.EncodeToString(raw), "schemaType": "PROTOBUF"})
		return true
	})
	return f
}

// Python's clients read rows of every format, with the values that JSON has.
func TestPythonReadsRows(t *testing.T) {
	provisioned.Python(t)
	f := serializing(t)
	r := open(t, Options{}, f.URL())
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	var records []wireRecord
	var want []map[string]any
	var columns []*instances.Columns
	add := func(name string, c *instances.Columns, rows []*instances.Instance) {
		records = append(records, rowsIn(t, r, c, rows, name)...)
		for range 6 {
			for _, in := range rows {
				var row map[string]any
				if err := json.Unmarshal([]byte(instancetest.Row(c, in)), &row); err != nil {
					t.Fatal(err)
				}
				want, columns = append(want, row), append(columns, c)
			}
		}
	}
	golden, rows := instancetest.Golden()
	add("golden", golden, []*instances.Instance{&rows[0], &rows[1], &rows[2]})
	for i := range 8 {
		c := instancetest.Columns(rnd)
		var random []*instances.Instance
		for range 5 {
			in := instancetest.Instance(rnd, c)
			tame(rnd, in)
			random = append(random, in)
		}
		add(fmt.Sprint("random", i), c, random)
	}
	var input bytes.Buffer
	for _, rec := range records {
		if err := json.NewEncoder(&input).Encode(rec); err != nil {
			t.Fatal(err)
		}
	}
	out := python(t, "testdata/read_rows.py", input.Bytes(), f.URL(), t.TempDir(), "../../instances/tfexample/testdata/example.proto")
	if len(out) != len(records) {
		t.Fatalf("%d rows, want %d", len(out), len(records))
	}
	for i, line := range out {
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		expected := want[i]
		if records[i].Format == "tfexample" {
			expected = features(columns[i], want[i])
		}
		if !reflect.DeepEqual(got, expected) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(expected)
			t.Fatalf("%s by %s:\n got %s\nwant %s", records[i].Format, records[i].SchemaID, a, b)
		}
	}
}

// tame keeps times within what Python's datetime can say.
func tame(rnd *rand.Rand, in *instances.Instance) {
	at := func() int64 { return rnd.Int63n(4e12) - 1e12 }
	in.TimeMS = at()
	for i := range in.Labels {
		in.Labels[i].FirstMS = at()
	}
	var each func(list []mortise.Value)
	each = func(list []mortise.Value) {
		for i := range list {
			if list[i].Kind == mortise.Timestamp {
				list[i] = mortise.TimestampValue(at())
			}
			each(list[i].List())
		}
	}
	each(in.Selected)
}

// features is a JSON row as features: lists of their kinds, floats of 32 bits.
func features(c *instances.Columns, row map[string]any) map[string]any {
	out := map[string]any{}
	for _, f := range c.Schema() {
		kind, list := f.Type.Kind, f.Type.Kind == mortise.List
		if list {
			kind = f.Type.Elem
		}
		values, ok := row[f.Name].([]any)
		if !list {
			values, ok = []any{row[f.Name]}, row[f.Name] != nil
		}
		if !ok {
			continue
		}
		name := map[mortise.Kind]string{mortise.String: "bytes_list", mortise.Float: "float_list"}[kind]
		if name == "" {
			name = "int64_list"
		}
		converted := []any{}
		for _, v := range values {
			switch v := v.(type) {
			case bool:
				converted = append(converted, map[bool]float64{true: 1}[v])
			case float64:
				if narrow := float64(float32(v)); kind != mortise.Float {
					converted = append(converted, v)
				} else if !math.IsInf(narrow, 0) {
					converted = append(converted, narrow)
				} else if list {
					converted = append(converted, nil)
				}
			default:
				converted = append(converted, v)
			}
		}
		if list || len(converted) > 0 {
			out[f.Name] = []any{name, converted}
		}
	}
	return out
}

// What Python's producers write is read as the same events, whatever the format
// and wherever the schema's id is.
func TestReadsPythonsEvents(t *testing.T) {
	provisioned.Python(t)
	f := fake(t)
	r := open(t, Options{}, f.URL())
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	var input bytes.Buffer
	var want []string
	for i := range 40 {
		e := map[string]any{"impression_id": fmt.Sprint("é", i), "ts": 1574553663000 + rnd.Int63n(1e9), "position": rnd.Intn(100) - 50, "score": nil, "kind": nil, "price": nil, "tags": []string{"a", "ü"}[:rnd.Intn(3)]}
		text := fmt.Sprintf("%s %d null null null %s", e["impression_id"], e["position"], e["tags"])
		if i%2 == 0 {
			e["score"], e["kind"], e["price"] = float64(float32(rnd.Float64())), []string{"FEED", "SEARCH"}[rnd.Intn(2)], float64(rnd.Intn(10000))/100
			text = fmt.Sprintf("%s %d %v %s %v %s", e["impression_id"], e["position"], e["score"], e["kind"], e["price"], e["tags"])
		}
		if err := json.NewEncoder(&input).Encode(e); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			want = append(want, fmt.Sprintf("@%d %s", e["ts"], text))
		}
	}
	readers := map[string]*clean.Reader{}
	for _, format := range []string{"avro", "protobuf"} {
		readers[format] = eventReader(t, format, r)
	}
	for i, line := range python(t, "testdata/write_events.py", input.Bytes(), f.URL(), t.TempDir()) {
		var rec wireRecord
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		record := mortise.Record{Value: unbase(t, rec.Value)}
		for _, h := range rec.Headers {
			record.Headers = append(record.Headers, mortise.Header{Key: h[0], Value: unbase(t, h[1])})
		}
		if inHeader := i%4 >= 2; inHeader != (len(record.Headers) > 0) {
			t.Fatalf("record %d has headers %v", i, record.Headers)
		}
		reader := readers[rec.Format]
		var ev clean.Event
		if err := reader.Intake(&record, &ev); err != nil {
			t.Fatalf("%s: %v", rec.Format, err)
		}
		row, bad, err := reader.Decode(ev.Value)
		if err != nil || bad != 0 {
			t.Fatalf("%s: %v, %v", rec.Format, err, reader.Fault(0))
		}
		got := fmt.Sprintf("@%d", ev.TimeMS)
		for k := range row {
			got += " " + shown(&row[k])
		}
		if got != want[i] {
			t.Fatalf("%s, record %d:\n got %s\nwant %s", rec.Format, i, got, want[i])
		}
	}
}

func eventReader(t *testing.T, format string, r *Registry) *clean.Reader {
	t.Helper()
	f, err := schema.NewRegistered(format, r)
	if err != nil {
		t.Fatal(err)
	}
	exp := clean.Experiment{From: map[string][]string{"kind": {"context", "kind"}, "price": {"context", "price"}}}
	for _, decl := range []string{"impression_id:string", "position:int", "score:float?", "kind:string?", "price:float?", "tags:[string]"} {
		name, typ, _ := strings.Cut(decl, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		exp.Fields = append(exp.Fields, mortise.Field{Name: name, Type: parsed})
	}
	s, err := clean.New(clean.Options{Name: "events", TimeField: "ts", TimeUnit: "ms", Experiments: []clean.Experiment{exp}, Format: f})
	if err != nil {
		t.Fatal(err)
	}
	return s.NewReader()
}

func shown(v *mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Int:
		return fmt.Sprint(v.Int())
	case mortise.Float:
		return fmt.Sprint(v.Float())
	case mortise.List:
		items := []string{}
		for _, item := range v.List() {
			items = append(items, shown(&item))
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	return "null"
}

func unbase(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
