package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/redistest"
)

// sharing edits an experiment so that its tiles are kept in Redis, in a store of its
// own, and its queries are keyed by the request, as features over them are.
func sharing(t *testing.T, text string, rng *rand.Rand) (edited, prefix string) {
	prefix = fmt.Sprintf("shuffled-%d", rng.Int64())
	store := fmt.Sprintf("feature_store: {redis: {addrs: %q, prefix: %s}}\ninstance:", redistest.Shared(t).Addr, prefix)
	return strings.NewReplacer("instance:", store, "    topic: f.queries\n", "    topic: f.queries\n    partition_by: request_id\n").Replace(text), prefix
}

// checkShuffles expects, of every list of entity fields that a topic is not keyed by,
// one shuffle that has come to the end.
func checkShuffles(t *testing.T, want []string, args ...string) {
	t.Helper()
	st := decode[struct {
		Shuffles []struct {
			Source     string
			Topic      string
			Partitions []struct{ Lag int64 }
		} `json:"feature_shuffles"`
	}](t, succeed(t, append([]string{"status", "--json"}, args...)...))
	var got []string
	for _, s := range st.Shuffles {
		got = append(got, s.Source[:strings.LastIndexByte(s.Source, '-')])
		for _, p := range s.Partitions {
			if p.Lag != 0 {
				t.Errorf("%s: %d records are not shuffled", s.Source, p.Lag)
			}
		}
		if len(s.Partitions) == 0 || !strings.HasSuffix(s.Topic, ".repartition."+s.Source) {
			t.Errorf("%+v", s)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("shuffled are %q, want %q", got, want)
	}
}

// ofFeatured are the shuffles of featured as sharing makes it.
var ofFeatured = []string{"clicks-by-item_id", "clicks-by-user_segment", "clicks-by-user_segment-item_id", "impressions-by-item_id", "impressions-by-user_segment"}

// TestFeaturesByOtherKeys shares the tiles of features by fields that their topics
// are keyed by, and by others: what is shuffled is what has to be, rows are those of
// a backfill, also of a feature that is added later, which has its source shuffled
// from the start.
func TestFeaturesByOtherKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared, prefix := sharing(t, featured, random(t))
	little := strings.NewReplacer("  items: {source: impressions, entity: user_segment, agg: distinct(item_id), window: 1h, tile: 1m}\n", "", "decayed, items, asked", "decayed, asked").Replace(shared)
	file, inputs := write(t, filepath.Join(dir, "featured.yaml"), little), featuredTraffic(t, dir, 1500)
	data := []string{"--embedded", filepath.Join(dir, "data")}
	if r := runToEnd(t, slices.Concat(inputs, data, []string{file, "--partitions", "3", "--commit-every", "50ms"})...); r.Instances != 1500 {
		t.Fatalf("%+v", r)
	}
	checkShuffles(t, ofFeatured, append(data, file)...)
	explained := succeed(t, "explain", file)
	for _, text := range []string{"f.clicks is shuffled by user_segment, item_id, through", "f.queries is keyed by request_id, so it is not shuffled"} {
		if !strings.Contains(explained, text) {
			t.Errorf("explain does not say %q:\n%s", text, explained)
		}
	}
	more := write(t, filepath.Join(dir, "more.yaml"), strings.Replace(shared, "f.instances", "f.more", 1))
	if r := runToEnd(t, append(data, more, "--group", "again", "--commit-every", "50ms")...); r.Instances != 1500 {
		t.Fatalf("%+v", r)
	}
	checkShuffles(t, append(slices.Clone(ofFeatured), "impressions-by-user_segment"), append(data, more)...)
	out := filepath.Join(dir, "out")
	succeed(t, append([]string{"backfill", more, "--out", out, "--scratch", filepath.Join(dir, "scratch")}, inputs...)...)
	if r := execute(t, append([]string{"diff", "topic:f.more", out}, data...)...); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
	idle := succeed(t, append([]string{"status"}, data...)...)
	if at := strings.Index(idle, ", of group "+prefix+".features."); at < 0 {
		t.Errorf("status does not list the internal topics:\n%s", idle)
	} else {
		group := strings.Fields(idle[at+len(", of group "):])[0]
		if gone := succeed(t, append([]string{"forget", group, "--yes"}, data...)...); strings.Count(gone, "topic ") != len(ofFeatured)+1 {
			t.Errorf("forgotten is\n%s", gone)
		}
	}
}

// TestFeaturesOfATopicKeyedOtherwise declares a topic to be keyed by what it is not.
func TestFeaturesOfATopicKeyedOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared, _ := sharing(t, featured, random(t))
	inputs, data := featuredTraffic(t, dir, 300), []string{"--embedded", filepath.Join(dir, "data")}
	published := write(t, filepath.Join(dir, "published.yaml"), strings.Replace(featured, "topic: f.queries\n", "topic: f.queries\n    partition_by: query_id\n", 1))
	succeed(t, slices.Concat([]string{"replay", published, "--partitions", "3", "--speed", "max"}, inputs, data)...)
	file := write(t, filepath.Join(dir, "featured.yaml"), shared)
	fails(t, exitFailed, []string{"f.queries[", "its request_id ", "belongs in partition", "correct what the source's partition_by says"}, toEnd(append(data, file)...)...)
}

// TestShuffledFeaturesOnKafka has two workers share features by other fields than
// their topics are keyed by, on Apache Kafka; both are killed while they shuffle, tile
// or join, and come back.
func TestShuffledFeaturesOnKafka(t *testing.T) {
	t.Parallel()
	store, _ := sharing(t, "instance:", random(t))
	k := featuresOnKafka(t, "fbk", strings.TrimSuffix(store, "\ninstance:"), 1000)
	first, second := k.endless(0), k.endless(1)
	k.kill(first)
	k.kill(second)
	workers := [2]*process{k.worker(0), k.worker(1)}
	for _, w := range workers {
		if code := w.wait(); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, w.errOut.String())
		}
	}
	k.equalsBackfill("fbk.instances", "after both were killed")
	checkShuffles(t, append(slices.Clone(ofFeatured), "queries-by-request_id"), append(k.brokers, k.file)...)
}
