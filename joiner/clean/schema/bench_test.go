package schema

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/protobuf"
	"github.com/mortise-dev/mortise/joiner/clean"
)

const benchDeclared = "impression_id:string ts:int user_segment:string item_id:string position:int propensity:float? shown:bool campaign:string? seen_at:int? tags:[string]?"

// benchEvents are events of about 1 KB as JSON, the declared fields in front of
// some thirty others or behind them, in each format.
func benchEvents(t testing.TB, front bool) map[string][][]byte {
	rnd := rand.New(rand.NewSource(1))
	own := []string{"impression_id:string", "ts:long", "user_segment:string", "item_id:string", "position:int", "propensity:double", "shown:bool", "campaign:string", "seen_at:long", "tags:list"}
	var rest []string
	for i := range 10 {
		rest = append(rest, fmt.Sprintf("device_attribute_%d:string", i), fmt.Sprintf("score_%d:double", i), fmt.Sprintf("count_%d:int", i))
	}
	all := append(append([]string{}, own...), rest...)
	if !front {
		all = append(append([]string{}, rest...), own...)
	}
	avroTypes := map[string]string{"string": `"string"`, "long": `"long"`, "int": `"int"`, "double": `"double"`, "bool": `"boolean"`, "list": `{"type":"array","items":"string"}`}
	protoTypes := map[string]string{"string": "string", "long": "int64", "int": "int32", "double": "double", "bool": "bool", "list": "repeated string"}
	var avroFields, protoFields []string
	for i, decl := range all {
		name, typ, _ := strings.Cut(decl, ":")
		avroFields = append(avroFields, fmt.Sprintf(`{"name":%q,"type":%s}`, name, avroTypes[typ]))
		protoFields = append(protoFields, fmt.Sprintf("%s %s = %d;", protoTypes[typ], name, i+1))
	}
	as := avro.MustParse(`{"type":"record","name":"R","fields":[` + strings.Join(avroFields, ",") + `]}`)
	benchSchemas[front] = mortise.WriterSchema{Type: "AVRO", Text: as.String()}
	ps := mortise.WriterSchema{Type: "PROTOBUF", Text: `syntax = "proto3"; message R {` + strings.Join(protoFields, " ") + "}"}
	benchProtos[front] = ps
	parsed, err := protobuf.Parse(&ps)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]byte{}
	for range 64 {
		event, line := map[string]any{}, "{"
		for _, decl := range all {
			name, typ, _ := strings.Cut(decl, ":")
			var v any
			switch {
			case name == "ts" || name == "seen_at":
				v = 1574553663979 + rnd.Int63n(1e6)
			case typ == "string":
				v = fmt.Sprintf("%x", rnd.Int63())
			case typ == "double":
				v = rnd.NormFloat64()
			case typ == "bool":
				v = true
			case typ == "list":
				v = []string{"new", "autumn sale"}
			default:
				v = rnd.Intn(1e6)
			}
			event[name] = v
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			line += fmt.Sprintf("%q:%s,", name, text)
		}
		line = line[:len(line)-1] + "}"
		a, err := as.AppendEncode(avroID.Append(nil), event)
		if err != nil {
			t.Fatal(err)
		}
		m := dynamicpb.NewMessage(parsed.File.Messages().Get(0))
		if err := protojson.Unmarshal([]byte(line), m); err != nil {
			t.Fatal(err)
		}
		p, err := proto.MarshalOptions{}.MarshalAppend(append(protoID.Append(nil), 0), m)
		if err != nil {
			t.Fatal(err)
		}
		out["json"], out["avro"], out["protobuf"] = append(out["json"], []byte(line)), append(out["avro"], a), append(out["protobuf"], p)
	}
	return out
}

var benchSchemas, benchProtos = map[bool]mortise.WriterSchema{}, map[bool]mortise.WriterSchema{}

func benchReader(t testing.TB, format string, front bool) *clean.Reader {
	r := &registry{schemas: map[mortise.SchemaID]mortise.WriterSchema{avroID: benchSchemas[front], protoID: benchProtos[front]}}
	if format == "json" {
		return source(t, nil, benchDeclared, "").NewReader()
	}
	return source(t, registered(t, format, r), benchDeclared, "").NewReader()
}

// Each format reads the same events; bytes are those of the events as JSON, so
// that MB/s compare.
func BenchmarkSource(b *testing.B) {
	for _, front := range []bool{true, false} {
		place := map[bool]string{true: "front", false: "back"}[front]
		events := benchEvents(b, front)
		size := int64(len(events["json"][0]))
		for _, format := range []string{"json", "avro", "protobuf"} {
			records := events[format]
			b.Run("intake/"+place+"/"+format, func(b *testing.B) {
				rd := benchReader(b, format, front)
				var ev clean.Event
				var rec mortise.Record
				b.SetBytes(size)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					rec.Value = records[i&63]
					if err := rd.Intake(&rec, &ev); err != nil || ev.Accept != 1 {
						b.Fatal(ev.Accept, err)
					}
				}
				b.ReportMetric(float64(len(records[0])), "record-bytes")
			})
			b.Run("decode/"+place+"/"+format, func(b *testing.B) {
				rd := benchReader(b, format, front)
				b.SetBytes(size)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, bad, err := rd.Decode(records[i&63]); err != nil || bad != 0 {
						b.Fatal(bad, err, rd.Fault(0))
					}
				}
			})
		}
	}
}

// Intake and Decode are on the path of every event.
func TestReadersDoNotAllocate(t *testing.T) {
	events := benchEvents(t, true)
	for _, format := range []string{"avro", "protobuf"} {
		rd := benchReader(t, format, true)
		inHeader := mortise.Record{Headers: []mortise.Header{{Key: mortise.SchemaIDHeader}}}
		var ev clean.Event
		var rec mortise.Record
		run := func() {
			for _, value := range events[format] {
				rec.Value = value
				if err := rd.Intake(&rec, &ev); err != nil || ev.Accept != 1 {
					t.Fatal(ev.Accept, err)
				}
				cut := 5
				if format == "protobuf" {
					cut = 6
				}
				inHeader.Headers[0].Value, inHeader.Value = value[:cut], value[cut:]
				if err := rd.Intake(&inHeader, &ev); err != nil || ev.Accept != 1 {
					t.Fatal(ev.Accept, err)
				}
				if _, bad, err := rd.Decode(ev.Value); err != nil || bad != 0 {
					t.Fatal(bad, err)
				}
			}
		}
		run()
		if allocs := testing.AllocsPerRun(10, run); allocs != 0 {
			t.Errorf("%s: %v allocations for %d records", format, allocs, len(events[format]))
		}
	}
}

func msText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }
