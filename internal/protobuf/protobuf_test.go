package protobuf

import (
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

const events = `
syntax = "proto3";
package feed;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "geo/place.proto";

message Other { string x = 1; }

message Event {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6;
  fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10;
  float float = 11; double double = 12; bool bool = 13; string string = 14; bytes bytes = 15;
  enum Kind { NONE = 0; CLICK = 1; ORDER = 2; }
  Kind kind = 16;
  optional int64 maybe = 17;
  repeated int64 ints = 18; repeated string texts = 19; repeated double doubles = 20; repeated Kind kinds = 21; repeated sint32 sints = 22;
  google.protobuf.Timestamp at = 23;
  google.protobuf.Int64Value wrapped = 24; google.protobuf.StringValue text = 25;
  oneof choice { string a = 26; int64 b = 27; User c = 28; }
  message User { string id = 1; geo.Place home = 2; repeated int32 tags = 3; optional bool vip = 4; }
  User user = 29;
  map<string, int64> counts = 30;
  Other other = 31;
  int64 far = 300000;
}`

const place = `
syntax = "proto3";
package geo;
message Place { string zip = 1; double lat = 2; }`

func event(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	s, err := Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: events, References: []mortise.SchemaReference{{Name: "geo/place.proto", Text: place}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.MessageAt([]int{1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantsOf(t testing.TB, text string) (wants []fields.Want) {
	t.Helper()
	for decl := range strings.FieldsSeq(text) {
		path, typ, _ := strings.Cut(decl, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, fields.Want{Path: strings.Split(path, "."), Type: parsed, Times: fields.Millis{}})
	}
	return wants
}

// show spells a value for comparison.
func show(v *mortise.Value, fit fields.Fit) string {
	switch fit {
	case fields.Missing:
		return "missing"
	case fields.Unfit:
		return "unfit"
	case fields.BadText:
		return "bad-text"
	}
	switch v.Kind {
	case mortise.String:
		return fmt.Sprintf("%q", v.Text())
	case mortise.Int:
		return fmt.Sprint(v.Int())
	case mortise.Timestamp:
		return fmt.Sprintf("@%d", v.Int())
	case mortise.Float:
		return fmt.Sprintf("%v.", v.Float())
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	case mortise.List:
		var items []string
		for _, item := range v.List() {
			items = append(items, show(&item, fields.OK))
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	return "null"
}

func scan(s *Scanner, data []byte) (string, error) {
	values, fits := make([]mortise.Value, len(s.wants)), make([]fields.Fit, len(s.wants))
	err := s.Scan(data, true, values, fits)
	var out []string
	for i := range values {
		out = append(out, show(&values[i], fits[i]))
	}
	return strings.Join(out, " "), err
}

func TestConversions(t *testing.T) {
	m := event(t)
	for _, c := range []struct{ field, value, want, got string }{
		{"i32", "-5", "int", "-5"}, {"i64", "-9223372036854775808", "int", "-9223372036854775808"}, {"u32", "4294967295", "int", "4294967295"},
		{"u64", "18446744073709551615", "int", "unfit"}, {"u64", "18446744073709551615", "float", "1.8446744073709552e+19."}, {"u64", "7", "int", "7"},
		{"s32", "-3", "int", "-3"}, {"s64", "-4", "int", "-4"}, {"f32", "5", "int", "5"}, {"f64", "6", "int", "6"}, {"sf32", "-7", "int", "-7"}, {"sf64", "-8", "int", "-8"},
		{"s32", "-3", "float", "-3."}, {"float", "0.1", "float", "0.10000000149011612."}, {"double", "0.1", "float", "0.1."}, {"double", "1", "int", "unfit"},
		{"bool", "true", "bool", "true"}, {"i32", "1", "bool", "unfit"}, {"string", "é", "string", `"é"`}, {"bytes", "abc", "string", `"abc"`}, {"bytes", "\xff", "string", "unfit"},
		{"string", "5", "int", "unfit"}, {"i32", "5", "string", "unfit"}, {"kind", "2", "string", `"ORDER"`}, {"kind", "9", "string", `"9"`}, {"kind", "2", "int", "2"}, {"kind", "2", "float", "unfit"},
		{"i64", "42", "timestamp", "@42"}, {"double", "42", "timestamp", "unfit"}, {"string", "42", "timestamp", "unfit"}, {"far", "1", "int", "1"},
	} {
		msg := dynamicpb.NewMessage(m)
		fd := m.Fields().ByName(protoreflect.Name(c.field))
		msg.Set(fd, parseValue(t, fd, c.value))
		data, err := proto.Marshal(msg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := scan(NewScanner(m, wantsOf(t, c.field+":"+c.want)), data)
		if err != nil || got != c.got {
			t.Errorf("%s %s as %s: got %s, %v; want %s", c.field, c.value, c.want, got, err, c.got)
		}
	}
}

func parseValue(t *testing.T, fd protoreflect.FieldDescriptor, text string) protoreflect.Value {
	var i int64
	var u uint64
	var f float64
	_, _ = fmt.Sscan(text, &i)
	_, _ = fmt.Sscan(text, &u)
	_, _ = fmt.Sscan(text, &f)
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(i))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(i)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(u))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(u)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(f))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(f)
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true")
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text)
	}
	t.Fatalf("no value of %s", fd.Kind())
	return protoreflect.Value{}
}

const everything = "i32:int i64:int u32:int u64:int s32:int s64:int f32:int f64:int sf32:int sf64:int float:float double:float bool:bool string:string bytes:string kind:string " +
	"maybe:int ints:[int] texts:[string] doubles:[float] kinds:[string] sints:[int] at:timestamp wrapped:int text:string a:string b:int c.id:string c.tags:[int] " +
	"user.id:string user.home.zip:string user.home.lat:float user.tags:[int] user.vip:bool counts:int other:string other.x:string far:int nope:int"

// What is not set: zero where the schema cannot tell, null where it can.
func TestNothingSet(t *testing.T) {
	got, err := scan(NewScanner(event(t), wantsOf(t, everything)), nil)
	if want := `0 0 0 0 0 0 0 0 0 0 0. 0. false "" "" "NONE" null [] [] [] [] [] null null null null null null null null null null null null unfit unfit null 0 missing`; err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

// randomMessage draws a message; its texts are UTF-8.
func randomMessage(rnd *rand.Rand, d protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		switch {
		case rnd.Intn(3) == 0 || fd.Kind() == protoreflect.MessageKind && depth == 0:
		case fd.IsMap():
			m.Mutable(fd).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfInt64(1))
		case fd.IsList():
			for range rnd.Intn(4) {
				m.Mutable(fd).List().Append(randomScalar(rnd, fd))
			}
		case fd.Kind() == protoreflect.MessageKind:
			m.Set(fd, protoreflect.ValueOfMessage(randomMessage(rnd, fd.Message(), depth-1)))
		default:
			m.Set(fd, randomScalar(rnd, fd))
		}
	}
	return m
}

func randomScalar(rnd *rand.Rand, fd protoreflect.FieldDescriptor) protoreflect.Value {
	n := int64(rnd.Uint64()) >> rnd.Intn(64)
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n) / 8)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n) / 8)
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n & 3))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("bytes é"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("ö", int(n&3)))
	}
	return protoreflect.ValueOfInt64(n % (1 << 50)) // a Timestamp's ms fit
}

// reference reads a want from a message of the library.
func reference(m protoreflect.Message, want fields.Want) string {
	d := m.Descriptor()
	fd := d.Fields().ByName(protoreflect.Name(want.Path[0]))
	if fd == nil {
		return "missing"
	}
	if len(want.Path) > 1 {
		if !m.Has(fd) {
			return "null"
		}
		return reference(m.Get(fd).Message(), fields.Want{Path: want.Path[1:], Type: want.Type})
	}
	if fd.IsMap() || fd.Kind() == protoreflect.MessageKind && fd.Message().FullName() == "feed.Other" {
		return "unfit"
	}
	if fd.IsList() {
		var items []string
		for i := range m.Get(fd).List().Len() {
			items = append(items, plain(fd, m.Get(fd).List().Get(i), want.Type.Elem))
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	if fd.HasPresence() && !m.Has(fd) {
		return "null"
	}
	return plain(fd, m.Get(fd), want.Type.Kind)
}

func plain(fd protoreflect.FieldDescriptor, v protoreflect.Value, kind mortise.Kind) string {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		inner := v.Message()
		one := inner.Descriptor().Fields().ByNumber(1)
		if inner.Descriptor().FullName() == "google.protobuf.Timestamp" {
			return fmt.Sprintf("@%d", inner.Get(one).Int()*1000+inner.Get(inner.Descriptor().Fields().ByNumber(2)).Int()/1_000_000)
		}
		return plain(one, inner.Get(one), kind)
	case protoreflect.EnumKind:
		if e := fd.Enum().Values().ByNumber(v.Enum()); e != nil {
			return fmt.Sprintf("%q", e.Name())
		}
		return fmt.Sprintf("\"%d\"", v.Enum())
	case protoreflect.StringKind:
		return fmt.Sprintf("%q", v.String())
	case protoreflect.BytesKind:
		return fmt.Sprintf("%q", v.Bytes())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return fmt.Sprintf("%v.", v.Float())
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if v.Uint() > math.MaxInt64 {
			return "unfit"
		}
	}
	return fmt.Sprint(v.Interface())
}

// The scanner finds in random messages what the library finds, also where they
// are written in pieces: twice over, fields in any order, lists unpacked.
func TestAgainstLibrary(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	d := event(t)
	wants := wantsOf(t, everything)
	s := NewScanner(d, wants)
	for range 2000 {
		var data []byte
		for range 1 + rnd.Intn(2) {
			piece, err := proto.Marshal(randomMessage(rnd, d, 3))
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, shuffle(rnd, piece)...)
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		got, err := scan(s, data)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, w := range wants {
			want = append(want, reference(m, w))
		}
		if joined := strings.Join(want, " "); got != joined {
			t.Fatalf("%x\n got %s\nwant %s", data, got, joined)
		}
	}
}

// shuffle puts a message's fields into another order, those of one number and of
// one oneof left in theirs, and adds ones that the schema does not have.
func shuffle(rnd *rand.Rand, data []byte) []byte {
	type span struct {
		rank int
		raw  []byte
	}
	var spans []span
	ranks := map[protowire.Number]int{}
	for len(data) > 0 {
		number, _, n := protowire.ConsumeField(data)
		group := number
		if number >= 26 && number <= 28 {
			group = 26
		}
		if _, known := ranks[group]; !known {
			ranks[group] = rnd.Intn(1000)
		}
		spans = append(spans, span{ranks[group], data[:n]})
		data = data[n:]
	}
	for _, unknown := range [][]byte{{0xf8, 0x3f, 1}, {0xfb, 0x3f, 0x08, 1, 0xfc, 0x3f}, {0xfd, 0x3f, 1, 2, 3, 4}, {0xf9, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8}} {
		if rnd.Intn(3) == 0 {
			spans = append(spans, span{rnd.Intn(1000), unknown})
		}
	}
	var out []byte
	for rank := range 1000 {
		for _, sp := range spans {
			if sp.rank == rank {
				out = append(out, sp.raw...)
			}
		}
	}
	return out
}

func TestProto2Defaults(t *testing.T) {
	s, err := Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: `syntax = "proto2"; message M { required string id = 1; optional int64 n = 2 [default = -7]; optional string t = 3; optional bool b = 4 [default = true];
		optional sint32 s = 5 [default = -2]; optional float f = 6 [default = 1.5]; enum E { A = 1; B = 2; } optional E e = 7 [default = B]; repeated int32 r = 8; optional group G = 9 { optional int32 x = 1; } }`})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Message("")
	if err != nil {
		t.Fatal(err)
	}
	sc := NewScanner(m, wantsOf(t, "id:string n:int t:string b:bool s:int f:float e:string r:[int] g:int"))
	if got, err := scan(sc, nil); err != nil || got != `null -7 null true -2 1.5. "B" [] unfit` {
		t.Errorf("%v: %s", err, got)
	}
	// A list that is not packed, and a group that is passed over.
	if got, err := scan(sc, []byte("\x0a\x01x\x40\x01\x40\x02\x4b\x08\x05\x4c")); err != nil || got != `"x" -7 null true -2 1.5. "B" [1 2] unfit` {
		t.Errorf("%v: %s", err, got)
	}
}

func TestMessages(t *testing.T) {
	s, err := Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: `syntax = "proto3"; package p; message A { message In { int32 x = 1; } } message B { int32 y = 1; }`})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "p.A", "p.B": "p.B", "A.In": "p.A.In", "": "several messages", "C": "no message C; there are p.A, p.A.In, p.B"} {
		m, err := s.Message(name)
		got := fmt.Sprint(err)
		if err == nil {
			got = string(m.FullName())
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if m, err := s.MessageAt([]int{0, 0}); err != nil || m.FullName() != "p.A.In" {
		t.Error(m, err)
	}
	for _, bad := range [][]int{{2}, {1, 0}, {-1}} {
		if _, err := s.MessageAt(bad); err == nil {
			t.Errorf("%v is found", bad)
		}
	}
}

// unmarshal reports whether the library reads data. It panics over some entries of maps.
func unmarshal(data []byte, m proto.Message) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return proto.Unmarshal(data, m) == nil
}

func FuzzScan(f *testing.F) {
	d := event(f)
	rnd := rand.New(rand.NewSource(1))
	for range 5 {
		data, err := proto.Marshal(randomMessage(rnd, d, 3))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	wants := wantsOf(f, everything)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := scan(NewScanner(d, wants), data)
		m := dynamicpb.NewMessage(d)
		if !unmarshal(data, m) || err != nil {
			return // the library looks into every message and text, the scanner into what is wanted
		}
		var want []string
		for _, w := range wants {
			want = append(want, reference(m, w))
		}
		if joined := strings.Join(want, " "); got != joined && !strings.Contains(got, "unfit") && !strings.Contains(got, "NaN") {
			t.Errorf("%x\n got %s\nwant %s", data, got, joined)
		}
	})
}
