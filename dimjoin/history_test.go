package dimjoin

import (
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func TestHistoryTimes(t *testing.T) {
	text, number := mortise.StringValue, mortise.IntValue
	for _, c := range []struct {
		unit string
		v    mortise.Value
		want int64
		ok   bool
	}{
		{"", number(1500), 1500, true},
		{"ms", number(-1), -1, true},
		{"s", number(2), 2000, true},
		{"s", mortise.FloatValue(2.0015), 2001, true},
		{"s", number(1 << 62), 0, false},
		{"us", number(-1), -1, true},
		{"ns", number(1_999_999), 1, true},
		{"ns", mortise.FloatValue(2_000_000), 2, true},
		{"ms", mortise.FloatValue(1.5), 0, false},
		{"s", mortise.TimestampValue(7), 7, true},
		{"rfc3339", text("1970-01-01T00:00:01.5Z"), 1500, true},
		{"rfc3339", text("1970-01-01T01:00:01+01:00"), 1000, true},
		{"rfc3339", text("1970-01-02"), 86400000, true},
		{"rfc3339", text("1970-01-01 00:00:01"), 1000, true},
		{"rfc3339", text("yesterday"), 0, false},
		{"rfc3339", number(5), 0, false},
		{"ms", mortise.BoolValue(true), 0, false},
	} {
		h := History{From: "a", To: "b", Unit: c.unit}
		ms, ok := h.Begin(c.v)
		if ok != c.ok || ok && ms != c.want {
			t.Errorf("unit %q of %v: %d, %v, want %d, %v", c.unit, c.v, ms, ok, c.want, c.ok)
		}
		if back, _ := h.Begin(h.Of(1_700_000_000_000)); back != 1_700_000_000_000 {
			t.Errorf("unit %q: written and read %d", c.unit, back)
		}
	}
}

func TestHistoryEnds(t *testing.T) {
	h := History{From: "a", To: "b", Unit: "rfc3339"}
	for _, v := range []mortise.Value{mortise.NullValue(), mortise.StringValue("9999-12-31"), mortise.StringValue("2099-12-31 23:59:59")} {
		if ms, ok := h.End(v); !ok || ms != Latest {
			t.Errorf("%s is no open end: %d, %v", v.Text(), ms, ok)
		}
	}
	if ms, ok := h.End(mortise.StringValue("2098-12-31")); !ok || ms == Latest {
		t.Errorf("2098 is open: %d, %v", ms, ok)
	}
	if ms, ok := h.Begin(mortise.NullValue()); !ok || ms != Always {
		t.Errorf("a null from: %d, %v", ms, ok)
	}
}

func TestHistoryCheck(t *testing.T) {
	for _, c := range []struct {
		h    History
		want string
	}{
		{History{}, ""},
		{History{From: "a", To: "b"}, ""},
		{History{From: "a"}, ""},
		{History{From: "a", To: "a"}, "both"},
		{History{From: "a", To: "b", Unit: "m"}, `unit "m"`},
	} {
		err := c.h.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.h, err)
		}
	}
}
