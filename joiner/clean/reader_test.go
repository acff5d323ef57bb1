package clean

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

const tsField = `"ts":1574553663979`

func intake(r *Reader, value string) (Event, error) {
	var ev Event
	err := r.Intake(&mortise.Record{Value: []byte(value)}, &ev)
	return ev, err
}

// fault checks that err is a *mortise.RecordError that reads as want.
func fault(t *testing.T, err error, want string) {
	t.Helper()
	var record *mortise.RecordError
	if !errors.As(err, &record) || err.Error() != want {
		t.Errorf("got error %v\nwant %s", err, want)
	}
}

func TestIntakeKeys(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "req:string item:int user:string? f:float? b:bool?", "", "both = req + \"/\" + user")},
		Keys:        [][]string{{"req", "item"}, {"user"}, {"f", "b"}, {"both"}}, PartitionBy: []string{"req"}, IntakeKeys: true,
	})
	for _, c := range []struct{ value, partition, keys string }{
		{`{"req":"r1","item":7,"user":"u","f":1.5,"b":true}`, "r1", "r1|7,u,1.5|true,r1/u"},
		{`{"req":"r|1\\x","item":-7,"user":"a|b"}`, `r|1\x`, `r\|1\\x|-7,a\|b,<nil>,r\|1\\x/a\|b`},
		{`{"req":"日本\n\u00e9","item":0}`, "日本\né", "日本\né|0,<nil>,<nil>,<nil>"},
		{`{"req":"","item":0,"user":""}`, "", "|0,,<nil>,/"},
		{`{"req":"r","user":"u"}`, "r", "<nil>,u,<nil>,r/u"},
		{`{"req":"r","item":null,"user":"u"}`, "r", "<nil>,u,<nil>,r/u"},
		{`{"req":"r","item":9223372036854775807}`, "r", "r|9223372036854775807,<nil>,<nil>,<nil>"},
	} {
		ev, err := intake(s.NewReader(), c.value[:len(c.value)-1]+","+tsField+"}")
		if err != nil {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		var keys []string
		for _, key := range ev.Keys {
			if keys = append(keys, string(key)); key == nil {
				keys[len(keys)-1] = "<nil>"
			}
		}
		if got := strings.Join(keys, ","); got != c.keys || string(ev.PartitionKey) != c.partition {
			t.Errorf("%s:\n got %s, partition key %s\nwant %s, %s", c.value, got, ev.PartitionKey, c.keys, c.partition)
		}
	}
}

func TestIntakeKeyFaults(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "req:string item:int user:string?", "")},
		Keys:        [][]string{{"item"}, {"user"}}, PartitionBy: []string{"req"}, IntakeKeys: true,
	})
	for _, c := range [][2]string{
		{`{"item":1}`, "missing_key: field req: a key field must not be missing or null"},
		{`{"req":null,"item":1}`, "missing_key: field req: a key field must not be missing or null"},
		{`{"req":5,"item":1}`, "bad_field: field req: expected string, found 5"},
		{`{"req":"r"}`, "missing_key: field item: a key field must not be missing or null"},
		{`{"req":"r","item":"one","user":"u"}`, `bad_field: field item: expected int, found "one"`},
		{`{"req":"r","user":["u"]}`, "missing_key: field item: a key field must not be missing or null"},
		{"{\"req\":\"\xff\",\"item\":1}", "bad_json: field req: the string is not valid UTF-8"},
	} {
		_, err := intake(s.NewReader(), c[0][:len(c[0])-1]+","+tsField+"}")
		fault(t, err, c[1])
	}
}

// Impressions leave their keys to the close.
func TestKeyOverRow(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "a:string b:int t:timestamp? ", "")}, Keys: [][]string{{"a", "b"}, {"t"}},
	})
	r := s.NewReader()
	ev, err := intake(r, `{`+tsField+`,"a":"x|y","b":3}`)
	if err != nil || ev.Keys != nil || ev.PartitionKey != nil {
		t.Fatalf("got %+v, %v", ev, err)
	}
	row, bad, err := r.Decode(ev.Value)
	if err != nil || bad != 0 {
		t.Fatal(bad, err)
	}
	key, err := r.Key(0, row, []byte("kept:"))
	if err != nil || string(key) != `kept:x\|y|3` {
		t.Errorf("got %s, %v", key, err)
	}
	key, err = r.Key(1, row, []byte("kept:"))
	if fault(t, err, "missing_key: field t: a key field must not be missing or null"); string(key) != "kept:" {
		t.Errorf("got %s", key)
	}
	row, _, err = r.Decode([]byte(`{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Key(0, row, nil)
	fault(t, err, "bad_field: field a: expected string, found 1")
}

func TestIntakeWhere(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{
			experiment(t, "id:string? kind:string", `kind == "show"`),
			experiment(t, "id:string? kind:string? n:int?", "big", "big = n > 10"),
			experiment(t, "id:string? m:int", "100 % m == 0"),
			experiment(t, "id:string? m:int?", ""),
		},
		Keys: [][]string{{"id"}}, PartitionBy: []string{"id"},
	})
	for _, c := range []struct {
		value       string
		accept, bad uint32
		faults      string
	}{
		{`{"id":"1","kind":"show","n":11,"m":5}`, 0b1111, 0, ""},
		{`{"id":"1","kind":"hide","n":10,"m":3}`, 0b1000, 0, ""},
		{`{"id":"1","kind":"show","m":3}`, 0b1001, 0, ""},
		{`{"id":"1","n":11,"m":3}`, 0b1010, 0b0001, "bad_field: field kind: expected string, the field is missing"},
		{`{"id":"1","kind":null,"n":11,"m":3}`, 0b1010, 0b0001, "bad_field: field kind: expected string, found null; declare the type with ? to allow it"},
		{`{"id":"1","kind":"show","n":"11","m":3}`, 0b1001, 0, ""},
		{`{"id":"1","kind":"show","n":11,"m":0}`, 0b1011, 0b0100, `expression: field where: expression "100 % m == 0": column 5:`},
		{`{"id":"1","kind":7,"m":1.5}`, 0b1000, 0b0101, "bad_field: field kind: expected string, found 7; bad_field: field m: expected int, found 1.5"},
	} {
		r := s.NewReader()
		ev, err := intake(r, c.value[:len(c.value)-1]+","+tsField+"}")
		if err != nil || ev.Accept != c.accept || ev.Bad != c.bad {
			t.Errorf("%s: got accept %04b bad %04b, %v, want %04b, %04b", c.value, ev.Accept, ev.Bad, err, c.accept, c.bad)
		}
		var faults []string
		for exp := range 4 {
			if f := r.Fault(exp); (f != nil) != (c.bad>>exp&1 != 0) {
				t.Errorf("%s: fault %d is %v", c.value, exp, f)
			} else if f != nil {
				faults = append(faults, f.Error())
			}
		}
		if got := strings.Join(faults, "; "); !strings.HasPrefix(got, c.faults) {
			t.Errorf("%s:\n got %s\nwant %s", c.value, got, c.faults)
		}
	}
}

func TestIntakeOutcomes(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "id:string kind:string", `kind == "show"`), experiment(t, "id:string kind:string", `kind != "hide"`)},
		PartitionBy: []string{"id"},
	})
	r := s.NewReader()

	_, err := intake(r, `{`+tsField+`,"id":"1","kind":0}`)
	fault(t, err, "bad_field: field kind: expected string, found 0")

	ev, err := intake(r, `{`+tsField+`,"kind":"hide"}`) // filtered: it needs no key
	if err != nil || ev.Accept != 0 || ev.Bad != 0 || r.Fault(0) != nil || ev.TimeMS != 1574553663979 {
		t.Errorf("got %+v, %v", ev, err)
	}
	_, err = intake(r, `{`+tsField+`,"kind":"show"}`)
	fault(t, err, "missing_key: field id: a key field must not be missing or null")
	_, err = intake(r, `{"ts":5,"kind":"hide"}`) // time is a matter of every record
	fault(t, err, "bad_time: field ts: 5 in unit ms is 1970-01-01T00:00:00Z, before 1971")
	_, err = intake(r, `{`+tsField+`,"id":"1","kind":"show",`+"\x00")
	if err != nil {
		t.Errorf("intake looked further than it needs: %v", err)
	}
	_, err = intake(r, `{"id":"1","kind":"show","ts":1574553663979`) // the number may go on
	fault(t, err, "bad_json: at byte 42 of 42: expected , or } after a value, the record ends here")
	_, err = intake(r, ``)
	fault(t, err, "bad_json: at byte 0 of 0: expected a JSON object, the record is empty, the record ends here")
}

// A label that does not validate must not count as a match.
func TestIntakeStrict(t *testing.T) {
	opts := Options{Experiments: []Experiment{experiment(t, "id:string", "")}, Keys: [][]string{{"id"}}, IntakeKeys: true}
	value := `{"id":"1",` + tsField + `,"rest":[1,2`
	if _, err := intake(newSource(t, opts).NewReader(), value); err != nil {
		t.Errorf("lenient: %v", err)
	}
	opts.Strict = true
	_, err := intake(newSource(t, opts).NewReader(), value)
	fault(t, err, "bad_json: at byte 40 of 40: expected the end of a nested value, the record ends here")
}

func TestDecode(t *testing.T) {
	s := newSource(t, Options{TimeField: "at", TimeUnit: "s", Experiments: []Experiment{
		experiment(t, "at:timestamp s:string n:int l:[string]?", "n > 1", "next = n + 1", "after = next + 1"),
		experiment(t, "n:int? f:float when:timestamp?", "n > 2", "next = n + 1"),
	}})
	show := func(row mortise.Row) string {
		var out []string
		for _, v := range row {
			if v.IsNull() {
				out = append(out, "null")
			} else {
				out = append(out, fmt.Sprint(plainValue(v)))
			}
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		value, row  string
		bad, accept uint32
		faults      string
	}{
		{`{"at":1574553663.979,"s":"a\u00e9","n":3,"l":["x","y\n"],"f":0,"when":"2019-11-24T00:01:03Z"}`,
			"1574553663979 aé 3 [x y\n] 0 1574553663000 4 5 4", 0, 0b11, ""},
		{`{"at":1574553663,"s":"","n":2,"f":1e400}`, "1574553663000  2 null null null 3 4 null", 0b10, 0b01, "bad_field: field f: expected float, found 1e400"},
		{`{"at":1574553663,"s":"","n":null,"f":1}`, "1574553663000  null null 4607182418800017408 null null null null", 0b01, 0,
			"bad_field: field n: expected int, found null; declare the type with ? to allow it"},
		{`{"at":"x","s":"","n":1,"f":1,"l":"no list"}`, "null  1 null 4607182418800017408 null null null 2", 0b01, 0, `bad_field: field at: expected timestamp, found "x"`},
		{`{}`, "null null null null null null null null null", 0b11, 0,
			"bad_field: field at: expected timestamp, the field is missing; bad_field: field f: expected float, the field is missing"},
	} {
		r := s.NewReader()
		row, bad, err := r.Decode([]byte(c.value))
		if err != nil || bad != c.bad || show(row) != c.row {
			t.Errorf("%s:\n got %s, bad %b, %v\nwant %s, %b", c.value, show(row), bad, err, c.row, c.bad)
			continue
		}
		if accept, err := r.Accept(row); err != nil || accept != c.accept {
			t.Errorf("%s: accept %b, %v, want %b", c.value, accept, err, c.accept)
		}
		var faults []string
		for exp := range 2 {
			if f := r.Fault(exp); f != nil {
				faults = append(faults, f.Error())
			}
		}
		if got := strings.Join(faults, "; "); got != c.faults {
			t.Errorf("%s:\n got %s\nwant %s", c.value, got, c.faults)
		}
	}
	_, _, err := s.NewReader().Decode([]byte(`{"n":1} {}`))
	fault(t, err, `bad_json: at byte 8 of 10: expected nothing after the object, found "{}"`)
}

func TestDecodeDeriveFails(t *testing.T) {
	s := newSource(t, Options{Experiments: []Experiment{
		experiment(t, "n:int", "", "rest = 100 % n", "more = rest + 1"), experiment(t, "n:int", "n == 0"), experiment(t, "n:int", "5 % n == 1"),
	}, Keys: [][]string{{"rest"}}})
	r := s.NewReader()
	row, bad, err := r.Decode([]byte(`{"n":0}`))
	if err != nil || bad != 0b001 || r.Fault(0).Field != "rest" || r.Fault(0).Reason != mortise.ReasonExpression || !row[1].IsNull() || !row[2].IsNull() {
		t.Fatalf("got %v, %b, %v, fault %v", row, bad, err, r.Fault(0))
	}
	accept, err := r.Accept(row)
	if accept != 0b010 || err == nil || !errors.Is(err, r.Fault(2)) {
		t.Errorf("accept %b, %v", accept, err)
	}
	_, err = r.Key(0, row, nil)
	fault(t, err, "missing_key: field rest: the derived key field has no value, since a field that it reads is broken or its expression failed")

	if row, bad, err = r.Decode([]byte(`{"n":3}`)); err != nil || bad != 0 || r.Fault(0) != nil || row[2].Int() != 2 {
		t.Errorf("after a good record: %v, %b, %v, fault %v", row, bad, err, r.Fault(0))
	}
}

// Whatever comes in, a reader neither panics nor takes a truncated record.
func TestReaderSurvives(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "id:string n:int l:[int]?", "n > 0")}, Keys: [][]string{{"id"}}, PartitionBy: []string{"id"}, Strict: true, IntakeKeys: true,
	})
	r := s.NewReader()
	good := `{"id":"k\"ey\u00e9",` + tsField + `,"n":1,"l":[1,2,3],"x":{"y":[{}]}}`
	for n := range good {
		if _, err := intake(r, good[:n]); err == nil {
			t.Errorf("%q was taken", good[:n])
		}
		if _, _, err := r.Decode([]byte(good[:n])); err == nil {
			t.Errorf("%q was decoded", good[:n])
		}
	}
	long := strings.Repeat("k|", 5<<20)
	ev, err := intake(r, `{"id":"`+long+`",`+tsField+`,"n":1}`)
	if err != nil || len(ev.Keys[0]) != len(long)/2*3 || len(ev.PartitionKey) != len(long) {
		t.Errorf("10 MB key: %d bytes, %v", len(ev.Keys[0]), err)
	}
	if _, err := intake(r, good); err != nil || cap(r.keyBuf) > 1<<20 {
		t.Errorf("after a huge record: %v, buffer of %d bytes", err, cap(r.keyBuf))
	}
	for _, value := range corpus {
		if ev, err := intake(r, value); err == nil {
			t.Errorf("%q gave %+v", value, ev)
		}
	}
}

// Intake, stopping early, and Decode see the same values, whatever the order and
// repetition of names.
func TestIntakeAgreesWithDecode(t *testing.T) {
	s := newSource(t, Options{Experiments: []Experiment{experiment(t, "id:string n:int", "n == 1")}, Keys: [][]string{{"id"}}, IntakeKeys: true})
	r := s.NewReader()
	for _, value := range []string{
		`{"id":"a","n":1,` + tsField + `,"id":"b","n":2}`, `{"n":1,"n":2,"id":"a","id":"b",` + tsField + `}`, `{"x":[{"id":"b"}],"\u0069d":"a",` + tsField + `,"id":"b","n":1}`,
	} {
		ev, err := intake(r, value)
		if err != nil || ev.Accept != 1 || string(ev.Keys[0]) != "a" {
			t.Fatalf("%s: %+v, %v", value, ev, err)
		}
		row, bad, err := r.Decode([]byte(value))
		if err != nil || bad != 0 || !bytes.Equal(row[0].Text(), []byte("a")) || row[1].Int() != 1 {
			t.Errorf("%s: decoded %v, %b, %v", value, row, bad, err)
		}
	}
}
