package experiments_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
)

// placedAs is the experiment `placed` under another name, with keys added to its
// join and to its clicks.
func placedAs(t *testing.T, name, join, clicks string) *experiments.Pipeline {
	t.Helper()
	text := strings.NewReplacer("experiment: placed", "experiment: "+name, "key: id\n", "key: id\n"+join, "topic: clicks,", "topic: clicks, "+clicks).Replace(copartitioned)
	return newPlan(t, parse(t, name+".yaml", text)).Pipelines[0]
}

func TestShuffledPipeline(t *testing.T) {
	plain := placedAs(t, "e", "", "")
	if same, ways := plain.Shuffled("g"); same != plain || ways != nil {
		t.Error("a pipeline without shuffles is changed")
	}
	p := placedAs(t, "e", "", "repartition: true,")
	through, ways := p.Shuffled("mortise.e")
	if len(ways) != 1 || ways[0].Topic != "mortise.e.repartition.clicks" || ways[0].Group != "mortise.e.repartition.clicks" || ways[0].Origin != "clicks" || fmt.Sprint(ways[0].By) != "[imp]" {
		t.Fatalf("ways %+v", ways)
	}
	if got := fmt.Sprint(through.Inputs(), p.Inputs()); got != "[imps mortise.e.repartition.clicks] [imps clicks]" {
		t.Errorf("inputs %s", got)
	}
	if n, err := p.Tasks(map[string]int32{"imps": 3, "clicks": 8}); n != 3 || err != nil {
		t.Errorf("tasks by the topic that is not shuffled: %d, %v", n, err)
	}
	all := placedAs(t, "e", "  repartition: true\n", "")
	if n, err := all.Tasks(map[string]int32{"imps": 5, "clicks": 8}); n != 5 || err != nil {
		t.Errorf("tasks by the main topic: %d, %v", n, err)
	}
	if n, err := placedAs(t, "e", "  repartition: true\n  partitions: 12\n", "").Tasks(map[string]int32{"imps": 5, "clicks": 8}); n != 12 || err != nil {
		t.Errorf("tasks as told: %d, %v", n, err)
	}
	if !all.Repartitions() || plain.Repartitions() {
		t.Error("which pipelines are shuffled is not told")
	}
}

// TestWhatStateDependsOn: a shuffled pipeline's state is another's; how topics
// are partitioned may be changed.
func TestWhatStateDependsOn(t *testing.T) {
	is := placedAs(t, "e", "", "").Fingerprint()
	if placedAs(t, "e", "  partitioner: any\n", "").Fingerprint() != is {
		t.Error("leaving the partitioner unchecked makes the state useless")
	}
	shuffled := placedAs(t, "e", "  repartition: true\n", "").Fingerprint()
	if placedAs(t, "e", "  repartition: true\n  partitions: 4\n", "").Fingerprint() != shuffled {
		t.Error("saying how many partitions there are makes the state useless")
	}
	if is == shuffled || is == placedAs(t, "e", "", "repartition: true,").Fingerprint() {
		t.Error("a shuffled pipeline goes on from the state of one that is not")
	}
}

// TestInternalTopicNames: topics take fewer characters than consumer groups, and
// two groups never share one.
func TestInternalTopicNames(t *testing.T) {
	p := placedAs(t, "e", "", "repartition: true,")
	seen := map[string]string{}
	for _, group := range []string{"mortise.e", "mortise.a+b", "mortise.a_b", "mortise.a+b_c", "mortise.a_b+c", "mortise.a_b_c", "g/1", "g 1", "g_1", "grüße", "grüsse", strings.Repeat("x", 200), strings.Repeat("x", 201)} {
		_, ways := p.Shuffled(group)
		name := ways[0].Topic
		if len(name) > 249 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			t.Errorf("group %q: no topic can be called %q", group, name)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("groups %q and %q share the topic %s", group, other, name)
		}
		seen[name] = group
		if of, ok := experiments.IsShuffleGroup(ways[0].Group); !ok || of != group {
			t.Errorf("the group %s is told to shuffle for %q", ways[0].Group, of)
		}
	}
	if _, ok := experiments.IsShuffleGroup("mortise.e"); ok {
		t.Error("a pipeline's group is taken for a shuffle's")
	}
}

// TestShuffledOrNotIsApart: experiments that differ in it share nothing, and
// explain says why.
func TestShuffledOrNotIsApart(t *testing.T) {
	for _, c := range []struct{ join, clicks, why string }{
		{"  repartition: true\n", "", "shuffles [clicks imps], not []"},
		{"", "repartition: true,", "shuffles [clicks], not []"},
		{"  partitioner: any\n", "", "another partitioner, or number of partitions"},
	} {
		a, b := placedAs(t, "a", "", "").Experiments[0], placedAs(t, "b", c.join, c.clicks).Experiments[0]
		d := newPlan(t, a, b).Describe()
		if len(d.Pipelines) != 2 || len(d.Pipelines[1].Apart) != 1 || d.Pipelines[1].Apart[0].Why != c.why {
			t.Errorf("%q, %q: %+v", c.join, c.clicks, d.Pipelines)
		}
	}
}
