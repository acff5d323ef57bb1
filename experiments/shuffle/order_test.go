package shuffle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// worldOf is a broker with these topics, for an experiment of its own.
func worldOf(t *testing.T, text string, tasks int, topics map[string]int) *world {
	t.Helper()
	plan, err := experiments.NewPlan([]*spec.Experiment{parse(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{broker: newBroker(), plan: plan, tasks: tasks}
	for topic, partitions := range topics {
		w.create(topic, partitions)
	}
	return w
}

const ties = `
experiment: feed
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int, from: string}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int, value: float}}
join:
  main: imps
  key: id
  repartition: true
  labels: {click: {source: clicks, within: 1m, value: value}}
instance:
  select: [from]
output:
  topic: {name: out}
`

// TestTiesAreDecidedByOrigin: of records of one key and one event time the one
// that lay first in its own topic, by partition and offset, is kept, and sums are
// taken in that order, however the shuffle mixed them.
func TestTiesAreDecidedByOrigin(t *testing.T) {
	const keys = 60
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 14))
		w := worldOf(t, ties, 3, map[string]int{"imps": 4, "clicks": 4})
		type copyOf struct{ partition, offset int }
		first := map[string]copyOf{}
		sums := map[string][4][]float64{}
		for i := range keys * 4 { // every key four times, anywhere
			key, p := fmt.Sprint("k", i%keys), rng.IntN(4)
			at := copyOf{p, len(w.logs["imps"][p])}
			w.append("imps", p, mortise.Record{Value: fmt.Appendf(nil, `{"id":"%s","ts":1700000000000,"from":"%d/%d"}`, key, at.partition, at.offset)})
			if least, ok := first[key]; !ok || at.partition < least.partition || at.partition == least.partition && at.offset < least.offset {
				first[key] = at
			}
			value, q := rng.Float64()*1e9/float64(1+i), rng.IntN(4)
			w.append("clicks", q, mortise.Record{Value: fmt.Appendf(nil, `{"id":"%s","ts":1700000000001,"value":%v}`, key, value)})
			s := sums[key]
			s[q] = append(s[q], value)
			sums[key] = s
		}
		for key, at := range first {
			var sum float64
			s := sums[key]
			for _, v := range slices.Concat(s[:]...) {
				sum += v
			}
			w.rows = append(w.rows, fmt.Sprintf(`%s %d/%d %v`, key, at.partition, at.offset, sum))
		}
		c := &crew{t: t, w: w, rng: rng, kills: rng.IntN(3)}
		c.run(1 + rng.IntN(2))
		var got []string
		for _, row := range w.values("out") {
			v := decode[struct {
				ID    string `json:"instance_id"`
				From  string
				Click float64 `json:"label_click"`
			}](t, row)
			got = append(got, fmt.Sprintf(`%s %s %v`, v.ID, v.From, v.Click))
		}
		slices.Sort(got)
		slices.Sort(w.rows)
		if !slices.Equal(got, w.rows) {
			t.Fatalf("seed %d: %s", seed, firstDifference(got, w.rows))
		}
	}
}

// TestOneTopicAsTwoSources: sources of one topic that are shuffled alike share an
// internal topic, and each reads all of it.
func TestOneTopicAsTwoSources(t *testing.T) {
	text := strings.NewReplacer("topic: imps", "topic: events, where: kind == 1", "topic: clicks", "topic: events, where: kind == 2",
		"ts: int, from: string", "ts: int, kind: int, from: string", "ts: int, value: float", "ts: int, kind: int, value: float").Replace(ties)
	rng := rand.New(rand.NewPCG(1, 15))
	w := worldOf(t, text, 3, map[string]int{"events": 5})
	if _, ways := w.plan.Pipelines[0].Shuffled("group"); len(ways) != 1 {
		t.Fatalf("%d shuffles of one topic", len(ways))
	}
	for i := range 200 {
		w.append("events", rng.IntN(5), mortise.Record{Value: fmt.Appendf(nil, `{"id":"k%d","ts":%d,"kind":1,"from":"","value":0}`, i, 1_700_000_000_000+10*i)})
		w.append("events", rng.IntN(5), mortise.Record{Value: fmt.Appendf(nil, `{"id":"k%d","ts":%d,"kind":2,"from":"","value":2.5}`, i, 1_700_000_000_005+10*i)})
	}
	c := &crew{t: t, w: w, rng: rng, kills: 3}
	c.run(2)
	rows := w.values("out")
	if len(rows) != 200 || strings.Count(strings.Join(rows, ""), `"label_click":2.5,`) != 200 {
		t.Errorf("%d rows: %.300s", len(rows), rows)
	}
	for _, w := range c.workers {
		l := w.Status().Experiments[0].Ledger
		if err := l.Check(); err != nil || l.Impressions.Dropped[mortise.ReasonFiltered] != l.Impressions.Emitted && len(c.workers) == 1 {
			t.Errorf("%v, %+v", err, l)
		}
	}
}

// TestForeignRecords: what else lies in an internal topic becomes a dead letter,
// under its own name.
func TestForeignRecords(t *testing.T) {
	w := worldOf(t, ties, 2, map[string]int{"imps": 2, "clicks": 2})
	_, ways := w.plan.Pipelines[0].Shuffled("group")
	w.create(ways[0].Topic, 2)
	w.append(ways[0].Topic, 1, mortise.Record{Value: []byte(`{"id":"x","ts":1700000000000,"from":""}`)})
	w.append(ways[0].Topic, 1, mortise.Record{Value: []byte(`none`), Headers: []mortise.Header{{Key: experiments.ClocksHeader}}})
	w.append("imps", 0, mortise.Record{Value: []byte(`{"id":"k","ts":1700000000000,"from":"here"}`)})
	c := &crew{t: t, w: w, rng: rand.New(rand.NewPCG(1, 16))}
	c.run(1)
	letters := w.values("dead-letters.feed")
	if len(letters) != 2 || len(w.values("out")) != 1 {
		t.Fatalf("%d dead letters, %d rows", len(letters), len(w.values("out")))
	}
	for i, want := range []string{`"offset":0,"reason":"bad_field","error":"bad_field: field mortise-origin: a record without`, `"offset":1,"reason":"bad_field","error":"bad_field: field mortise-clocks: reading a marker`} {
		if !strings.Contains(letters[i], `"topic":"group.repartition.imps","partition":1,`+want) {
			t.Errorf("dead letter %s", letters[i])
		}
	}
}

// TestOneTopicByTwoFields: one topic read as it is, keyed by one field, and
// shuffled by another.
func TestOneTopicByTwoFields(t *testing.T) {
	text := `
experiment: feed
sources:
  users: {topic: users, event_time: {field: ts}, fields: {id: string, ts: int}}
  follows: {topic: follows, event_time: {field: ts}, fields: {who: string, whom: string, ts: int}}
  followed: {topic: follows, event_time: {field: ts}, fields: {who: string, whom: string, ts: int}, repartition: true}
join:
  main: users
  key: id
  labels:
    follow: {source: follows, within: 1m, on: {id: who}}
    followed: {source: followed, within: 1m, on: {id: whom}}
output:
  topic: {name: out}
`
	rng := rand.New(rand.NewPCG(1, 17))
	w := worldOf(t, text, 4, map[string]int{"users": 4, "follows": 4})
	for i := range 200 {
		who, whom := fmt.Sprint("u", i), fmt.Sprint("u", (i+7)%200)
		p := experiments.PartitionOf([]byte(who), 4)
		w.append("users", p, mortise.Record{Key: []byte(who), Value: fmt.Appendf(nil, `{"id":"%s","ts":1700000000000}`, who)})
		w.append("follows", p, mortise.Record{Key: []byte(who), Value: fmt.Appendf(nil, `{"who":"%s","whom":"%s","ts":1700000000001}`, who, whom)})
	}
	c := &crew{t: t, w: w, rng: rng, kills: 3}
	c.run(2)
	if rows := strings.Join(w.values("out"), ""); strings.Count(rows, `"label_follow_count":1,`) != 200 || strings.Count(rows, `"label_followed_count":1,`) != 200 {
		t.Errorf("%.600s", rows)
	}
}
