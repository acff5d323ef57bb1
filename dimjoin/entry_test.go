package dimjoin

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// TestEntriesAnswerWithTheNewestVersion holds entries against a naive one: a list of
// all versions, of which the last that covers a time and has not expired counts.
func TestEntriesAnswerWithTheNewestVersion(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		var e *Entry
		var all []version
		for i := range maxVersions {
			nowMS := int64(10 * i)
			v := version{fromMS: rng.Int64N(100), freshMS: nowMS + rng.Int64N(200), row: mortise.Row{mortise.IntValue(int64(i))}}
			v.staleMS = v.freshMS + rng.Int64N(20)
			v.toMS = v.fromMS + 1 + rng.Int64N(60)
			switch rng.IntN(6) {
			case 0:
				v.toMS = Latest
			case 1:
				v.fromMS = beginning
			}
			e = e.with("key", v, nowMS)
			all = append(all, v)
			for _, at := range []int64{beginning, -1, 0, 1, 30, v.fromMS - 1, v.fromMS, v.toMS - 1, v.toMS, 99, 159, 160, Latest - 1, Latest} {
				want := "nothing"
				for _, old := range all {
					if old.covers(at) {
						want = "nothing"
						if nowMS < old.staleMS || nowMS < old.freshMS {
							want = fmt.Sprint(old.row[0].Int(), old.freshMS)
						}
					}
				}
				got := "nothing"
				if found := e.find(at); found != nil && (nowMS < found.staleMS || nowMS < found.freshMS) {
					got = fmt.Sprint(found.row[0].Int(), found.freshMS)
				}
				if got != want {
					t.Fatalf("after %d versions, as of %d at %d: %s, want %s", i+1, at, nowMS, got, want)
				}
			}
		}
	}
}

func TestAnEntryKeepsAFewVersions(t *testing.T) {
	var e *Entry
	for i := range int64(100) {
		e = e.with("key", version{fromMS: i, toMS: i + 1, freshMS: 1000 + i, row: mortise.Row{mortise.IntValue(i)}}, 0)
	}
	if n := len(e.more); n != maxVersions {
		t.Errorf("%d versions beside the newest", n)
	}
	for i := int64(99); i >= 99-maxVersions; i-- {
		if v := e.find(i); v == nil || v.row[0].Int() != i {
			t.Errorf("version %d, which expires last, is gone", i)
		}
	}
	if want := entryOverhead + 3 + maxVersions*(versionBytes+valueBytes) + valueBytes; e.Bytes() != int64(want) {
		t.Errorf("it says %d bytes, want %d", e.Bytes(), want)
	}
}

func TestSpreadIsEven(t *testing.T) {
	var buckets [10]int
	for i := range 10_000 {
		s := spread(fmt.Sprint("item-", i), 1_700_000_000_000)
		if s < 0 || s >= 1 {
			t.Fatal(s)
		}
		buckets[int(s*10)]++
	}
	for i, n := range buckets {
		if n < 850 || n > 1150 {
			t.Errorf("%d of 10,000 keys are in tenth %d", n, i)
		}
	}
}
