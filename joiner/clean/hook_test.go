package clean

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func TestCleanFunc(t *testing.T) {
	value := `{"id":"a",` + tsField + `}`
	for _, c := range []struct {
		name string
		fn   Func
		want string // the id, or the error
	}{
		{"as it is", func(rec *mortise.Record, _ []byte) ([]byte, error) { return rec.Value, nil }, "a"},
		{"a part", func(rec *mortise.Record, _ []byte) ([]byte, error) { return bytes.TrimSpace(rec.Value), nil }, "a"},
		{"rewritten", func(rec *mortise.Record, dst []byte) ([]byte, error) {
			return append(dst, bytes.Replace(rec.Value, []byte("a"), []byte("b"), 1)...), nil
		}, "b"},
		{"dropped", func(*mortise.Record, []byte) ([]byte, error) { return nil, Drop }, "clean_dropped: the clean function drops the record"},
		{"dropped with a note", func(*mortise.Record, []byte) ([]byte, error) { return nil, fmt.Errorf("a bot: %w", Drop) },
			"clean_dropped: a bot: the clean function drops the record"},
		{"failed", func(*mortise.Record, []byte) ([]byte, error) { return nil, errors.New("no luck") }, "clean_failed: no luck"},
		{"panics", func(rec *mortise.Record, _ []byte) ([]byte, error) {
			return rec.Value[len(rec.Value):][:1], errors.New(rec.Topic[5:])
		},
			"clean_failed: the clean function panicked: runtime error: slice bounds out of range [:1] with capacity 0"},
		{"not JSON", func(_ *mortise.Record, dst []byte) ([]byte, error) { return append(dst, "a,b"...), nil },
			`bad_json: in what the clean function returned: at byte 0 of 3: expected a JSON object, found "a,b"`},
		{"nothing", func(*mortise.Record, []byte) ([]byte, error) { return nil, nil },
			"bad_json: in what the clean function returned: at byte 0 of 0: expected a JSON object, the record is empty, the record ends here"},
	} {
		s := newSource(t, Options{Experiments: []Experiment{experiment(t, "id:string", "")}, Keys: [][]string{{"id"}}, IntakeKeys: true, Clean: c.fn})
		r := s.NewReader()
		for range 2 {
			raw := []byte(value)
			raw = raw[:len(raw):len(raw)]
			var ev Event
			err := r.Intake(&mortise.Record{Value: raw}, &ev)
			got := fmt.Sprint(err)
			if err == nil {
				got = string(ev.Keys[0])
				if row, _, err := r.Decode(ev.Value); err != nil || string(row[0].Text()) != got {
					t.Errorf("%s: decoded %v, %v", c.name, row, err)
				}
			}
			if got != c.want || string(raw) != value {
				t.Errorf("%s: got %s, want %s; the record is now %s", c.name, got, c.want, raw)
			}
		}
	}
}

// A function that returns part of one record must not have it overwritten while
// the next one is read.
func TestCleanFuncKeepsRecordsApart(t *testing.T) {
	fn := func(rec *mortise.Record, dst []byte) ([]byte, error) {
		if rec.Offset == 0 {
			return rec.Value[1:], nil
		}
		return append(dst, rec.Value...), nil
	}
	r := newSource(t, Options{Experiments: []Experiment{experiment(t, "id:string", "")}, Clean: fn}).NewReader()
	first := []byte(` {"id":"first",` + tsField + `}`)
	var ev Event
	for offset, value := range [][]byte{first, []byte(`{"id":"other",` + tsField + `}`)} {
		if err := r.Intake(&mortise.Record{Offset: int64(offset), Value: value}, &ev); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(first, []byte("first")) {
		t.Errorf("the first record was overwritten: %s", first)
	}
}

func TestRegister(t *testing.T) {
	fn := func(rec *mortise.Record, dst []byte) ([]byte, error) { return rec.Value, nil }
	for _, name := range []string{"test_b", "test_a"} {
		if _, known := Lookup(name); !known { // -count runs it again in one process
			Register(name, fn)
		}
	}
	if names := Registered(); !slices.IsSorted(names) || !slices.Contains(names, "test_a") || !slices.Contains(names, "test_b") {
		t.Errorf("registered: %v", names)
	}
	if got, ok := Lookup("test_a"); !ok || got == nil {
		t.Error("test_a is not found")
	}
	if _, ok := Lookup("test_c"); ok {
		t.Error("test_c is found")
	}
	for name, fn := range map[string]Func{"test_a": fn, "": fn, "test_d": nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("registering %q did not panic", name)
				}
			}()
			Register(name, fn)
		}()
	}
}
