package experiments

import (
	"bytes"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// TestOriginComesBack: what a record was is read back whole, whatever its key.
func TestOriginComesBack(t *testing.T) {
	own := []mortise.Header{{Key: "schema", Value: []byte("7")}}
	for _, key := range [][]byte{nil, {}, []byte("k"), []byte("sent"), []byte("a/b-=\x00"), []byte("-"), []byte("=")} {
		for _, n := range []int64{0, 1, 1 << 40, -1, 999_999_999_999_999_999} {
			rec := mortise.Record{Topic: "t", Partition: 7, Offset: max(n, 0), TimestampMS: n, Key: key, Value: []byte("v")}
			sent := mortise.Record{Topic: "internal", Partition: 1, Offset: 99, TimestampMS: 5, Key: []byte("sent"), Value: rec.Value,
				Headers: append([]mortise.Header{{Key: OriginHeader, Value: AppendOrigin(nil, &rec, []byte("sent"))}}, own...)}
			if err := RestoreOrigin(&sent, "t"); err != nil {
				t.Fatalf("key %q, %d: %v", key, n, err)
			}
			if sent.Topic != "t" || sent.Partition != 7 || sent.Offset != rec.Offset || sent.TimestampMS != n || !bytes.Equal(sent.Key, key) || (sent.Key == nil) != (key == nil) {
				t.Errorf("key %q, %d: came back as %+v", key, n, sent)
			}
			if len(sent.Headers) != 1 || sent.Headers[0].Key != "schema" {
				t.Errorf("its own headers are %v", sent.Headers)
			}
		}
	}
}

func TestForeignRecordsAreRefused(t *testing.T) {
	for header, want := range map[string]string{"": "something else writes", "1/2": "not partition/offset/timestamp", "1/2/": "not partition", "1/2/3/x": "no key",
		"-1/2/3": "no such partition", "99999999/2/3": "no such partition", "1/9999999999999999999/3": "not partition", "a/2/3": "not partition", "--1/2/3": "not partition"} {
		rec := mortise.Record{}
		if header != "" {
			rec.Headers = []mortise.Header{{Key: OriginHeader, Value: []byte(header)}}
		}
		if err := RestoreOrigin(&rec, "t"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", header, err, want)
		}
	}
}

func FuzzRestoreOrigin(f *testing.F) {
	for _, s := range []string{"3/81237/1700000000123", "0/0/-1/-", "1/2/3/=key", "", "/", "1//3", "00001/2/3/="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		rec := mortise.Record{Key: []byte("sent"), Headers: []mortise.Header{{Key: OriginHeader, Value: header}}}
		if RestoreOrigin(&rec, "t") != nil {
			return
		}
		again := mortise.Record{Key: []byte("sent"), Headers: []mortise.Header{{Key: OriginHeader, Value: AppendOrigin(nil, &rec, []byte("sent"))}}}
		if err := RestoreOrigin(&again, "t"); err != nil || again.Partition != rec.Partition || again.Offset != rec.Offset || again.TimestampMS != rec.TimestampMS ||
			!bytes.Equal(again.Key, rec.Key) || (again.Key == nil) != (rec.Key == nil) {
			t.Fatalf("%q: %+v came back as %+v, %v", header, rec, again, err)
		}
	})
}

func FuzzParseClocks(f *testing.F) {
	for _, s := range []string{`{"origins":3,"clocks":[{"partition":2,"max_ms":1700000000123},{"partition":0,"idle":true}]}`, `{"origins":0}`, `{"origins":1,"clocks":[{"partition":1}]}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := ParseClocks(value)
		if err != nil {
			return
		}
		for _, k := range c.Clocks {
			if k.Partition < 0 || int(k.Partition) >= c.Origins {
				t.Fatalf("%s: origin %d of %d", value, k.Partition, c.Origins)
			}
		}
	})
}

func TestKeptOffset(t *testing.T) {
	for _, value := range []string{"", "v", strings.Repeat("x", 1000)} {
		kept := appendKept([]byte("before"), []byte(value), 1<<50+7)[len("before"):]
		if got, offset := splitKept(kept); string(got) != value || offset != 1<<50+7 {
			t.Errorf("%q: %q at %d", value, got, offset)
		}
	}
}
