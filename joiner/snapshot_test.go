package joiner

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func sampleSnapshot() *Snapshot {
	var l mortise.Ledger
	l.Impressions.In, l.Impressions.Emitted, l.Labels.Pending = 9, 7, 1<<40
	l.Impressions.Dropped[mortise.ReasonDuplicate] = 2
	return &Snapshot{Plan: 0xfeedface, Offsets: []int64{100, 7}, Lows: []int64{40, 7}, WatermarkMS: 1_574_553_663_979,
		MaxMainMS: NoTimeMS, Cursor: Cursor{-5, 3, 99}, Ledgers: []mortise.Ledger{l, {}}, Labels: 12,
		Ahead: []AheadSpan{{0, 41, 99, 1_574_563_663_979}, {1, 3, 4, 1_674_563_663_979}}}
}

func TestSnapshotMetadata(t *testing.T) {
	want := sampleSnapshot()
	text := want.Metadata()
	got, err := ParseMetadata(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read back %+v, %v; want %+v", got, err, want)
	}
	if len(text) > 200 {
		t.Errorf("%d bytes of metadata; brokers take 4096 for all experiments of a pipeline", len(text))
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"another program's": {"lag exporter", ErrOtherVersion},
		"cut off":           {text[:len(text)-4], ErrCorrupt},
		"not base64":        {metadataPrefix + "***", ErrCorrupt},
		"another version's": {metadataPrefix + "CQ" + strings.Repeat("A", 20), ErrOtherVersion},
	} {
		if _, err := ParseMetadata(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestSnapshotOfManyExperiments: the metadata of as many experiments as can
// share a pipeline, each with a busy ledger, fits what brokers take.
func TestSnapshotOfManyExperiments(t *testing.T) {
	s := sampleSnapshot()
	s.Ledgers = make([]mortise.Ledger, MaxExperiments)
	for i := range int64(32) { // as many as a worker keeps
		s.Ahead = append(s.Ahead, AheadSpan{int(i % 2), 60 + i, 1 << 30, s.WatermarkMS + 8*3_600_000})
	}
	for i := range s.Ledgers {
		l := &s.Ledgers[i]
		l.Impressions.In, l.Impressions.Emitted, l.Impressions.Pending = 1e9, 9e8, 5e6
		l.Labels.In, l.Labels.Attached, l.Labels.Unmatched, l.Labels.Pending = 1e8, 9e7, 1e6, 1e6
		l.Instances, l.Positives = 9e8, 9e7
		for _, r := range []mortise.Reason{mortise.ReasonFiltered, mortise.ReasonDuplicate, mortise.ReasonSampled, mortise.ReasonBadJSON} {
			l.Impressions.Dropped[r] = 1e6
		}
	}
	if n := len(s.Metadata()); n > 4096 {
		t.Errorf("%d bytes, brokers take 4096", n)
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(sampleSnapshot().Append(nil))
	f.Add([]byte{})
	f.Add([]byte{snapshotVersion, 1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSnapshot(b)
		if err != nil {
			return
		}
		again, err := ParseSnapshot(s.Append(nil))
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v reads back as %+v, %v", s, again, err)
		}
	})
}
