package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

func TestTimestampsWithinLimits(t *testing.T) {
	const hour, now = int64(3_600_000), int64(1_700_000_000_000)
	for _, c := range []struct {
		name          string
		before, after int64
		event, want   int64
	}{
		{"no limits, long ago", noLimit, noLimit, 1, 1},
		{"no limits, far ahead", noLimit, noLimit, now + 9000*hour, now + 9000*hour},
		{"ahead as far as is taken", noLimit, hour, now + hour - 60_000, now + hour - 60_000},
		{"ahead as far as is taken, unless clocks differ", noLimit, hour, now + hour - 59_999, now},
		{"too far ahead", noLimit, hour, now + 2*hour, now},
		{"long ago, and that is taken", noLimit, hour, 1, 1},
		{"too long ago", hour, noLimit, now - hour, now},
		{"as long ago as is taken", hour, noLimit, now - hour + 60_000, now - hour + 60_000},
		{"nothing but now is taken", 0, 0, now - 1, now},
	} {
		l := &topicLimit{beforeMS: c.before, afterMS: c.after}
		for range 2 { // what is known after the first is used by the second
			if got := l.timestamp(c.event, func() time.Time { return time.UnixMilli(now) }); got != c.want {
				t.Errorf("%s: got %d from now, want %d", c.name, got-now, c.want-now)
			}
		}
	}
}

// alter sets a topic's configuration.
func alter(t *testing.T, c Connection, topic, name, value string) {
	t.Helper()
	changed, err := admin(t, c).adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
	if err == nil {
		_, err = changed.On(topic, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// timestamps are those of topic's committed records, by value.
func timestamps(t *testing.T, c Connection, topic string) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	if err := Tail(testContext(t), c, topic, true, func(m *Message) error {
		all[string(m.Value)] = time.UnixMilli(m.TimestampMS)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRowsOfOtherTimes have event times that the topic does not take as
// timestamps; they are written all the same, dated now.
func TestRowsOfOtherTimes(t *testing.T) {
	c := emptied(t, kafkatest.Start(t))
	topics(t, c, 1, "in", "more", "out")
	alter(t, c, "out", "message.timestamp.before.max.ms", "86400000")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr, 2)
	began := time.Now()
	rows := map[string]time.Time{"now": began, "in 50 minutes": began.Add(50 * time.Minute), "tomorrow": began.Add(24 * time.Hour),
		"an hour ago": began.Add(-time.Hour), "a year ago": began.AddDate(-1, 0, 0)}
	for value, at := range rows {
		row := out(value)
		row.TimestampMS = at.UnixMilli()
		if err := tr.Produce(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Commit(t.Context(), at(1, 0)); err != nil {
		t.Fatal(err)
	}
	awaitAllMarkers(t, c)
	got := timestamps(t, c, "out")
	for value, at := range rows {
		want := at
		if value == "tomorrow" || value == "a year ago" {
			want = began
		}
		if late := got[value].Sub(want); late < -time.Millisecond || late > testTimeout {
			t.Errorf("%s: dated %s after %s", value, late, want)
		}
	}
}

// TestTimestampsRefusedOnTheWay: a topic that takes less than it said has its
// records dated now from then on, and the worker begins again, once.
func TestTimestampsRefusedOnTheWay(t *testing.T) {
	c := emptied(t, kafkatest.Start(t))
	topics(t, c, 1, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	alter(t, c, "out", "message.timestamp.after.max.ms", "1000")
	for attempt := range 2 {
		begin(t, tr, 2)
		row := out("in 10 minutes")
		row.TimestampMS = time.Now().Add(10 * time.Minute).UnixMilli()
		if err := tr.Produce(row); err != nil {
			t.Fatal(err)
		}
		err := tr.Commit(t.Context(), at(1, 0))
		if attempt == 0 {
			if !errors.Is(err, experiments.ErrRebalanced) {
				t.Fatalf("got %v, want to begin again", err)
			}
			if err := tr.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	want(t, "outputs", tailed(t, c, "out"), []string{"in 10 minutes"})
}
