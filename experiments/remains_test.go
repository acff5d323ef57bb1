package experiments_test

import (
	"testing"

	"github.com/mortise-dev/mortise/experiments"
)

func TestWhatBelongsToAGroup(t *testing.T) {
	for _, c := range []struct {
		name, of     string
		group, topic bool
	}{
		{"mortise.a", "mortise.a", false, false},
		{"mortise.a.repartition.clicks", "mortise.a", true, true},
		{"mortise.a.repartition.clicks", "mortise", false, false},
		{"mortise.a.parquet", "mortise.a", true, false},
		{"mortise.a.parquet.b", "mortise.a", true, false},
		{"mortise.a.rows", "mortise.a", false, true},
		{"mortise.a.rows.b", "mortise.a", false, true},
		{"mortise.ab.rows", "mortise.a", false, false},
		{"mortise.a.rowsome", "mortise.a", false, false},
		{"mortise.a..b.repartition.clicks", "mortise.a+b", false, true},
		{"mortise.a+b.repartition.clicks", "mortise.a+b", true, false},
		{"mortise.a.other", "mortise.a", false, false},
	} {
		if got := experiments.GroupBelongs(c.name, c.of); got != c.group {
			t.Errorf("group %s belongs to %s: %t", c.name, c.of, got)
		}
		if got := experiments.TopicBelongs(c.name, c.of); got != c.topic {
			t.Errorf("topic %s belongs to %s: %t", c.name, c.of, got)
		}
	}
}

func TestWhoseInternalTopic(t *testing.T) {
	groups := []string{"mortise.a", "mortise.a+b", "other"}
	for topic, want := range map[string]string{"mortise.a.repartition.clicks": "mortise.a", "mortise.a..b.repartition.clicks": "mortise.a+b", "mortise.a.rows": "mortise.a",
		"gone.repartition.clicks": "gone", "x..y.repartition.clicks": "x+y", "gone.rows": "", "clicks": ""} {
		if got := experiments.InternalTopicOf(topic, groups); got != want {
			t.Errorf("%s is taken for %q's, want %q", topic, got, want)
		}
	}
}
