package dataset

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

var someManifest = manifest{Format: 1, Origin: "p00003", From: 120, To: 980, Files: []manifestFile{
	{"dt=2026-01-31/hour=22/part-p00003-120-980.parquet", 500, 12_345, "ab", 1_769_896_800_000, 1_769_900_399_999},
	{"dt=2026-01-31/hour=23/part-p00003-120-980.parquet", 360, 9_876, "cd", 1_769_900_400_000, 1_769_900_400_000},
}}

func TestManifest(t *testing.T) {
	at := marker{"p00003", 120, intentSuffix}
	got, err := parseManifest(someManifest.encode(), at)
	if err != nil || !reflect.DeepEqual(got, &someManifest) {
		t.Errorf("%+v, %v", got, err)
	}
	for want, change := range map[string][2]string{
		"format 2":                     {`"format": 1`, `"format": 2`},
		"no format":                    {`"format": 1`, `"format": 0`},
		"of p00004 from 120":           {`"p00003"`, `"p00004"`},
		"of p00003 from 121":           {`"from": 120`, `"from": 121`},
		"ends at 120, where it begins": {`"to": 980`, `"to": 120`},
		"none of this part":            {`"to": 980`, `"to": 981`},
		"none of this part:":           {`"rows": 500`, `"rows": 0`},
		"unknown field":                {`"to"`, `"new": 1, "to"`},
		"not in order":                 {`hour=22`, `hour=23`},
		"is none of this part":         {`dt=2026-01-31/hour=22/`, `../elsewhere/`},
		"invalid character":            {`}`, ``},
	} {
		data := bytes.Replace(someManifest.encode(), []byte(change[0]), []byte(change[1]), 1)
		if _, err := parseManifest(data, at); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, ":")) {
			t.Errorf("%s instead of %s: %v", change[1], change[0], err)
		}
	}
}

func TestFolders(t *testing.T) {
	for _, spanMS := range []int64{0, hourMS, dayMS} {
		for _, at := range []time.Time{time.UnixMilli(0), time.UnixMilli(-1), time.UnixMilli(hourMS - 1), time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.UTC), time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)} {
			slot := slotOf(at.UnixMilli(), spanMS)
			folder := folderOf(slot, spanMS)
			if want := map[int64]string{0: "", hourMS: at.UTC().Format("dt=2006-01-02/hour=15/"), dayMS: at.UTC().Format("dt=2006-01-02/")}[spanMS]; folder != want {
				t.Errorf("%s lies in %s, want %s", at, folder, want)
			}
			if back, ok := parseFolder(folder, spanMS); !ok || back != slot {
				t.Errorf("%s is slot %d, %v, want %d", folder, back, ok, slot)
			}
		}
	}
	for _, folder := range []string{"", "dt=2026-01-31/", "dt=2026-13-01/hour=00/", "dt=2026-01-31/hour=24/", "x/dt=2026-01-31/hour=00/", "dt=2026-01-31/hour=00/x/"} {
		if _, ok := parseFolder(folder, hourMS); ok {
			t.Errorf("%q is an hour's folder", folder)
		}
	}
}

func TestMarkers(t *testing.T) {
	for key, want := range map[string]marker{
		intentKey("p00003", 120): {"p00003", 120, intentSuffix}, doneKey("s0001-of-0016", 1<<62): {"s0001-of-0016", 1 << 62, doneSuffix}, endKey("s0"): {"s0", 0, endName},
	} {
		if got, ok := parseMarker(key); !ok || got != want {
			t.Errorf("%s: %+v, %v", key, got, ok)
		}
	}
	for _, key := range []string{partsFolder, partsFolder + "p0", partsFolder + "p0/12.json", partsFolder + "P0/" + partName(12) + ".json", partsFolder + "p0/9223372036854775795-13.json",
		partsFolder + "p0/9223372036854775795-012.json", partsFolder + "p0/9223372036854775808--1.done", partsFolder + "p0/" + partName(12) + ".json.tmp", partsFolder + "p0/x/end.json"} {
		if got, ok := parseMarker(key); ok {
			t.Errorf("%s is %+v", key, got)
		}
	}
}

// FuzzManifest reads anything: what it takes for a manifest is one.
func FuzzManifest(f *testing.F) {
	f.Add(someManifest.encode())
	f.Add([]byte(`{"format":1,"origin":"p00003","from":120,"to":121,"files":[]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`[]`))
	at := marker{"p00003", 120, intentSuffix}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, at)
		if err != nil {
			return
		}
		again, err := parseManifest(m.encode(), at)
		if err != nil || again.rowsDiffer(m) != "" {
			t.Errorf("%s\nbecomes %s: %v", data, m.encode(), err)
		}
		for _, file := range m.info().Files {
			if folder, ok := strings.CutSuffix(file.Key, fileKey("", m.Origin, m.From, m.To)); !ok || folder != "" && !folderPattern.MatchString(folder) {
				t.Errorf("a part has the file %s", file.Key)
			}
		}
	})
}

// FuzzColumns merges columns that anything says there have been.
func FuzzColumns(f *testing.F) {
	f.Add([]byte(`{"format":1,"columns":[{"name":"a","type":"int?"},{"name":"b","type":"[string]"}],"version":3,"config":"ab"}`))
	f.Add([]byte(`{"format":1,"columns":[{"name":"a","type":"nothing"}],"version":3,"config":"ab"}`))
	own := mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}, {Name: "c", Type: mortise.Type{Kind: mortise.Bool, Nullable: true}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var found columnsFile
		if parse(data, &found, &found.Format) != nil {
			return
		}
		merged, _, err := found.merge(own)
		if err != nil {
			return
		}
		if _, changed, err := merged.merge(own); changed || err != nil {
			t.Errorf("merged twice, %s changes: %v", encode(merged), err)
		}
	})
}
