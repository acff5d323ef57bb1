package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
	"github.com/mortise-dev/mortise/internal/protobuf"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// The same event in three formats.
const (
	declared = "impression_id:string ts:int user_segment:string? item_id:string position:int propensity:float? shown:bool seen_at:timestamp? tags:[string]"

	avroSchema = `{"type":"record","name":"Impression","namespace":"feed","fields":[
		{"name":"impression_id","type":"string"},{"name":"ts","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"user_segment","type":["null","string"],"default":null},{"name":"noise","type":{"type":"array","items":"double"}},
		{"name":"item_id","type":"string"},{"name":"position","type":"int"},{"name":"propensity","type":["null","double"],"default":null},{"name":"shown","type":"boolean"},
		{"name":"seen_at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null},{"name":"tags","type":{"type":"array","items":"string"}},
		{"name":"more","type":{"type":"map","values":"string"}}]}`

	protoSchema = `syntax = "proto3"; package feed; import "google/protobuf/timestamp.proto";
		message Unused { string x = 1; }
		message Impression { string impression_id = 1; int64 ts = 2; optional string user_segment = 3; repeated double noise = 4; string item_id = 5; int32 position = 6;
			optional double propensity = 7; bool shown = 8; google.protobuf.Timestamp seen_at = 9; repeated string tags = 10; map<string, string> more = 11; }`
)

// registry is one in memory, which counts how often it is asked.
type registry struct {
	schemas map[mortise.SchemaID]mortise.WriterSchema
	asked   int
}

func (r *registry) Schema(id mortise.SchemaID) (*mortise.WriterSchema, error) {
	r.asked++
	ws, ok := r.schemas[id]
	switch {
	case id == mortise.SchemaNumber(99):
		return nil, errors.New("the registry does not answer")
	case !ok:
		return nil, &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: "no schema " + id.String()}
	}
	return &ws, nil
}

var (
	guid, _ = mortise.SchemaGUID("2d51477a-8eaa-8a8d-b0a6-a102a0e75476")
	avroID  = mortise.SchemaNumber(1)
	protoID = mortise.SchemaNumber(2)
)

func newRegistry() *registry {
	return &registry{schemas: map[mortise.SchemaID]mortise.WriterSchema{
		avroID: {Type: "AVRO", Text: avroSchema}, guid: {Type: "AVRO", Text: avroSchema}, protoID: {Type: "PROTOBUF", Text: protoSchema}, mortise.SchemaNumber(3): {Type: "JSON", Text: "{}"},
	}}
}

func source(t testing.TB, format clean.Format, fields, where string) *clean.Source {
	t.Helper()
	exp := clean.Experiment{}
	for decl := range strings.FieldsSeq(fields) {
		name, typ, _ := strings.Cut(decl, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		exp.Fields = append(exp.Fields, mortise.Field{Name: name, Type: parsed})
	}
	if where != "" {
		p, err := expression.Compile(where, exp.Fields)
		if err != nil {
			t.Fatal(err)
		}
		exp.Where = p
	}
	s, err := clean.New(clean.Options{Name: "impressions", TimeField: "ts", TimeUnit: "ms", Keys: [][]string{{"impression_id"}, {"user_segment", "item_id"}},
		PartitionBy: []string{"impression_id"}, Experiments: []clean.Experiment{exp}, Format: format, IntakeKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func registered(t testing.TB, format string, r Schemas) *Registered {
	t.Helper()
	f, err := NewRegistered(format, r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// codec writes events in the binary formats with those formats' own libraries.
type codec struct {
	avro  *avro.Schema
	proto *protobuf.Schema
}

func newCodec(t testing.TB) *codec {
	t.Helper()
	p, err := protobuf.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: protoSchema})
	if err != nil {
		t.Fatal(err)
	}
	return &codec{avro.MustParse(avroSchema), p}
}

func (c *codec) encode(t testing.TB, event map[string]any) (jsonValue, avroValue, protoValue []byte) {
	t.Helper()
	event["noise"], event["more"] = []float64{1, 2}, map[string]string{"k": "v"}
	forAvro, forProto := map[string]any{}, map[string]any{}
	for k, v := range event {
		forAvro[k], forProto[k] = v, v
	}
	if ms, ok := event["seen_at"].(int64); ok {
		forAvro["seen_at"] = ms * 1000
		forProto["seen_at"] = msText(ms)
	}
	var err error
	if jsonValue, err = json.Marshal(event); err != nil {
		t.Fatal(err)
	}
	if avroValue, err = c.avro.AppendEncode(avroID.Append(nil), forAvro); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(forProto)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(c.proto.File.Messages().Get(1))
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return jsonValue, avroValue, append(append(protoID.Append(nil), 2, 2), body...) // one index: 1
}

func randomEvent(rnd *rand.Rand) map[string]any {
	e := map[string]any{"impression_id": fmt.Sprint("i", rnd.Intn(1e6)), "ts": 1574553663979 + rnd.Int63n(1e9), "item_id": "é|\\" + fmt.Sprint(rnd.Intn(50)),
		"position": rnd.Intn(5), "shown": rnd.Intn(2) == 0, "tags": []string{"new", "sale"}[:rnd.Intn(3)]}
	for name, value := range map[string]any{"user_segment": "s" + fmt.Sprint(rnd.Intn(9)), "propensity": rnd.Float64(), "seen_at": 1574553663979 + rnd.Int63n(1e9)} {
		if e[name] = value; rnd.Intn(3) == 0 {
			delete(e, name)
		}
	}
	return e
}

// One event gives one result, whatever its format.
func TestFormatsAgree(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	r, c := newRegistry(), newCodec(t)
	var readers []*clean.Reader
	for _, f := range []clean.Format{nil, registered(t, "avro", r), registered(t, "protobuf", r), registered(t, "avro", r)} {
		readers = append(readers, source(t, f, declared, "position >= 1").NewReader())
	}
	for range 2000 {
		j, a, p := c.encode(t, randomEvent(rnd))
		inHeader := mortise.Record{Value: a[5:], Headers: []mortise.Header{{Key: "x"}, {Key: mortise.SchemaIDHeader, Value: guid.Append(nil)}}}
		var want string
		for i, rec := range []mortise.Record{{Value: j}, {Value: a}, {Value: p}, inHeader} {
			got := outcome(readers[i], &rec)
			if i == 0 {
				want = got
			}
			if got != want {
				t.Fatalf("format %d of %s\n got %s\nwant %s", i, j, got, want)
			}
		}
	}
	if r.asked != 6 {
		t.Errorf("the registry is asked %d times, for three sources' two moments", r.asked)
	}
}

func outcome(r *clean.Reader, rec *mortise.Record) string {
	var ev clean.Event
	if err := r.Intake(rec, &ev); err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("time %d accept %b bad %b keys %q partition %q", ev.TimeMS, ev.Accept, ev.Bad, ev.Keys, ev.PartitionKey)
	kept := slices.Clone(ev.Value)
	row, bad, err := r.Decode(kept)
	if err != nil {
		return out + err.Error()
	}
	for i := range row {
		out += fmt.Sprintf(" %s:%s", row[i].Kind, text(&row[i]))
	}
	return fmt.Sprintf("%s bad %b %v", out, bad, r.Fault(0))
}

func text(v *mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.List:
		var all []string
		for _, item := range v.List() {
			all = append(all, text(&item))
		}
		return strings.Join(all, ",")
	}
	n, _ := v.Number()
	return fmt.Sprint(n)
}

func TestBadRecords(t *testing.T) {
	c, r := newCodec(t), newRegistry()
	_, a, p := c.encode(t, map[string]any{"impression_id": "i", "ts": int64(1574553663979), "item_id": "x", "position": 1, "shown": true, "tags": []string{}})
	header := func(id mortise.SchemaID, value []byte) mortise.Record {
		return mortise.Record{Value: value, Headers: []mortise.Header{{Key: mortise.SchemaIDHeader, Value: id.Append(nil)}}}
	}
	for _, c := range []struct {
		name, format string
		rec          mortise.Record
		want         string // of the error
	}{
		{"no id", "avro", mortise.Record{Value: []byte(`{"impression_id":"i"}`)}, "bad_schema: it does not begin with a schema's id"},
		{"empty", "avro", mortise.Record{}, "bad_schema: it does not begin"},
		{"looks lifted", "avro", mortise.Record{Value: append([]byte{2, 5}, a...)}, "bad_schema: it does not begin"},
		{"unknown id", "avro", mortise.Record{Value: append(mortise.SchemaNumber(7).Append(nil), a[5:]...)}, "bad_schema: no schema 7"},
		{"unknown id in the header", "avro", header(mortise.SchemaNumber(7), a[5:]), "bad_schema: no schema 7"},
		{"another type", "avro", mortise.Record{Value: append(protoID.Append(nil), a[5:]...)}, "bad_schema: schema 2 cannot be used: it is of type PROTOBUF, not AVRO"},
		{"JSON", "protobuf", mortise.Record{Value: append(mortise.SchemaNumber(3).Append(nil), 0)}, "it is of type JSON"},
		{"no such message", "protobuf", mortise.Record{Value: append(protoID.Append(nil), 2, 6)}, "no message [3]"},
		{"no message", "protobuf", mortise.Record{Value: protoID.Append(nil)}, "which of its messages"},
		{"cut off", "avro", mortise.Record{Value: a[:12]}, "bad_schema: the field ts is cut off"},
		{"cut off", "protobuf", mortise.Record{Value: p[:len(p)-1]}, "bad_schema: at byte"},
		{"another message", "protobuf", mortise.Record{Value: append(protoID.Append(nil), 0)}, "bad_time: field ts: event time is missing: the record's schema has no such field"},
		{"no registry", "avro", mortise.Record{Value: append(mortise.SchemaNumber(99).Append(nil), a[5:]...)}, "the registry does not answer"},
	} {
		rd := source(t, registered(t, c.format, r), declared, "").NewReader()
		var ev clean.Event
		err := rd.Intake(&c.rec, &ev)
		if err == nil && ev.Accept == 1 {
			_, _, err = rd.Decode(ev.Value)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: got %v, want %s", c.name, c.format, err, c.want)
		}
		var fault *mortise.RecordError
		if isRecord := errors.As(err, &fault); isRecord != (c.name != "no registry") {
			t.Errorf("%s: %T", c.name, err)
		}
	}
}

// Faults of a field name what the record's schema has.
func TestBadFields(t *testing.T) {
	c, r := newCodec(t), newRegistry()
	_, a, p := c.encode(t, map[string]any{"impression_id": "i", "ts": int64(1574553663979), "item_id": "x", "position": 1, "shown": true, "tags": []string{}})
	for _, c := range []struct{ fields, avro, proto string }{
		{"impression_id:string ts:int user_segment:string item_id:string", "expected string, found null; declare the type with ? to allow it", "expected string, found null"},
		{"impression_id:string ts:int user_segment:string? item_id:string nope:int", "field nope: expected int, the record's schema has no such field", "no such field"},
		{"impression_id:string ts:int user_segment:string? item_id:string shown:int", "expected int, the record's schema has boolean", "expected int, the record's schema has bool"},
		{"impression_id:string ts:int user_segment:string? item_id:string noise:[string]", "the record's schema has an array of double", "the record's schema has repeated double"},
		{"impression_id:string ts:int user_segment:string? item_id:string more:string", "the record's schema has map", "the record's schema has a map"},
	} {
		for format, value := range map[string][]byte{c.avro: a, c.proto: p} {
			name := "avro"
			if value[4] == 2 {
				name = "protobuf"
			}
			rd := source(t, registered(t, name, r), c.fields, "").NewReader()
			_, bad, err := rd.Decode(value)
			if err != nil || bad != 1 || !strings.Contains(rd.Fault(0).Error(), format) {
				t.Errorf("%s as %s: %b, %v, %v, want %s", name, c.fields, bad, err, rd.Fault(0), format)
			}
		}
	}
}

func TestRaw(t *testing.T) {
	f := registered(t, "avro", newRegistry())
	for _, rec := range []mortise.Record{
		{Value: []byte("\x00\x00\x00\x00\x01abc")}, {Value: []byte("plain")}, {Value: []byte("\x02abc")}, {},
		{Value: []byte("abc"), Headers: []mortise.Header{{Key: mortise.SchemaIDHeader, Value: guid.Append(nil)}}},
		{Value: []byte("\x02abc"), Headers: []mortise.Header{{Key: mortise.SchemaIDHeader, Value: []byte{}}}},
		{Value: []byte("abc"), Headers: []mortise.Header{{Key: mortise.SchemaIDHeader, Value: make([]byte, 300)}}},
	} {
		if got := f.Raw(f.Keep(&rec, nil)); string(got) != string(rec.Value) {
			t.Errorf("%q becomes %q", rec.Value, got)
		}
	}
}

func TestPlain(t *testing.T) {
	c := newCodec(t)
	j, a, p := c.encode(t, map[string]any{"impression_id": "i", "ts": int64(1574553663979), "item_id": "x", "position": 1, "shown": true, "tags": []string{"a"}})
	plainAvro, err := NewPlain("avro", avroSchema, "")
	if err != nil {
		t.Fatal(err)
	}
	plainProto, err := NewPlain("protobuf", protoSchema, "Impression")
	if err != nil {
		t.Fatal(err)
	}
	want := outcome(source(t, nil, declared, "").NewReader(), &mortise.Record{Value: j})
	for _, got := range []string{
		outcome(source(t, plainAvro, declared, "").NewReader(), &mortise.Record{Value: a[5:]}),
		outcome(source(t, plainProto, declared, "").NewReader(), &mortise.Record{Value: p[7:]}),
	} {
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	for _, err := range []error{ignore(NewPlain("protobuf", protoSchema, "")), ignore(NewPlain("avro", "{", "")), ignore(NewPlain("json", "", ""))} {
		if err == nil {
			t.Error("a schema that cannot be used is taken")
		}
	}
	if _, err := NewRegistered("json", nil); err == nil {
		t.Error("a format without schemas is taken")
	}
}

func ignore(_ *Plain, err error) error { return err }

// The event time in units of its own, where the schema does not say that it is one.
func TestEventTimes(t *testing.T) {
	for _, c := range []struct {
		schema string
		unit   string
		value  any
		want   string
	}{
		{`"long"`, "s", int64(1574553663), "1574553663000"}, {`"long"`, "ms", int64(1574553663979), "1574553663979"}, {`"long"`, "us", int64(1574553663979123), "1574553663979"},
		{`"long"`, "ns", int64(1574553663979123456), "1574553663979"}, {`"double"`, "s", 1574553663.979, "1574553663979"}, {`"double"`, "ms", 1574553663979.0, "1574553663979"},
		{`"double"`, "ms", 1574553663979.5, "the record's schema has double, of which no event time can be read in unit ms"},
		{`"string"`, "rfc3339", "2019-11-24T00:01:03.979Z", "1574553663979"}, {`"string"`, "ms", "2019-11-24T00:01:03.979Z", "no event time can be read"},
		{`{"type":"long","logicalType":"timestamp-micros"}`, "ms", int64(1574553663979123), "1574553663979"}, {`"long"`, "ms", int64(1574553663), "event time is 1970-01-19T05:22:33Z, before 1971"},
		{`["null","long"]`, "ms", nil, "event time is null"}, {`"long"`, "s", int64(1) << 62, "no event time can be read"},
	} {
		text := `{"type":"record","name":"R","fields":[{"name":"ts","type":` + c.schema + `}]}`
		value, err := avro.MustParse(text).Encode(map[string]any{"ts": c.value})
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewPlain("avro", text, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := clean.New(clean.Options{Name: "x", TimeField: "ts", TimeUnit: c.unit, Experiments: []clean.Experiment{{}}, Format: f})
		if err != nil {
			t.Fatal(err)
		}
		var ev clean.Event
		got := fmt.Sprint(s.NewReader().Intake(&mortise.Record{Value: value}, &ev))
		if got == "<nil>" {
			got = fmt.Sprint(ev.TimeMS)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %v in %s: got %s, want %s", c.schema, c.value, c.unit, got, c.want)
		}
	}
}
