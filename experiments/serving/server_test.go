package serving_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/serving"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
)

const experiment = `
experiment: online
version: 3
sources:
  imps: {topic: i, event_time: {field: ts}, fields: {id: string, ts: int, user: string, item: int, position: int, bid: float}}
  clicks: {topic: c, event_time: {field: ts}, fields: {id: string, ts: int, user: string, item: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1h}}
features:
  item_clicks: {source: clicks, entity: item, agg: count, window: 1h, tile: 1m}
  item_imps: {source: imps, entity: item, agg: count, window: 1h, tile: 1m}
  user_last: {source: clicks, entity: user, agg: "last_n(item, 3)", window: 1d, tile: 1m}
  ctr: {expr: "item_imps == 0 ? 0.0 : item_clicks / item_imps"}
  paid: {expr: "ctr * bid"}
  shaky: {expr: "item_imps % item_clicks"}
instance:
  select: [user, ctr]
output:
  topic: {name: o}
`

const startMS = int64(1_700_000_040_000) // a tile begins

// world is a server over a store that a filler fills.
type world struct {
	t      testing.TB
	store  features.Store
	plan   *experiments.Plan
	gens   []*tiling.Generation
	filler *tiling.Filler
	meter  *meter
	server *serving.Server
	http   *httptest.Server
	nowMS  int64
}

type meter struct {
	mu       sync.Mutex
	statuses map[int]int
	skew     map[string]int
	checked  int
}

func (m *meter) Answered(status int, _ time.Duration, _, _ int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statuses[status]++
}

func (m *meter) Skew(experiment, feature string, differs bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checked++
	if differs {
		m.skew[experiment+"."+feature]++
	}
}

func newWorld(t testing.TB, store features.Store) *world {
	t.Helper()
	e, found := spec.Parse("online.yaml", []byte(experiment), spec.LoadOptions{})
	if e == nil {
		t.Fatal(found.String())
	}
	w := &world{t: t, store: store, nowMS: startMS + 3_600_000, meter: &meter{statuses: map[int]int{}, skew: map[string]int{}}}
	var err error
	if w.plan, err = experiments.NewPlan([]*spec.Experiment{e}); err != nil {
		t.Fatal(err)
	}
	now := func() int64 { return w.nowMS }
	if w.gens, err = tiling.Generations(context.Background(), store, w.plan.Features()); err != nil {
		t.Fatal(err)
	}
	if w.filler, err = tiling.NewFiller(context.Background(), store, w.gens, 0, math.MinInt64, 0, now); err != nil {
		t.Fatal(err)
	}
	w.server, err = serving.New(w.plan, store, w.gens, serving.Options{SkewEvery: 1, Meter: w.meter, Now: func() time.Time { return time.UnixMilli(w.nowMS) }})
	if err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(w.server.Handler())
	t.Cleanup(w.http.Close)
	return w
}

func (w *world) add(topic, format string, args ...any) {
	w.t.Helper()
	rec := mortise.Record{Topic: topic, Value: fmt.Appendf(nil, format, args...)}
	if err := w.filler.Add(context.Background(), topic, &rec); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) imp(item int, atMS int64) {
	w.add("i", `{"id":"x","ts":%d,"user":"u","item":%d,"position":1,"bid":1}`, atMS, item)
}
func (w *world) click(user string, item int, atMS int64) {
	w.add("c", `{"id":"x","ts":%d,"user":%q,"item":%d}`, atMS, user, item)
}

func (w *world) finish() {
	w.t.Helper()
	if err := w.filler.Finish(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// ask sends a JSON request and returns the rows as JSON.
func (w *world) ask(body string) (status int, answer serving.Answer, text string) {
	w.t.Helper()
	resp, err := http.Post(w.http.URL+"/v1/features", "application/json", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, &answer); err != nil {
			w.t.Fatalf("%v: %s", err, b)
		}
	}
	return resp.StatusCode, answer, string(b)
}

func rows(a serving.Answer) string {
	b, _ := json.Marshal(a.Rows)
	return string(b)
}

func (w *world) fill() {
	for i := range 4 {
		w.imp(7, startMS+int64(i)*60_000)
	}
	w.click("u", 7, startMS+30_000)
	w.click("u", 8, startMS+90_000)
	w.click("v", 7, startMS+3_599_999) // in the last tile before now
	w.click("v", 7, startMS+3_600_000) // in the tile that lies open
	w.finish()
}

func TestReads(t *testing.T) {
	w := newWorld(t, memory.New())
	w.fill()
	status, a, text := w.ask(`{"features":["item_clicks","item_imps","ctr","user_last","paid","shaky"],"entities":[{"item":7,"user":"u","bid":2.5},{"item":8,"user":"nobody"},{"user":"u"}]}`)
	if want := `[[2,4,0.5,[8,7],1.25,0],[1,0,0,[],null,0],[0,0,0,[8,7],null,null]]`; status != 200 || rows(a) != want {
		t.Errorf("%d: got %s, want %s: %s", status, rows(a), want, text)
	}
	if a.Experiment != "online" || a.Version != 3 || a.AsOfMS != w.nowMS || len(a.Features) != 6 {
		t.Errorf("%+v", a)
	}
	f := a.Features[0]
	if f.Name != "item_clicks" || f.Type != "int" || *f.ReadToMS != w.nowMS || f.FreshToMS != nil || !*f.Final || f.CompleteFromMS != nil || a.Features[2].ReadToMS != nil {
		t.Errorf("%+v", f)
	}
	// As of a time that lies before the second click of u.
	if _, a, _ = w.ask(fmt.Sprintf(`{"experiment":"online","features":["user_last","item_clicks"],"entities":[{"user":"u","item":7}],"as_of":%d}`, startMS+90_000)); rows(a) != `[[[7],1]]` {
		t.Errorf("as of a minute later: %s", rows(a))
	}
	// All features, in the file's order.
	if _, a, _ = w.ask(`{"entities":[{"item":7,"user":"u","bid":1}]}`); len(a.Features) != 6 || a.Features[3].Name != "ctr" {
		t.Errorf("%+v", a)
	}
}

func TestCBOR(t *testing.T) {
	w := newWorld(t, memory.New())
	w.fill()
	body, err := cbor.Marshal(map[string]any{"features": []string{"item_clicks", "ctr", "user_last"}, "entities": []map[string]any{{"item": 7, "user": "u"}}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(w.http.URL+"/v1/features", "application/cbor", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a serving.Answer
	if err := cbor.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.Rows); resp.Header.Get("Content-Type") != "application/cbor" || got != "[[2 0.5 [8 7]]]" {
		t.Errorf("%s of %s", got, resp.Header.Get("Content-Type"))
	}
	req, _ := http.NewRequest(http.MethodPost, w.http.URL+"/v1/features", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/cbor")
	req.Header.Set("Accept", "application/json")
	other, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()
	if err := json.NewDecoder(other.Body).Decode(&a); err != nil {
		t.Errorf("JSON for a CBOR request: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, memory.New())
	w.fill()
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{`, 400, "the body is not a request"},
		{`{"entities":[]}`, 400, "entities is empty"},
		{`{"entities":[{"item":7}],"feature":["x"]}`, 400, "unknown field"},
		{`{"entities":[{"item":7}],"features":["item_click"]}`, 400, `no feature \"item_click\"; it has item_clicks`},
		{`{"entities":[{"item":7}],"experiment":"other"}`, 400, `there is no experiment \"other\"; there are online`},
		{`{"entities":[{"item":"7"}],"features":["item_clicks"]}`, 400, "entity 0: item is 7; it is declared as int"},
		{`{"entities":[{"item":7.5}],"features":["item_clicks"]}`, 400, "entity 0: item is 7.5; it is declared as int"},
		{`{"entities":[{"items":7}],"features":["item_clicks"]}`, 400, `\"items\" is no field of the main source`},
		{`{"entities":[{"item":7}],"timeout_ms":99999}`, 400, "timeout_ms is 99999"},
	} {
		status, _, text := w.ask(c.body)
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %d %s, want %d with %s", c.body, status, text, c.status, c.want)
		}
	}
	resp, err := http.Post(w.http.URL+"/v1/features", "text/csv", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("text/csv: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

// stuckStore answers when it is let.
type stuckStore struct {
	features.Store
	stuck chan struct{}
}

func (s *stuckStore) Read(ctx context.Context, keys []features.Key, fn func(int, []byte) error) error {
	select {
	case <-s.stuck:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Store.Read(ctx, keys, fn)
}

func TestTimeout(t *testing.T) {
	stuck := &stuckStore{memory.New(), make(chan struct{})}
	w := newWorld(t, stuck)
	w.fill()
	status, _, text := w.ask(`{"entities":[{"item":7}],"features":["item_clicks"],"timeout_ms":5}`)
	if status != http.StatusGatewayTimeout || !strings.Contains(text, "within timeout_ms") {
		t.Errorf("got %d %s", status, text)
	}
	close(stuck.stuck)
	if status, a, _ := w.ask(`{"entities":[{"item":7}],"features":["item_clicks"]}`); status != 200 || rows(a) != "[[2]]" {
		t.Errorf("afterwards: %d %s", status, rows(a))
	}
	if w.meter.statuses[504] != 1 || w.meter.statuses[200] != 1 {
		t.Errorf("the meter was told %v", w.meter.statuses)
	}
}

func TestDrain(t *testing.T) {
	w := newWorld(t, memory.New())
	w.fill()
	ready := func() int {
		resp, err := http.Get(w.http.URL + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	before := ready()
	w.server.Drain()
	status, _, _ := w.ask(`{"entities":[{"item":7}]}`)
	if after := ready(); before != 200 || after != 503 || status != 200 {
		t.Errorf("ready %d, then %d; a request meanwhile %d", before, after, status)
	}
}

// TestSkew answers before an event comes that counts, and sees that the difference
// is told once the tile is final.
func TestSkew(t *testing.T) {
	w := newWorld(t, memory.New())
	w.imp(7, startMS)
	if status, a, text := w.ask(`{"entities":[{"item":7}],"features":["item_imps","ctr"]}`); status != 200 || rows(a) != "[[0,0]]" || *a.Features[0].Final {
		t.Fatalf("%d %s", status, text)
	}
	if err := w.server.CheckSkew(context.Background()); err != nil || w.meter.checked != 0 {
		t.Fatalf("%v; %d values compared that are not final", err, w.meter.checked)
	}
	w.finish()
	if err := w.server.CheckSkew(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w.meter.checked != 2 || w.meter.skew["online.item_imps"] != 1 || w.meter.skew["online.ctr"] != 0 {
		t.Errorf("%d compared, skew %v", w.meter.checked, w.meter.skew)
	}
	if err := w.server.CheckSkew(context.Background()); err != nil || w.meter.checked != 2 {
		t.Errorf("%v; compared again", err)
	}
}

func TestListing(t *testing.T) {
	w := newWorld(t, memory.New())
	for _, path := range []string{"/v1/features", "/v1/openapi.json"} {
		resp, err := http.Get(w.http.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		err = json.NewDecoder(resp.Body).Decode(&doc)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
		if text := fmt.Sprint(doc); path == "/v1/features" && !strings.Contains(text, "expr:ctr * bid fields:[item bid]") {
			t.Errorf("%s: %s", path, text)
		}
	}
}
