package recorded

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// member declares a field of a type, as experiment files write it; unit makes
// it the event time.
func member(t testing.TB, typ, unit string) Member {
	t.Helper()
	o := Options{}
	if unit != "" {
		o = Options{TimeField: "x", TimeUnit: unit}
	}
	m := newMember([]string{"x"})
	m.TimeUnit = o.TimeUnit
	if typ == "" {
		return m
	}
	var err error
	if m.Type, err = mortise.ParseType(typ); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTextBecomesItsType(t *testing.T) {
	const q = "quoted"
	for _, c := range []struct{ typ, unit, text, quoted, want string }{
		{"string", "", "a,b", "", `"a,b"`},
		{"string", "", "", "", `""`},
		{"string?", "", "", "", `null`},
		{"string?", "", "", q, `""`},
		{"string", "", " a\t\"\\\x01\r\n", "", `" a\t\"\\\u0001\r\n"`},
		{"string", "", "日本", "", `"日本"`},
		{"string", "", "null", "", `"null"`},
		{"int", "", "", "", `null`},
		{"int?", "", "", q, `null`},
		{"int", "", " 7 ", "", `7`},
		{"int", "", "+7", "", `7`},
		{"int", "", "-0012", "", `-12`},
		{"int", "", "000", "", `0`},
		{"int", "", "7.0", "", `7`},
		{"int", "", "7.", "", `7`},
		{"int", "", "-9223372036854775808", "", `-9223372036854775808`},
		{"int", "", "7.5", "", `7.5`},
		{"int", "", "1e3", "", `1e3`},
		{"int", "", "7.0e1", "", `7.0e1`},
		{"int", "", "seven", "", `"seven"`},
		{"int", "", "0x10", "", `"0x10"`},
		{"int", "", "-", "", `"-"`},
		{"int", "", "2019-11-24", "", `"2019-11-24"`},
		{"float", "", "1.50", "", `1.50`},
		{"float", "", ".5", "", `0.5`},
		{"float", "", "5.", "", `5`},
		{"float", "", "-1E+05", "", `-1E+05`},
		{"float", "", "1e", "", `"1e"`},
		{"float", "", "1.2.3", "", `"1.2.3"`},
		{"float", "", "NaN", "", `null`},
		{"float", "", "-inf", "", `null`},
		{"float?", "", "Infinity", "", `null`},
		{"float", "", "inf.", "", `"inf."`},
		{"bool", "", "True", "", `true`},
		{"bool", "", "0", "", `false`},
		{"bool", "", "T", "", `true`},
		{"bool", "", "yes", "", `"yes"`},
		{"timestamp", "", "1574553663979", "", `1574553663979`},
		{"timestamp", "", "2019-11-24", "", `1574553600000`},
		{"timestamp", "", "2019-11-24 00:01:03.979", "", `1574553663979`},
		{"timestamp", "", "2019-11-24T00:01:03.979999Z", "", `1574553663979`},
		{"timestamp", "", "2019-11-24 09:01:03+09", "", `1574553663000`},
		{"timestamp", "", "2019-11-23 19:31:03-0430", "", `1574553663000`},
		{"timestamp", "", "2019-11-24T00:01+00:00", "", `1574553660000`},
		{"timestamp", "", "2019-11-24 00:01:03 UTC", "", `1574553663000`},
		{"timestamp", "", "1969-12-31T23:59:59.9995Z", "", `-1`},
		{"timestamp", "", "2019-02-29", "", `"2019-02-29"`},
		{"timestamp", "", "2019-11-24x", "", `"2019-11-24x"`},
		{"timestamp", "", "2019-11-24 24:00", "", `"2019-11-24 24:00"`},
		{"timestamp", "", "2019-11-24 00:01:03.", "", `"2019-11-24 00:01:03."`},
		{"[int]", "", "[1, 2]", "", `[1, 2]`},
		{"[int]", "", "[1,\n2]", "", `[1, 2]`},
		{"[int]", "", "[]", "", `[]`},
		{"[int]?", "", "", "", `null`},
		{"[int]", "", "[1,", "", `"[1,"`},
		{"[int]", "", `{"a":1}`, "", `"{\"a\":1}"`},
		{"[string]", "", `["a\nb"]`, "", `["a\nb"]`},

		{"int", "ms", "2019-11-24 00:01:03.979", "", `1574553663979`},
		{"int", "us", "2019-11-24 00:01:03.979", "", `1574553663979000`},
		{"int", "ns", "2019-11-24 00:01:03.979", "", `1574553663979000000`},
		{"int", "s", "2019-11-24 00:01:03.979", "", `1574553663`},
		{"float", "s", "2019-11-24 00:01:03.979", "", `1574553663.979`},
		{"float", "s", "1969-12-31 23:59:59.5", "", `-0.5`},
		{"float", "s", "1969-12-31 23:59:58.5", "", `-1.5`},
		{"float", "s", "1574553663.979", "", `1574553663.979`},
		{"string", "rfc3339", "2019-11-24 00:01:03.979", "", `"2019-11-24T00:01:03.979Z"`},
		{"string", "rfc3339", "2019-11-24T09:01:03+09:00", "", `"2019-11-24T09:01:03+09:00"`},
		{"string", "rfc3339", "2019-11-24T00:01:03.100Z", "", `"2019-11-24T00:01:03.100Z"`},
		{"string", "rfc3339", "soon", "", `"soon"`},
		{"string", "rfc3339", "", "", `""`},
		{"", "ms", "1574553663979", "", `1574553663979`},
		{"", "ms", "2019-11-24", "", `1574553600000`},
		{"", "ms", "soon", "", `"soon"`},
		{"", "rfc3339", "2019-11-24", "", `"2019-11-24T00:00:00Z"`},
		{"", "", " 12", "", `" 12"`},
		{"", "", "", "", `null`},
		{"", "", "", q, `""`},
	} {
		m := member(t, c.typ, c.unit)
		if got := string(m.AppendText([]byte("kept"), []byte(c.text), c.quoted != "")); got != "kept"+c.want {
			t.Errorf("%s %s %q%s: got %s, want %s", c.typ, c.unit, c.text, c.quoted, got[4:], c.want)
		}
	}
}

func TestTimesBeyond64Bits(t *testing.T) {
	m := member(t, "int", "ns")
	for seconds, want := range map[int64]string{
		math.MaxInt64 / 1_000_000_000: "9223372036000000000", math.MinInt64 / 1_000_000_000: "-9223372036000000000",
		253_402_300_799: "253402300799000000000", 9223372035: "9223372035999999999",
	} {
		if got := string(m.AppendTime(nil, seconds, 999_999_999)); got != want {
			t.Errorf("%d: got %s, want %s", seconds, got, want)
		}
	}
}

// FuzzAppendText checks that whatever the text, what comes out is JSON, and
// that strings survive.
func FuzzAppendText(f *testing.F) {
	types := []string{"string", "string?", "int", "float", "bool", "timestamp", "[int]", ""}
	units := []string{"", "s", "ms", "us", "ns", "rfc3339"}
	for i, seed := range []string{"", "7.0", "-.5e-3", "2019-11-24 00:01:03.979+09:00", "[1,\n2]", "nan", "true", "\x00\"\\", "-", "+", "2019-11-24T00:01:03Z"} {
		f.Add([]byte(seed), uint8(i), uint8(i), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, typ, unit uint8, quoted bool) {
		m := member(t, types[int(typ)%len(types)], units[int(unit)%len(units)])
		got := m.AppendText(nil, text, quoted)
		if !json.Valid(got) {
			t.Fatalf("%q as %s becomes %s, which is no JSON", text, m.Type, got)
		}
		if bytes.ContainsAny(got, "\n\r") {
			t.Fatalf("%q becomes several lines: %q", text, got)
		}
		if m.Type.Kind == mortise.String && m.TimeUnit == "" && string(got) != "null" {
			var back string
			if err := json.Unmarshal(got, &back); err != nil || back != string(bytes.ToValidUTF8(text, []byte("\ufffd"))) && bytes.Equal(bytes.ToValidUTF8(text, nil), text) {
				t.Fatalf("%q becomes %s, %v", text, got, err)
			}
		}
	})
}
