package clean

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
)

// fuzzFields has every type, and names that need escapes.
var fuzzFields = func() (fields []field) {
	for _, decl := range [][2]string{
		{"s", "string"}, {"i", "int"}, {"f", "float"}, {"b", "bool"}, {"t", "timestamp"}, {"ls", "[string]"}, {"li", "[int]"},
		{"lf", "[float]"}, {"lb", "[bool]"}, {"lt", "[timestamp]"}, {"", "string"}, {`q"\`, "string"}, {"ключ", "int"},
	} {
		typ, err := mortise.ParseType(decl[1])
		if err != nil {
			panic(err)
		}
		fields = append(fields, field{name: decl[0], typ: typ, unit: unitMillis})
	}
	return fields
}()

func fuzzNames() (names []string) {
	for _, f := range fuzzFields {
		names = append(names, f.name)
	}
	return names
}

// rfc3339Shape leaves out what package time takes on top of RFC 3339: a comma
// before the fraction, an hour of one digit, an offset of 24 hours.
var rfc3339Shape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

var errBadUTF8 = errors.New("bad UTF-8 in a string that is read")

// reference reads the same record with encoding/json.
func reference(data []byte) ([]any, error) {
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, _ := dec.Token(); open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	raws := map[string]json.RawMessage{}
	for dec.More() {
		name, _ := dec.Token()
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		if _, repeated := raws[name.(string)]; !repeated {
			raws[name.(string)] = raw
		}
	}
	row := make([]any, len(fuzzFields))
	for i, f := range fuzzFields {
		raw, ok := raws[f.name]
		if !ok {
			row[i] = statusMissing
			continue
		}
		v, err := referenceValue(raw, f.typ)
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	return row, nil
}

func referenceValue(raw json.RawMessage, typ mortise.Type) (any, error) {
	if string(raw) == "null" {
		return statusNull, nil
	}
	if typ.Kind != mortise.List {
		return referenceScalar(raw, typ.Kind)
	}
	var elems []json.RawMessage
	if raw[0] != '[' {
		return statusIllTyped, nil
	}
	_ = json.Unmarshal(raw, &elems) // it fails on what is no list, which leaves none
	if elems == nil {
		return statusIllTyped, nil
	}
	list := []any{}
	for _, elem := range elems {
		v, err := referenceScalar(elem, typ.Elem)
		if err != nil || v == statusIllTyped {
			return v, err
		}
		list = append(list, v)
	}
	return list, nil
}

func referenceScalar(raw json.RawMessage, kind mortise.Kind) (any, error) {
	var text string
	isText := raw[0] == '"' && json.Unmarshal(raw, &text) == nil
	switch kind {
	case mortise.String:
		if isText && !utf8.Valid(raw) {
			return nil, errBadUTF8
		}
		if isText {
			return text, nil
		}
	case mortise.Int:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n, nil
		}
	case mortise.Float:
		var f float64
		if raw[0] != 'n' && json.Unmarshal(raw, &f) == nil {
			return math.Float64bits(f), nil
		}
	case mortise.Bool:
		var b bool
		if raw[0] != 'n' && json.Unmarshal(raw, &b) == nil {
			return b, nil
		}
	case mortise.Timestamp:
		var at time.Time
		if isText && rfc3339Shape.MatchString(text) && at.UnmarshalText([]byte(text)) == nil {
			return at.UnixMilli(), nil
		}
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n, nil
		}
	}
	return statusIllTyped, nil
}

// plainValue is what the reader read, in the reference's terms.
func plainValue(v mortise.Value) any {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Float:
		return math.Float64bits(v.Float())
	case mortise.Bool:
		return v.Bool()
	case mortise.List:
		list := []any{}
		for _, elem := range v.List() {
			list = append(list, plainValue(elem))
		}
		return list
	}
	return v.Int()
}

func readAll(s *scanner, data []byte, whole bool) ([]any, error) {
	if !s.scan(data, whole) {
		return nil, errors.New(s.syntax())
	}
	var c converter
	row := make([]any, len(fuzzFields))
	for i := range fuzzFields {
		v, st := c.value(s, s.tokens[i], &fuzzFields[i])
		switch st {
		case statusOK:
			row[i] = plainValue(v)
		case statusBadUTF8:
			return nil, errBadUTF8
		default:
			row[i] = st
		}
	}
	return row, nil
}

// checkReader compares a reading with encoding/json's: fresh, a second time,
// when the names are expected in the order of the first, and stopping early.
func checkReader(t *testing.T, data []byte) {
	t.Helper()
	want, wantErr := reference(data)
	s := newScanner(fuzzNames())
	for round, whole := range []bool{true, true, false} {
		got, err := readAll(s, data, whole)
		if wantErr == nil && err != nil {
			t.Fatalf("round %d: %q is valid, got error %v", round, data, err)
		}
		if wantErr != nil && err == nil && whole {
			t.Fatalf("round %d: %q was taken, want error %v", round, data, wantErr)
		}
		if wantErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: %q\n got %v\nwant %v", round, data, got, want)
		}
	}
}

// corpus is one record a rule, good and bad.
var corpus = []string{
	`{}`, ` { } `, `{"s":"x"}`, `{"s" : "x" , "i" : 1}` + "\n", `{"s":"a\"b\\c\/d\b\f\n\r\té\u00E9"}`,
	`{"s":"\ud83d\ude00 \ud83d \ude00 \ud83dx \ud83d\u0041 \ud83d\ud83d\ude00"}`, `{"s":"\u0000"}`, `{"\u0073":"escaped name"}`,
	`{"q\"\\":"x","":"empty name","ключ":5,"\u043a\u043b\u044e\u0447":6}`, `{"s":"first","s":"second"}`, `{"i":"no","i":1}`,
	`{"i":0}`, `{"i":-0}`, `{"i":1.0}`, `{"i":1e3}`, `{"i":"5"}`, `{"i":9223372036854775807}`, `{"i":9223372036854775808}`,
	`{"i":-9223372036854775808}`, `{"i":-9223372036854775809}`, `{"i":99999999999999999999999}`, `{"i":01}`, `{"i":-}`, `{"i":+1}`, `{"i":.5}`,
	`{"f":1}`, `{"f":-1.5e-7}`, `{"f":1e309}`, `{"f":-1e-400}`, `{"f":1.}`, `{"f":1e}`, `{"f":1e+}`, `{"f":0.1E+2}`, `{"f":NaN}`, `{"f":0x10}`,
	`{"b":true}`, `{"b":false}`, `{"b":1}`, `{"b":tru}`, `{"b":truex}`, `{"b":"true"}`, `{"s":null,"i":null,"ls":null}`, `{"s":nul}`,
	`{"t":1574553663979}`, `{"t":"2019-11-24T00:01:03.979Z"}`, `{"t":"2019-11-24T09:01:03+09:00"}`, `{"t":"2019-11-24"}`, `{"t":1.5}`,
	`{"ls":["a","b\n"],"li":[1,-2],"lf":[1,2.5],"lb":[true,false],"lt":[1,"2019-11-24T00:01:03Z"]}`, `{"ls":[]}`, `{"ls":[ ]}`, `{"li":[1,null]}`,
	`{"li":[1,2.5]}`, `{"li":[[1]]}`, `{"li":{"a":1}}`, `{"li":[1,]}`, `{"li":[,1]}`, `{"x":{"a":[1,{"b":{}}],"s":"inner"},"s":"outer"}`,
	`{"x":{"a":1,}}`, `{"x":{"a"}}`, `{"x":{"a":}}`, `{"x":{1:2}}`, `{"x":[1}}`, `{"x":{"a":1]}`, `{"x":[`, `{"x":{`, `{"x":[[],[[]],{}]}`,
	``, ` `, `null`, `1`, `"s"`, `[]`, `[{}]`, `{`, `}`, `{"s"}`, `{"s":}`, `{"s":"x"`, `{"s":"x",}`, `{,}`, `{"s":"x"}x`, `{"s":"x"}{}`, `{"s":"x"} null`, `{s:1}`, `{'s':1}`,
	"\xef\xbb\xbf{}", "{\"s\":\"a\nb\"}", "{\"s\":\"tab\tx\"}", "{\"x\":\"\x00\"}", "{\"s\":\"\x7f\"}", `{"s":"\x"}`, `{"s":"\u12"}`, `{"s":"\u12g4"}`, `{"s":"\`, `{"s":"\u`,
	"{\"s\":\"\xff\"}", "{\"x\":\"\xff\"}", "{\"\xff\":1}", "{\"s\":\"\xed\xa0\x80\"}", "{\"ls\":[\"\xff\"]}", `{"s":"日本 | \\ café"}`, "{\"s\":\"1234567\xc3\xa9\"}",
	`{"s":"12345678","i":1}`, `{"s":"123456789012345","i":1}`, `{"s":"1234567\"89","i":1}`, "\ufeff", "{\v}", "{\u00a0}",
}

func TestReaderCorpus(t *testing.T) {
	for _, text := range corpus {
		checkReader(t, []byte(text))
	}
}

func TestReaderTruncatedAndFlipped(t *testing.T) {
	record := []byte(`{"s":"a\"\u00e9é","x":{"a":[1,true,{"b":null}]},"i":-12,"f":1.5e3,"b":false,"ls":["x","y"],"t":"2019-11-24T00:01:03.979Z"} `)
	checkReader(t, record)
	for n := range record {
		checkReader(t, record[:n])
		for _, c := range []byte("\"\\{}[],:x0 \x00\xff") {
			changed := bytes.Clone(record)
			changed[n] = c
			checkReader(t, changed)
		}
	}
}

func TestReaderDepth(t *testing.T) {
	for _, shape := range [][3]string{{"[", "1", "]"}, {`{"a":`, "1", "}"}, {`[{"s":`, `"x"`, "}]"}} {
		per := strings.Count(shape[0], "[") + strings.Count(shape[0], "{")
		for _, levels := range []int{maxDepth - 2, maxDepth - 1, maxDepth, 100_000} {
			n := levels / per
			checkReader(t, []byte(`{"x":`+strings.Repeat(shape[0], n)+shape[1]+strings.Repeat(shape[2], n)+`,"i":1}`))
			checkReader(t, []byte(`{"x":`+strings.Repeat(shape[0], n)))
		}
	}
}

func TestReaderHugeRecord(t *testing.T) {
	huge := strings.Repeat("a longer text, ", 10<<20/15)
	checkReader(t, []byte(`{"x":"`+huge+`","s":"`+huge+`\n"}`))
	checkReader(t, []byte(`{"x":[`+strings.Repeat(`{"a":1},`, 1<<18)+`0],"i":7}`))
	checkReader(t, []byte(`{"i":`+strings.Repeat("9", 1<<20)+`}`))
}

func TestReaderManyNames(t *testing.T) {
	// More names than are learned, names longer than are learned, and wanted ones between.
	s := newScanner(fuzzNames())
	for round := range 5 {
		var b strings.Builder
		b.WriteString(`{`)
		for i := range 3 * maxLearned {
			fmt.Fprintf(&b, `"n%d%s":%d,`, i+round*50, strings.Repeat("x", i%(2*maxLearnedBytes)), i)
		}
		b.WriteString(`"s":"found","i":3}`)
		got, err := readAll(s, []byte(b.String()), true)
		if err != nil || got[0] != "found" || got[1] != int64(3) {
			t.Fatalf("round %d: got %v, %v", round, got, err)
		}
	}
	if s.names.learned != maxLearned {
		t.Errorf("learned %d names, want the bound of %d", s.names.learned, maxLearned)
	}
}

func TestReaderChangingOrder(t *testing.T) {
	s := newScanner(fuzzNames())
	for _, text := range []string{
		`{"s":"1","x":0,"i":1,"f":1}`, `{"s":"1","i":1,"f":1}`, `{"f":1,"i":1,"s":"1"}`, `{"x":0,"s":"1","f":1,"i":1}`,
		`{"s":"1","f":1,"si":0,"i":1}`, `{"f":1,"s":"1","x":{"s":2},"i":1}`,
	} {
		for range 2 {
			got, err := readAll(s, []byte(text), true)
			if err != nil || got[0] != "1" || got[1] != int64(1) || got[2] != math.Float64bits(1) {
				t.Fatalf("%s: got %v, %v", text, got, err)
			}
		}
	}
}

func TestSyntaxFault(t *testing.T) {
	for text, want := range map[string]string{
		``:                      "at byte 0 of 0: expected a JSON object, the record is empty, the record ends here",
		"\xef\xbb\xbf{}":        `at byte 0 of 5: expected a JSON object, the record starts with a byte order mark, found "\ufeff{}"`,
		`[1]`:                   `at byte 0 of 3: expected a JSON object, found "[1]"`,
		`{"s":"abc`:             "at byte 9 of 9: expected the end of a string, the record ends here",
		`{"s":"abc"} x`:         `at byte 12 of 13: expected nothing after the object, found "x"`,
		`{"s":01}`:              `at byte 5 of 8: numbers must not start with 0, found "01}"`,
		"{\"s\":\"line\nend\"}": "at byte 10 of 16: control characters in strings must be escaped, found \"\\nend\\\"}\"",
	} {
		s := newScanner(fuzzNames())
		if s.scan([]byte(text), true) {
			t.Errorf("%q was taken", text)
		} else if got := s.syntax(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range corpus {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkReader(t, data) })
}
