package clean

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// nestedPaths are read from the documents below: siblings, one path twice, an
// object and what is in it.
var nestedPaths = []string{"a", "b.c", "b.d.e", "b.d.f", "b.c", "g.h.i.j", "b", "g.h", "a.x", "l"}

// findNested finds a path the slow way: its raw value, "absent" or "no object".
func findNested(t *testing.T, doc string, path []string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(doc))
	var object map[string]json.RawMessage
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	object = map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if _, twice := object[key.(string)]; !twice {
			object[key.(string)] = value
		}
	}
	value, ok := object[path[0]]
	switch {
	case !ok:
		return "absent"
	case len(path) == 1:
		return string(value)
	case string(value) == "null":
		return "null"
	case value[0] != '{':
		return "no object"
	}
	return findNested(t, string(value), path[1:])
}

func randomValue(rnd *rand.Rand, depth int) string {
	space := strings.Repeat(" ", rnd.Intn(2))
	switch n := rnd.Intn(9); {
	case n < 4 && depth > 0:
		var members []string
		for _, i := range rnd.Perm(9)[:rnd.Intn(9)] {
			name := string("abcdefghi"[i])
			if rnd.Intn(8) == 0 {
				name = fmt.Sprintf(`\u%04x`, name[0])
			}
			members = append(members, fmt.Sprintf(`%s"%s"%s:%s%s`, space, name, space, space, randomValue(rnd, depth-1)))
		}
		return "{" + strings.Join(members, space+",") + "}"
	case n == 4:
		return "null"
	case n == 5:
		return `"text \" } { \\"`
	case n == 6:
		return `[1,{"c":2},[]]`
	case n == 7:
		return "-1.5e3"
	}
	return "true"
}

func TestNestedFields(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	var paths [][]string
	for _, p := range nestedPaths {
		paths = append(paths, strings.Split(p, "."))
	}
	s := newPathScanner(paths)
	for range 20_000 {
		doc := "x"
		for doc[0] != '{' {
			doc = randomValue(rnd, 4)
		}
		if !s.scan([]byte(doc), rnd.Intn(2) == 0) {
			t.Fatalf("%s: %s", doc, s.syntax())
		}
		for at, path := range paths {
			want := findNested(t, doc, path)
			tok := s.tokens[at]
			got := doc[tok.start:tok.end]
			switch tok.kind & kindMask {
			case absent:
				got = "absent"
			case tokenString:
				got = `"` + got + `"`
			case tokenObject:
				if want == "no object" {
					got = want
				}
			}
			if got != want {
				t.Fatalf("%s in %s: got %s, want %s", nestedPaths[at], doc, got, want)
			}
		}
	}
}

// Nested fields are conditions and keys like others.
func TestNestedSource(t *testing.T) {
	exp := experiment(t, "id:string os:string? ts:int tags:[int]?", "os == \"ios\"")
	exp.From = map[string][]string{"id": {"ids", "impression"}, "os": {"device", "os"}, "ts": {"at"}, "tags": {"device", "tags"}}
	s, err := New(Options{Name: "x", TimeField: "ts", TimeUnit: "ms", Keys: [][]string{{"id"}}, IntakeKeys: true, Experiments: []Experiment{exp}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.NewReader()
	for record, want := range map[string]string{
		`{"at":1574553663979,"ids":{"impression":"a\u00e9"},"device":{"os":"ios","tags":[1,2]}}`: `1 ["aé"] 2`,
		`{"at":1574553663979,"ids":{"impression":"a"},"device":{"os":"web"}}`:                    "0 []",
		`{"at":1574553663979,"ids":{"impression":"a"},"device":null}`:                            "0 []",
		`{"at":1574553663979,"ids":7,"device":{"os":"ios"}}`:                                     "bad_field: field id: expected string, found 7",
		`{"ids":{"impression":"a"},"device":{"os":"ios"}}`:                                       "bad_time: field ts: event time is missing",
	} {
		var ev Event
		err := r.Intake(&mortise.Record{Value: []byte(record)}, &ev)
		got := fmt.Sprintf("%d %q", ev.Accept, ev.Keys)
		if err != nil {
			got = err.Error()
		} else if row, _, err := r.Decode(ev.Value); err == nil && ev.Accept == 1 {
			got += fmt.Sprintf(" %d", len(row[3].List()))
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", record, got, want)
		}
	}
}
