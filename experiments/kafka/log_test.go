package kafka

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mortise-dev/mortise/experiments"
)

func openLog(t testing.TB, c Connection, topics ...string) *Log {
	t.Helper()
	l, err := OpenLog(testContext(t), c, topics, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func (l *Log) startAll(t testing.TB, at int64) {
	t.Helper()
	from := map[experiments.TopicPartition]int64{}
	for _, tp := range l.Partitions() {
		from[tp] = at
	}
	if err := l.Start(from); err != nil {
		t.Fatal(err)
	}
}

// TestLogReadsEverything reads topics of different widths, then goes on from the
// middle.
func TestLogReadsEverything(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "narrow")
	topics(t, c, 5, "wide")
	all := append(publish(t, c, "narrow", 40), publish(t, c, "wide", 60)...)
	l := openLog(t, c, "narrow", "wide")
	if n := len(l.Partitions()); n != 7 {
		t.Fatalf("%d partitions, want 7", n)
	}
	l.startAll(t, experiments.OffsetEarliest)
	ends, err := l.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[experiments.TopicPartition]*position{}
	for ctx, done := testContext(t), reached(seen, ends); !done(); {
		fetched, err := l.Poll(ctx, 7, 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		keep(t, seen, fetched)
	}
	var got []string
	resume := map[experiments.TopicPartition]int64{}
	for tp, p := range seen {
		got = append(got, p.values...)
		resume[tp] = p.next / 2
	}
	if len(seen) != 7 {
		t.Errorf("%d partitions were reported, want all 7", len(seen))
	}
	slices.Sort(got)
	slices.Sort(all)
	want(t, "what was read", got, all)

	again := openLog(t, c, "narrow", "wide")
	if err := again.Start(resume); err != nil {
		t.Fatal(err)
	}
	left := map[experiments.TopicPartition]*position{}
	for ctx, done := testContext(t), reached(left, ends); !done(); {
		fetched, err := again.Poll(ctx, 1000, 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		keep(t, left, fetched)
	}
	for tp, p := range left {
		want(t, tp.Topic, p.values, seen[tp].values[resume[tp]:])
	}
}

func TestLogReportsGaps(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in")
	publish(t, c, "in", 30)
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: "in", Partition: 0, At: 20})
	l := openLog(t, c, "in")
	if _, err := l.admin.adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	var gap *experiments.GapError
	if err := l.Start(map[experiments.TopicPartition]int64{tp("in", 0): 3}); !errors.As(err, &gap) || gap.Gaps[0].First != 20 {
		t.Errorf("starting before the log: got %v, want a GapError from 3 to 20", err)
	}
	l.in.add([]*lane{{tp: tp("in", 0), end: 30}}) // as when retention comes after Start
	for ctx := testContext(t); ; {
		_, err := l.Poll(ctx, 10, 50*time.Millisecond)
		if err == nil {
			continue
		}
		if !errors.As(err, &gap) || gap.Gaps[0].Need != 0 || gap.Gaps[0].First != 20 {
			t.Errorf("got %v, want a GapError from 0 to 20", err)
		}
		return
	}
}

func TestLogNeedsItsTopics(t *testing.T) {
	if _, err := OpenLog(testContext(t), connect(t), []string{"absent"}, 0); !errors.As(err, new(*MissingTopicError)) {
		t.Errorf("got %v, want a MissingTopicError", err)
	}
}

// TestLogFindsTimes asks where partitions have come to a timestamp; publish stamps
// its records 0, 1, 2 and so on.
func TestLogFindsTimes(t *testing.T) {
	c := connect(t)
	topics(t, c, 3, "t")
	publish(t, c, "t", 90)
	l := openLog(t, c, "t")
	ends, err := l.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, ms := range []int64{-3_600_000, -1, 0, 30, 1000} {
		at, err := l.At(t.Context(), ms)
		if err != nil {
			t.Fatal(err)
		}
		left := int64(0) // records that lie behind
		for _, tp := range l.Partitions() {
			left += ends[tp] - at[tp]
		}
		if want := max(90-max(ms, 0), 0); left != want {
			t.Errorf("at %d ms: %d records lie behind %v, want %d", ms, left, at, want)
		}
	}
}
