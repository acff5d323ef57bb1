package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

// waited is an experiment whose instances wait for their item, which a change stream
// brings.
const waited = `
experiment: PREFIX
sources:
  impressions:
    topic: PREFIX.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, item_id: string, position: int}
  clicks:
    topic: PREFIX.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 1m}
features:
  imps: {source: impressions, entity: item_id, agg: count, window: 10m, tile: 1m}
  value: {expr: "item.price == nil ? -1.0 : item.price * position + imps"}
dimensions:
  item:
    key: item_id
    store: {pebble: {path: TABLE}}
    as_of: event_time
    fields: {category: string, price: float?}
    timeout: 30s
    MISSING
    changes: {topic: PREFIX.items, format: debezium, key: id, idle_after: 500ms}
instance:
  select: [item_id, position, item.category, item.price, imps, value]
  sample: {negatives: 0.5}
output:
  topic: {name: PREFIX.instances}
`

const waitedImpressions = 3000

// waitedTraffic writes impressions of 30 items, and the changes that make the items:
// of two thirds in items-early, of the others in items-late.
func waitedTraffic(t *testing.T, dir string) {
	t.Helper()
	const firstMS = int64(1_700_000_000_000)
	files := map[string]*strings.Builder{}
	for _, name := range []string{"impressions", "clicks", "items-early", "items-late"} {
		files[name] = &strings.Builder{}
	}
	for i := range 30 {
		name := "items-early"
		if i%3 == 0 {
			name = "items-late"
		}
		fmt.Fprintf(files[name], `{"op":"c","after":{"id":"item-%d","category":"cat-%d","price":%d},"source":{"ts_ms":%d}}`+"\n", i, i%7, i, firstMS-1000+int64(i))
	}
	for i := range waitedImpressions {
		at := firstMS + int64(i)*300
		fmt.Fprintf(files["impressions"], `{"impression_id":"m%d","ts":%d,"item_id":"item-%d","position":%d}`+"\n", i, at, i*7%30, 1+i%9)
		if i%5 == 0 {
			fmt.Fprintf(files["clicks"], `{"click_id":"c%d","impression_id":"m%d","ts":%d}`+"\n", i, i, at+int64(i%60)*1000)
		}
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name+".jsonl"), text.String())
	}
}

// waiting is a pipeline whose rows wait, on some brokers.
type waiting struct {
	t        *testing.T
	prefix   string // of its topics, and its name
	corrects bool   // rows are written without their item, and corrected
	dir      string
	file     string
	topic    string // of its rows
	brokers  []string
	mortise  string
}

func newWaiting(t *testing.T, corrects bool, brokers ...string) *waiting {
	t.Helper()
	prefix := fmt.Sprintf("waited-%d", random(t).Uint32()) // tests share Apache Kafka
	w := &waiting{t: t, prefix: prefix, corrects: corrects, dir: t.TempDir(), topic: prefix + ".instances", mortise: released(t)}
	text := waited
	if w.brokers = brokers; len(brokers) == 0 {
		w.brokers = []string{"--embedded", filepath.Join(w.dir, "data")}
	} else { // who is killed and comes back keeps its tasks
		text += "kafka: {instance_id: one}\n"
	}
	waitedTraffic(t, w.dir)
	w.file = write(t, filepath.Join(w.dir, "waited.yaml"), strings.NewReplacer("MISSING", w.missing(), "PREFIX", prefix, "TABLE", filepath.Join(w.dir, "table")).Replace(text))
	w.publish("impressions=impressions", "clicks=clicks", prefix+".items=items-early")
	return w
}

func (w *waiting) inputs(of ...string) (args []string) {
	for _, in := range of {
		name, file, _ := strings.Cut(in, "=")
		args = append(args, "--input", name+"="+filepath.Join(w.dir, file+".jsonl"))
	}
	return args
}

func (w *waiting) publish(of ...string) {
	w.t.Helper()
	succeed(w.t, append(append([]string{"replay", w.file, "--partitions", "3"}, w.inputs(of...)...), w.brokers...)...)
}

// run starts a worker that goes on, and returns where its status is.
func (w *waiting) run() (p *process, url string) {
	w.t.Helper()
	args := append([]string{"run", w.file, "--state", filepath.Join(w.dir, "state"), "--http", "127.0.0.1:0", "--commit-every", "20ms", "--close-rows", "300"}, w.brokers...)
	if w.brokers[0] == "--embedded" {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	p = begin(w.t, exec.Command(w.mortise, args...))
	pattern := regexp.MustCompile(`metrics and status on (http://\S+)`)
	await(w.t, "the run to serve HTTP", func() bool { return pattern.MatchString(p.errOut.String()) }, p)
	return p, pattern.FindStringSubmatch(p.errOut.String())[1]
}

// status reads a worker's.
func (w *waiting) status(url string) (s experiments.Status) {
	w.t.Helper()
	_, body := get(w.t, url+"/status")
	var all []experiments.Status
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1 {
		w.t.Fatalf("%s: %v", body, err)
	}
	return all[0]
}

func (w *waiting) missing() string {
	if w.corrects {
		return "correct: {for: 1h, every: 100ms}"
	}
	return "missing: wait\n    wait: {for: 1h, every: 100ms}"
}

// parked is the rows of a worker that wait, or may be corrected.
func (w *waiting) parked(url string) experiments.ParkingStatus {
	s := w.status(url)
	p := s.Parking
	if w.corrects {
		p = s.Corrections
	}
	if p != nil {
		return *p
	}
	return experiments.ParkingStatus{}
}

// goThrough kills workers with rows that wait, has their items come, and compares
// what became of them with a backfill that has all items.
func (w *waiting) goThrough() {
	t, prefix := w.t, w.prefix
	t.Helper()
	atLeast := int64(200)
	for round := range 3 {
		p, url := w.run()
		awaitWithin(t, 3*patience, "rows to wait", func() bool { return w.parked(url).Rows >= atLeast }, p)
		if round > 0 && w.parked(url).InVain+w.parked(url).Refused > 0 {
			t.Errorf("rows have waited in vain: %+v", w.parked(url))
		}
		_ = p.cmd.Process.Kill()
		<-p.done
		if round == 1 {
			if err := os.RemoveAll(filepath.Join(w.dir, "state")); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.publish(prefix + ".items=items-late")
	p, url := w.run()
	awaitWithin(t, 3*patience, "the rows that wait to find their items", func() bool {
		p, s := w.parked(url), w.status(url)
		return p.Rows == 0 && p.Found > 0 && s.Experiments[0].Ledger.Impressions.Emitted > int64(waitedImpressions/4)
	}, p)
	p.stop()
	args := append([]string{w.file, "--state", filepath.Join(w.dir, "state")}, w.brokers...)
	r := readReport(t, tool(t, w.mortise, append([]string{"run", "--until-end", "--json"}, args...)...))
	if r.check(t); r.Impressions.In != waitedImpressions || r.Impressions.Pending != 0 {
		t.Errorf("%+v", r)
	}
	for _, row := range tailed(t, w.topic, w.brokers...) {
		if !w.corrects && !strings.Contains(row, `"degraded":[]`) {
			t.Errorf("a row without its item: %s", row)
		}
	}
	out := filepath.Join(w.dir, "out")
	both := filepath.Join(w.dir, "items-*.jsonl")
	succeed(t, append([]string{"backfill", w.file, "--out", out, "--scratch", filepath.Join(w.dir, "scratch"), "--input", prefix + ".items=" + both},
		w.inputs("impressions=impressions", "clicks=clicks")...)...)
	if r := execute(t, append([]string{"diff", "--final-only", "topic:" + w.topic, out}, w.brokers...)...); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
}

// TestRowsWait has rows wait for their items on the embedded broker, with the worker
// killed meanwhile and its state lost.
func TestRowsWait(t *testing.T) {
	t.Parallel()
	newWaiting(t, false).goThrough()
}

// TestRowsWaitOnKafka does so on Apache Kafka.
func TestRowsWaitOnKafka(t *testing.T) {
	t.Parallel()
	newWaiting(t, false, "--brokers", kafkatest.Start(t).Plain).goThrough()
}

// TestRowsAreCorrected has rows written without their items, and again when these come.
func TestRowsAreCorrected(t *testing.T) {
	t.Parallel()
	newWaiting(t, true).goThrough()
}

// TestRowsAreCorrectedOnKafka does so on Apache Kafka.
func TestRowsAreCorrectedOnKafka(t *testing.T) {
	t.Parallel()
	newWaiting(t, true, "--brokers", kafkatest.Start(t).Plain).goThrough()
}
