package experiments_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// simEpochMS is wall time when a simulation begins: the oracle takes no event a
// day after it.
const simEpochMS = 1_900_000_000_000

// simKind is what a simulated world is made from: worlds are few, and each is
// used by many seeds.
type simKind struct {
	traffic  uint64 // seed
	live     bool   // event times are those of the simulation's clock
	slack    time.Duration
	policy   string
	delivery string
	featured bool // rows have features; only at_close
	looking  bool // rows have dimensions
	parking  bool // which come late, and are waited for
	hasty    bool // but not for long
	amending bool // and rows are corrected
}

// simWorld is input in the order of its arrival, and what must come of it.
type simWorld struct {
	kind    simKind
	plan    *experiments.Plan
	records []simRecord
	want    expected
	rows    map[string]simRow // the oracle's, by their text
	endMS   int64             // no event is later
}

type simRecord struct {
	topic     string
	key       []byte // nil: the record lies anywhere
	value     []byte
	timeMS    int64 // of a readable event time, else joiner.NoTimeMS
	arrivalMS int64
}

// simRow is where one instance comes from.
type simRow struct {
	id     string
	key    []byte // of its partition
	timeMS int64
}

// firstKey returns the first of the values that an instance_id joins.
func firstKey(id string) (key []byte) {
	for i := 0; i < len(id) && id[i] != '|'; i++ {
		if id[i] == '\\' {
			i++
		}
		key = append(key, id[i])
	}
	return key
}

var simWorlds struct {
	sync.Mutex
	made map[simKind]*simWorld
}

// newSimWorld generates a world, or returns it from before.
func newSimWorld(t testing.TB, kind simKind) *simWorld {
	simWorlds.Lock()
	defer simWorlds.Unlock()
	if w := simWorlds.made[kind]; w != nil {
		return w
	}
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate, opts.LateShare = kind.traffic, 120, 0.006, 0
	opts.JitterMS, opts.Items, opts.Users, opts.StartMS = kind.slack.Milliseconds()/2, 40, 30, simEpochMS-40*86_400_000
	if kind.live {
		opts.StartMS = simEpochMS
	}
	w := &simWorld{kind: kind, rows: map[string]simRow{}, endMS: joiner.NoTimeMS}
	w.generate(t, opts)
	text := strings.ReplaceAll(hostile, "out_of_orderness: 1h", "out_of_orderness: "+kind.slack.String())
	text = strings.Replace(text, "instance:", "instance:\n  emit: "+kind.policy, 1)
	text = strings.Replace(text, "output:", "output:\n  delivery: "+kind.delivery, 1)
	if kind.featured {
		text = strings.Replace(text, "propensity]\noutput", "propensity, simulated, doubled]\noutput", 1)
		text = strings.Replace(text, "instance:", simFeatureBlock+"instance:", 1)
	}
	if kind.looking {
		var arrived string
		latest := "dead_letter"
		switch {
		case kind.policy != "at_close":
			arrived, latest = `"null"`, `"null"`
		case kind.delivery != "exactly_once":
			arrived = "wait, wait: {for: 0s}"
		case kind.hasty:
			arrived = "wait, wait: {for: 20s, every: 3s}"
		default:
			arrived = "wait, wait: {for: 1000h, every: 3s}"
		}
		amended := ""
		if kind.amending {
			amended = "correct: {for: 1000h, every: 4s},"
		}
		text = strings.Replace(text, "]\noutput", ", "+simDimensionColumns+"]\noutput", 1)
		text = strings.Replace(text, "instance:", strings.NewReplacer("AMENDED", amended, "ARRIVED", arrived, "LATEST", latest).Replace(simDimensionBlock)+"instance:", 1)
	}
	e := parse(t, "hostile.yaml", text)
	w.plan = newPlan(t, e)
	w.expect(t, e, opts)
	if simWorlds.made == nil {
		simWorlds.made = map[simKind]*simWorld{}
	}
	simWorlds.made[kind] = w
	return w
}

var timeField = regexp.MustCompile(`"ts": ?(\d+)[,}]`)

// generate draws the input.
func (w *simWorld) generate(t testing.TB, opts traffic.Options) {
	g, err := traffic.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	topics := [traffic.NumStreams]string{"imps", "clicks", "orders", "queries"}
	var ev traffic.Event
	for g.Next(&ev) {
		r := simRecord{topic: topics[ev.Stream], value: []byte(string(ev.Line)), timeMS: joiner.NoTimeMS, arrivalMS: ev.ArrivalMS}
		var fields map[string]any
		if json.Unmarshal(r.value, &fields) == nil {
			if key, ok := fields["request_id"].(string); ok {
				r.key = []byte(key)
			}
		}
		if m := timeField.FindSubmatch(r.value); m != nil {
			if ms, err := strconv.ParseInt(string(m[1]), 10, 64); err == nil && ms > 31_536_000_000 && ms <= simEpochMS+86_400_000 {
				r.timeMS = ms
				w.endMS = max(w.endMS, ms)
			}
		}
		w.records = append(w.records, r)
	}
}

// expect asks the oracle.
func (w *simWorld) expect(t testing.TB, e *spec.Experiment, opts traffic.Options) {
	lines := &world{}
	for i := range w.records {
		for s, topic := range []string{"imps", "clicks", "orders", "queries"} {
			if topic == w.records[i].topic {
				lines.lines[s] = append(lines.lines[s], string(w.records[i].value))
			}
		}
	}
	w.want = oracle(t, e, lines)
	for _, text := range w.want.rows {
		var row struct {
			ID     string `json:"instance_id"`
			TimeMS int64  `json:"event_time"`
		}
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		w.rows[text] = simRow{row.ID, firstKey(row.ID), row.TimeMS}
	}
	if len(w.rows) != len(w.want.rows) {
		t.Fatalf("world %+v has a row twice", w.kind)
	}
	if len(w.want.rows) < 50 || math.Abs(float64(w.endMS-opts.StartMS)) > 86_400_000 {
		t.Fatalf("world %+v has %d rows and ends %d ms after it begins", w.kind, len(w.want.rows), w.endMS-opts.StartMS)
	}
}
