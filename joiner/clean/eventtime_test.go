package clean

import (
	"errors"
	"math/big"
	"math/rand"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func readTime(t *testing.T, unitName, raw string) (int64, *mortise.RecordError) {
	t.Helper()
	s, err := New(Options{Name: "s", TimeField: "ts", TimeUnit: unitName, Experiments: make([]Experiment, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var ev Event
	err = s.NewReader().Intake(&mortise.Record{Value: []byte(`{"ts":` + raw + `}`)}, &ev)
	fault, ok := errors.AsType[*mortise.RecordError](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	return ev.TimeMS, fault
}

func TestEventTime(t *testing.T) {
	for _, c := range []struct {
		unit, raw string
		want      int64
	}{
		{"ms", "1574553663979", 1574553663979},
		{"s", "1574553663", 1574553663000},
		{"s", "1574553663.979", 1574553663979},
		{"s", "1574553663.979999", 1574553663979},
		{"s", "1574553663.9", 1574553663900},
		{"s", "1.574553663979E9", 1574553663979},
		{"s", "1574553663979e-3", 1574553663979},
		{"s", "1574553663.97900000000000000000000000000001", 1574553663979},
		{"us", "1574553663979123", 1574553663979},
		{"ns", "1574553663979123456", 1574553663979},
		{"rfc3339", `"2019-11-24T00:01:03.979Z"`, 1574553663979},
		{"rfc3339", `"2019-11-24T09:01:03.979+09:00"`, 1574553663979},
		{"rfc3339", `"2019-11-24T00:01:03.\u0039\u00379Z"`, 1574553663979},
		{"ms", "31536000000", earliestMS},
		{"ms", "7258118399999", latestMS},
	} {
		if got, fault := readTime(t, c.unit, c.raw); fault != nil || got != c.want {
			t.Errorf("%s %s: got %d, %v, want %d", c.unit, c.raw, got, fault, c.want)
		}
	}
}

func TestEventTimeFaults(t *testing.T) {
	for _, c := range [][3]string{
		{"ms", "1574553663", `1574553663 in unit ms is 1970-01-19T05:22:33Z, before 1971; in unit s it would be 2019-11-24T00:01:03Z`},
		{"s", "1574553663979", `1574553663979 in unit s is 51865-08-14T17:46:19Z, after 2199; in unit ms it would be 2019-11-24T00:01:03Z`},
		{"ms", "1574553663979123", `1574553663979123 in unit ms is 51865-08-14T17:46:19Z, after 2199; in unit us it would be 2019-11-24T00:01:03Z`},
		{"us", "1574553663979123456", `1574553663979123456 in unit us is 51865-08-14T17:46:19Z, after 2199; in unit ns it would be 2019-11-24T00:01:03Z`},
		{"ns", "1574553663979", `1574553663979 in unit ns is 1970-01-01T00:26:14Z, before 1971; in unit ms it would be 2019-11-24T00:01:03Z`},
		{"ms", "7258118400000", `7258118400000 in unit ms is 2200-01-01T00:00:00Z, after 2199`},
		{"ms", "31535999999", `31535999999 in unit ms is 1970-12-31T23:59:59Z, before 1971`},
		{"ms", "0", `0 in unit ms is 1970-01-01T00:00:00Z, before 1971`},
		{"ms", "-1", `-1 in unit ms is 1969-12-31T23:59:59Z, before 1971`},
		{"ms", "9223372036854775807", `9223372036854775807 in unit ms is 292278994-08-17T07:12:55Z, after 2199`},
		{"ms", "9223372036854775808", `9223372036854775808 is not an integer of ms that fits 64 bits`},
		{"s", "9223372036854775807", `9223372036854775807 is not a number of seconds that fits 64 bits`},
		{"s", "1e300000000000000000", `1e300000000000000000 is not a number of seconds that fits 64 bits`},
		{"s", "1e-300000000000000000", `1e-300000000000000000 in unit s is 1970-01-01T00:00:00Z, before 1971`},
		{"ms", "1574553663979.0", `1574553663979.0 is not an integer of ms that fits 64 bits`},
		{"ms", `"1574553663979"`, `"1574553663979" is not an integer of ms that fits 64 bits; it is a number in quotes`},
		{"ms", `"2019-11-24T00:01:03Z"`, `"2019-11-24T00:01:03Z" is not an integer of ms that fits 64 bits; in unit rfc3339 it would be 2019-11-24T00:01:03Z`},
		{"rfc3339", "1574553663979", `1574553663979 is not an RFC 3339 time such as "2019-11-24T00:01:03.979Z"; in unit ms it would be 2019-11-24T00:01:03Z`},
		{"rfc3339", `"2200-01-01T00:00:00Z"`, `2200-01-01T00:00:00Z is after 2199`},
		{"rfc3339", `"yesterday"`, `"yesterday" is not an RFC 3339 time such as "2019-11-24T00:01:03.979Z"`},
		{"rfc3339", "\"\xff\"", `"\xff" is not an RFC 3339 time such as "2019-11-24T00:01:03.979Z"`},
		{"ms", "null", "event time is null"},
		{"ms", "{}", "{} is not an integer of ms that fits 64 bits"},
		{"ms", "true", "true is not an integer of ms that fits 64 bits"},
	} {
		_, fault := readTime(t, c[0], c[1])
		if fault == nil || fault.Reason != mortise.ReasonBadTime || fault.Field != "ts" || fault.Detail != c[2] {
			t.Errorf("%s %s:\n got %+v\nwant %s", c[0], c[1], fault, c[2])
		}
	}
}

func TestEventTimeMissing(t *testing.T) {
	s, err := New(Options{TimeField: "at", TimeUnit: "ms", Experiments: make([]Experiment, 1)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.NewReader().Intake(&mortise.Record{Value: []byte(`{"ts":1574553663979}`)}, &Event{})
	if want := "bad_time: field at: event time is missing"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParseSecondsAgainstBigRat(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + rnd.Intn(10))
		}
		return string(b)
	}
	for range 20_000 {
		text := digits(1 + rnd.Intn(12))
		if rnd.Intn(2) == 0 {
			text += "." + digits(1+rnd.Intn(6))
		}
		if rnd.Intn(2) == 0 {
			text += []string{"e", "E+", "e-"}[rnd.Intn(3)] + digits(1)
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%s is not a number", text)
		}
		exact.Mul(exact, big.NewRat(1000, 1))
		want := new(big.Int).Quo(exact.Num(), exact.Denom())
		got, ok := parseSeconds([]byte(text))
		if ok != want.IsInt64() || ok && got != want.Int64() {
			t.Fatalf("%s: got %d, %v, want %s", text, got, ok, want)
		}
	}
}
