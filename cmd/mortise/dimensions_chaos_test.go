package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

const chaos = `
experiment: chaos
sources:
  impressions:
    topic: x.impressions
    event_time: {field: ts}
    out_of_orderness: 1s
    fields: {id: string, ts: int, item_id: string, phase: string}
  clicks:
    topic: x.clicks
    event_time: {field: ts}
    idle_after: 100ms
    fields: {id: string, ts: int}
join:
  main: impressions
  key: id
  labels:
    click: {source: clicks, within: 1m}
dimensions:
  item:
    key: item_id
    store: STORE1
    fields: {brand: string}
    cache: {ttl: 1ms, negative_ttl: 1ms}
    timeout: TIMEOUT
    breaker: {requests: 3, sleep: 200ms}
    CHANGES
instance:
  select: [item_id, phase, item.brand]
output:
  topic: {name: x.instances}
`

// chaosRun is a run whose dimension is in a server that has a hard time.
type chaosRun struct {
	t       *testing.T
	file    string
	data    string
	brokers string
	client  *kgo.Client
	url     string
	run     *process
	nextMS  int64
	sent    map[string]int // impressions by phase
	n       int
}

// startChaos starts a run over a store, with changes of its rows as the experiment
// file names them, if any.
func startChaos(t *testing.T, store, timeout, changes string) *chaosRun {
	t.Helper()
	dir := t.TempDir()
	c := &chaosRun{t: t, data: filepath.Join(dir, "data"), nextMS: 1_767_225_600_000, sent: map[string]int{}}
	c.file = servedBy(t, filepath.Join(dir, "chaos.yaml"), strings.NewReplacer("TIMEOUT", timeout, "CHANGES", changes).Replace(chaos), store)
	c.run, c.brokers, c.url = live(t, c.data, c.file, "--partitions", "1", "--commit-every", "20ms")
	var err error
	if c.client, err = kgo.NewClient(kgo.SeedBrokers(c.brokers)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	return c
}

// produce publishes records by an ordinary client.
func (c *chaosRun) produce(topic string, values []string) {
	c.t.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(v)})
	}
	if err := c.client.ProduceSync(c.t.Context(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// publish publishes an impression of each item, and waits until all are taken in,
// which must not take long, whatever becomes of the store.
func (c *chaosRun) publish(phase string, from, to int) {
	c.t.Helper()
	var imps []string
	for i := from; i < to; i++ {
		imps = append(imps, fmt.Sprintf(`{"id":"%s-%d","ts":%d,"item_id":"item-%d","phase":%q}`, phase, c.n, c.nextMS, i, phase))
		c.n++
		c.nextMS += 10
	}
	c.sent[phase] += to - from
	c.produce("x.impressions", imps)
	await(c.t, "all to be taken in while "+phase, func() bool { return c.metric("mortise_impressions_in_total", "") >= c.n }, c.run)
}

// settled waits until the impressions have all been looked up.
func (c *chaosRun) settled() {
	c.t.Helper()
	await(c.t, "all to be looked up", func() bool { return c.metric("mortise_dimension_rows_total", "") >= c.n }, c.run)
}

// metric sums a metric over the lines that have a label.
func (c *chaosRun) metric(name, label string) (sum int) {
	c.t.Helper()
	_, body := get(c.t, c.url+"/metrics")
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(body, -1) {
		if strings.Contains(m[1], label) {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				c.t.Fatal(err)
			}
			sum += int(n)
		}
	}
	return sum
}

// recovered asks for one row again and again, until the store serves it.
func (c *chaosRun) recovered(phase string) {
	c.t.Helper()
	await(c.t, "the store to serve rows after "+phase, func() bool {
		before := c.metric("mortise_dimension_rows_total", `served="store"`)
		c.publish("probing", 0, 1)
		c.settled()
		return c.metric("mortise_dimension_rows_total", `served="store"`) > before
	}, c.run)
}

// openBreaker publishes, while the store does not answer, until its breaker opens.
func (c *chaosRun) openBreaker(phase string) {
	c.t.Helper()
	await(c.t, "the breaker to open for a store that is "+phase, func() bool {
		c.publish(phase, 0, 20)
		c.settled()
		return c.metric("mortise_dimension_breaker_state", "") > 0
	}, c.run)
}

// end closes all windows and stops the run.
func (c *chaosRun) end() {
	c.t.Helper()
	c.nextMS += 3_600_000
	c.publish("end", 0, 1) // closes all windows before it
	await(c.t, "every window to close", func() bool { return c.metric("mortise_instances_total", "") == c.n-1 }, c.run)
	if out := succeed(c.t, "status", c.file, "--embedded", c.data, "--http", c.url); !regexp.MustCompile(`(?m)^  item +\S+ +.* closed +\d`).MatchString(out) {
		c.t.Errorf("status --http shows\n%s", out)
	}
	c.run.stop()
}

// served are the rows of each phase by how they were served, and right.
func (c *chaosRun) served() map[string]map[string]int {
	c.t.Helper()
	got := map[string]map[string]int{} // by phase and how
	for _, text := range tailed(c.t, "x.instances", "--embedded", c.data) {
		var row struct {
			Item     string   `json:"item_id"`
			Phase    string   `json:"phase"`
			Brand    *string  `json:"item_brand"`
			Degraded []string `json:"degraded"`
		}
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			c.t.Fatal(err)
		}
		how := strings.Join(row.Degraded, ",")
		if missing := how == "item:missing"; missing != (row.Brand == nil) || !missing && *row.Brand != strings.Replace(row.Item, "item", "brand", 1) {
			c.t.Errorf("%s", text)
		}
		if got[row.Phase] == nil {
			got[row.Phase] = map[string]int{}
		}
		got[row.Phase][how]++
	}
	for phase, n := range c.sent {
		if rows := got[phase][""] + got[phase]["item:stale"] + got[phase]["item:missing"]; rows != n && phase != "end" {
			c.t.Errorf("%s: %d rows of %d impressions", phase, rows, n)
		}
	}
	return got
}

// expect holds phases against how their rows must have been served.
func (c *chaosRun) expect(got, want map[string]map[string]int) {
	c.t.Helper()
	for phase, rows := range want {
		if fmt.Sprint(got[phase]) != fmt.Sprint(rows) {
			c.t.Errorf("%s: rows served %v, want %v", phase, got[phase], rows)
		}
	}
}
