package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// The window of 30 minutes is open at its end: i1's click comes with the last
// tick and is out, i3's comes a millisecond before it and is in.
const want = `instances.legacy-ctr {"instance_id":"i1","event_time":1772366400000,"label_click":0,"label_click_time":null,"label_click_count":0,"user":"ann","item":"lamp","position":1,"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}
instances.legacy-ctr {"instance_id":"i2","event_time":1772366400000,"label_click":1,"label_click_time":1772366460000,"label_click_count":1,"user":"ann","item":"\"tea\" pot","position":2,"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}
dead-letters.legacy-ctr {"experiment":"legacy-ctr","source":"impressions","topic":"legacy.impressions","partition":0,"offset":4,"reason":"clean_failed","error":"clean_failed: expected a view of 6 columns, found 5 columns","raw":"2026-03-01T12:02:00Z\tview\ti4\tbob\tdesk"}
instances.legacy-ctr {"instance_id":"i3","event_time":1772366490000,"label_click":1,"label_click_time":1772368289999,"label_click_count":1,"user":"zoë","item":"lamp","position":1,"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}
instances.legacy-ctr {"instance_id":"i5","event_time":1772368800000,"label_click":0,"label_click_time":null,"label_click_count":0,"user":"bob","item":"desk","position":1,"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}
legacy-ctr: 6 lines became 4 instances, 2 of them positive; 2 were left out
`

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), ".", &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestLegacyLog(t *testing.T) {
	for _, c := range []struct{ line, want, fault string }{
		{"2026-03-01T12:00:00Z\tview\ti1\tann\tlamp\t3", `{"id":"i1","time":"2026-03-01T12:00:00Z","user":"ann","item":"lamp","position":3}`, ""},
		{"2026-03-01T12:00:00Z\theartbeat\tweb-3", "", clean.Drop.Error()},
		{"2026-03-01T12:00:00Z\tview\ti1\tann\tlamp\tfirst", "", `reading the position: strconv.Atoi: parsing "first": invalid syntax`},
		{"", "", "expected a view of 6 columns, found 1 columns"},
	} {
		got, err := legacyLog(&mortise.Record{Value: []byte(c.line)}, nil)
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if string(got) != c.want || fault != c.fault {
			t.Errorf("%q: got %s, %q", c.line, got, fault)
		}
		if c.fault == clean.Drop.Error() && !errors.Is(err, clean.Drop) {
			t.Errorf("%q is not dropped", c.line)
		}
	}
}
