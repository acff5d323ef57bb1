package shuffle

import (
	"fmt"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
)

func TestMetadataComesBack(t *testing.T) {
	for _, maxMS := range []int64{joiner.NoTimeMS, 0, 1_700_000_000_000, -5} {
		for _, idle := range []bool{false, true} {
			l := newLane(experiments.TopicPartition{}, 7, maxMS, 0)
			l.idle = idle
			c := l.committed()
			gotMS, gotIdle, err := ParseMetadata(c.Metadata)
			if err != nil || gotMS != maxMS || gotIdle != idle || c.Next != 7 {
				t.Errorf("%d, %t became %q: %d, %t, %v", maxMS, idle, c.Metadata, gotMS, gotIdle, err)
			}
		}
	}
	for _, text := range []string{"mortise1:abc", "x", "mortise-shuffle1:x", "mortise-shuffle1:-9223372036854775808"} {
		if _, _, err := ParseMetadata(text); err == nil {
			t.Errorf("%q is taken for a shuffler's", text)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	for _, s := range []string{"", "mortise-shuffle1:1700000000000/idle", "mortise-shuffle1:", "mortise-shuffle1:/idle", "mortise1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		maxMS, idle, err := ParseMetadata(text)
		if err != nil {
			return
		}
		l := newLane(experiments.TopicPartition{}, 0, maxMS, 0)
		l.idle = idle
		if ms, again, err := ParseMetadata(l.committed().Metadata); err != nil || ms != maxMS || again != idle {
			t.Fatalf("%q: %d %t came back as %d %t, %v", text, maxMS, idle, ms, again, err)
		}
	})
}

func TestSteeringKeysReachEveryPartition(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000} {
		for p, key := range steeringKeys(n) {
			if got := experiments.PartitionOf(key, n); got != p {
				t.Fatalf("key %q goes to partition %d of %d, want %d", key, got, n, p)
			}
		}
	}
}

// TestIdleNeedsAllReadAndSilence follows one origin through its states.
func TestIdleNeedsAllReadAndSilence(t *testing.T) {
	l := newLane(experiments.TopicPartition{}, 0, joiner.NoTimeMS, 0)
	fetched := func(records int, next, high, nowMS int64) {
		l.read(&experiments.Fetched{Records: make([]mortise.Record, records), Next: next, HighWatermark: high}, nowMS)
	}
	step := func(what string, inputDone, untilEnd bool, nowMS int64, want bool) {
		t.Helper()
		if l.judge(inputDone, untilEnd, 1000, nowMS); l.idle != want {
			t.Fatalf("%s: idle %t, want %t", what, l.idle, want)
		}
	}
	step("before the first poll", true, false, 5000, false)
	fetched(1, 1, 2, 5000)
	step("behind", true, false, 9000, false)
	fetched(1, 2, 2, 9000)
	step("just read", true, false, 9500, false)
	step("silent while more is being published", false, false, 20_000, false)
	step("all is there now", true, false, 20_001, false)
	step("and it is silent", true, false, 21_001, true)
	fetched(1, 3, 3, 21_002)
	step("it spoke", true, false, 21_002, false)
	step("until the end, which is not known", true, true, 21_003, false)
	l.endKnown = true
	step("until the end, and there", true, true, 21_004, true)
	l.paused = true
	step("paused: it may have more", true, true, 99_000, false)
	l.paused, l.idle, l.maxMS = false, false, 7
	if !l.news() {
		t.Fatal("an origin that a marker never spoke of is no news")
	}
	if c := l.clock(); *c.MaxMS != 7 || c.Idle || l.news() {
		t.Fatalf("told %+v, and it is still news: %t", c, l.news())
	}
	if l.maxMS = 8; !l.news() {
		t.Fatal("an origin that went on is no news")
	}
	l.clock()
	if l.idle = true; !l.news() {
		t.Fatal("an origin that fell idle is no news")
	}
}

// pausing is a transport that remembers what was paused.
type pausing struct {
	experiments.Transport
	paused []int32
}

func (p *pausing) SetPaused(parts []experiments.TopicPartition) {
	p.paused = nil
	for _, tp := range parts {
		p.paused = append(p.paused, tp.Partition)
	}
}

// TestAlignment: an origin waits for those that are behind it, here or elsewhere,
// but not for one that has nothing to be read.
func TestAlignment(t *testing.T) {
	tr := &pausing{}
	var elsewhere []Elsewhere
	s := &Shuffler{transport: tr, slackMS: 10, firstMS: 100, opts: Options{MaxAhead: time.Second, Elsewhere: func() []Elsewhere { return elsewhere }}}
	for p, maxMS := range []int64{5000, 5900, 6500, joiner.NoTimeMS} {
		l := newLane(experiments.TopicPartition{Topic: "t", Partition: int32(p)}, 0, maxMS, 0)
		l.polled, l.high = true, 10
		s.lanes = append(s.lanes, l)
	}
	expect := func(what string, want ...int32) {
		t.Helper()
		if s.align(); fmt.Sprint(tr.paused) != fmt.Sprint(want) {
			t.Fatalf("%s: paused %v, want %v", what, tr.paused, want)
		}
	}
	expect("one has had no event, and stands at the first that any had", 0, 1, 2)
	s.lanes[3].high = 0
	expect("the one without events is empty", 2)
	elsewhere = []Elsewhere{{experiments.TopicPartition{Topic: "u"}, 3000}}
	expect("another shuffle is behind", 0, 1, 2)
	elsewhere = []Elsewhere{{experiments.TopicPartition{Topic: "t", Partition: 1}, 3000}}
	expect("what is known of our own is old", 2)
	elsewhere = nil
	s.lanes[0].next = 10
	expect("the one that was behind is read to its end")
	for _, l := range s.lanes {
		l.next = l.high
	}
	expect("nothing is left to be read")
}

func TestOptionsAreChecked(t *testing.T) {
	way := &experiments.Shuffle{Origin: "t", Source: "s", Experiment: &spec.Experiment{}}
	way.Experiment.Join.PartitionBy = []string{"a"}
	for _, o := range []Options{{}, {Way: way}, {Way: way, Origins: 1}, {Way: way, Origins: 1, Partitions: 1}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestSilenceOfAnOriginIsAsOfTheLastAnswer: time in which nobody could ask where the
// origin ends is no silence.
func TestSilenceOfAnOriginIsAsOfTheLastAnswer(t *testing.T) {
	l := newLane(experiments.TopicPartition{}, 0, joiner.NoTimeMS, 0)
	at := func(asOfMS, nowMS int64) bool {
		l.read(&experiments.Fetched{Next: 2, HighWatermark: 2, EndAsOfMS: asOfMS}, nowMS)
		l.judge(true, false, 1000, nowMS)
		return l.idle
	}
	if at(5000, 5000) || at(5000, 90_000) || at(5999, 90_000) {
		t.Error("it is idle, though no broker said for so long that nothing comes")
	}
	if !at(6000, 90_000) {
		t.Error("it is not idle, though its broker said so")
	}
}
