package traffic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

func newGenerator(t testing.TB, opts Options) *Generator {
	t.Helper()
	g, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func digest(t *testing.T, opts Options) string {
	g, sum := newGenerator(t, opts), sha256.New()
	var e Event
	for g.Next(&e) {
		fmt.Fprintf(sum, "%d %d %d %d %s\n", e.Stream, e.Faults, e.TimeMS, e.ArrivalMS, e.Line)
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// The digests pin the bytes: any change to what a seed gives must be meant, for
// every recorded figure that names a seed changes with it.
func TestSameSeedSameBytes(t *testing.T) {
	hostile, realistic := Hostile(), Realistic()
	hostile.Impressions, hostile.Seed = 20_000, 7
	realistic.Impressions, realistic.Seed, realistic.PayloadBytes, realistic.Rate = 20_000, 1, 1024, 5000
	for _, c := range []struct {
		name   string
		opts   Options
		digest string
	}{
		{"clean", Options{Impressions: 20_000}, "b7e4ced7326f7c4b6dd7f02e"},
		{"realistic", realistic, "cdf2f77ab2fb294daf4b2fe3"},
		{"hostile", hostile, "cd98271c1a4a809b98bd354c"},
	} {
		if got := digest(t, c.opts); got != c.digest {
			t.Errorf("%s: digest %s, want %s", c.name, got, c.digest)
		}
	}
	other := hostile
	other.Seed++
	if digest(t, other) == digest(t, hostile) {
		t.Error("another seed gives the same traffic")
	}
}

// record has every field that any stream writes.
type record struct {
	ImpressionID *string  `json:"impression_id"`
	RequestID    *string  `json:"request_id"`
	ClickID      *string  `json:"click_id"`
	OrderID      *string  `json:"order_id"`
	QueryID      *string  `json:"query_id"`
	TS           *int64   `json:"ts"`
	Segment      *string  `json:"user_segment"`
	Item         *string  `json:"item_id"`
	Position     *int     `json:"position"`
	Propensity   *float64 `json:"propensity"`
	Dwell        *float64 `json:"dwell"`
	Amount       *float64 `json:"amount"`
	Query        *string  `json:"query"`
	User         *string  `json:"user_id"`
}

// sound is a decoded record that is not junk, with what the generator says of it.
type sound struct {
	record
	Event
}

// soundRecords decodes all that is not junk with encoding/json, strictly.
func soundRecords(t *testing.T, g *Generator) (all []sound) {
	t.Helper()
	var e Event
	for g.Next(&e) {
		if e.Faults&Junk != 0 {
			continue
		}
		r := sound{Event: e}
		decoder := json.NewDecoder(bytes.NewReader(e.Line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r.record); err != nil {
			t.Fatalf("%v: %s: %v", e.Stream, e.Line, err)
		}
		if *r.TS != e.TimeMS {
			t.Fatalf("ts %d, event time %d: %s", *r.TS, e.TimeMS, e.Line)
		}
		r.Line = bytes.Clone(e.Line)
		all = append(all, r)
	}
	return all
}

// Whatever is not junk has the documented fields, and what one stream says of
// an impression agrees with the others.
func TestSoundRecords(t *testing.T) {
	opts := Hostile()
	opts.Impressions, opts.Seed = 30_000, 3
	all := soundRecords(t, newGenerator(t, opts))
	impressions, requests, shown := map[string]sound{}, map[string]int64{}, map[string]bool{}
	for _, r := range all {
		if r.Stream != Impressions {
			continue
		}
		if *r.Propensity <= 0 || *r.Propensity > 1 || *r.Position < 1 || *r.Position > 10 || *r.User == "" {
			t.Fatalf("out of range: %s", r.Line)
		}
		pair := *r.RequestID + "\x00" + *r.Item
		first, again := impressions[*r.ImpressionID]
		switch {
		case again != (r.Faults&Duplicate != 0):
			t.Fatalf("duplicate %v, seen before %v: %s", r.Faults&Duplicate != 0, again, r.Line)
		case again && (*first.RequestID != *r.RequestID || *first.Item != *r.Item || first.TimeMS > r.TimeMS):
			t.Fatalf("the duplicate %s differs from %s", r.Line, first.Line)
		case !again && shown[pair]:
			t.Fatalf("an item twice in one request: %s", r.Line)
		case !again:
			impressions[*r.ImpressionID], requests[*r.RequestID], shown[pair] = r, r.TimeMS, true
		}
	}
	for _, r := range all {
		switch r.Stream {
		case Clicks:
			checkLabel(t, r, impressions, r.ClickID != nil && r.Dwell != nil && r.Amount == nil)
		case Orders:
			checkLabel(t, r, impressions, r.OrderID != nil && r.Dwell == nil && r.Amount != nil && *r.Amount > 0)
		case Queries:
			if lead := requests[*r.RequestID] - *r.TS; lead <= 0 || lead > maxLeadMS || *r.Query == "" || r.QueryID == nil {
				t.Fatalf("%d ms before its impressions: %s", lead, r.Line)
			}
		}
	}
}

func checkLabel(t *testing.T, r sound, impressions map[string]sound, fields bool) {
	t.Helper()
	to, exists := impressions[*r.ImpressionID]
	if !fields || exists == (r.Faults&Orphan != 0) {
		t.Fatalf("right fields %v, impression exists %v: %s", fields, exists, r.Line)
	}
	if exists && (*to.RequestID != *r.RequestID || *to.Item != *r.Item || *to.Segment != *r.Segment || r.TimeMS <= to.TimeMS) {
		t.Fatalf("label %s disagrees with impression %s", r.Line, to.Line)
	}
}

func TestJunkIsBroken(t *testing.T) {
	opts := Hostile()
	opts.Impressions, opts.JunkShare = 20_000, 0.5
	g := newGenerator(t, opts)
	kinds := map[bool]int{}
	var e Event
	for g.Next(&e) {
		if bytes.ContainsAny(e.Line, "\n\r") || len(e.Line) == 0 {
			t.Fatalf("not one line: %q", e.Line)
		}
		if e.Faults&Junk == 0 {
			continue
		}
		var r record
		err := json.Unmarshal(e.Line, &r)
		key := r.ImpressionID
		if e.Stream == Queries {
			key = r.RequestID
		}
		sound := err == nil && key != nil && r.Segment != nil && r.TS != nil && *r.TS > 1e12 && *r.TS < 4e12
		if sound {
			t.Fatalf("%v: junk that is sound: %s", e.Stream, e.Line)
		}
		kinds[json.Valid(e.Line)]++
	}
	if kinds[true] < 1000 || kinds[false] < 1000 {
		t.Errorf("valid JSON %d, broken JSON %d: want many of both", kinds[true], kinds[false])
	}
}

func TestArrival(t *testing.T) {
	for _, late := range []float64{0, 0.05} {
		opts := Hostile()
		opts.Impressions, opts.LateShare, opts.Seed = 50_000, late, 11
		g := newGenerator(t, opts)
		var arrival, newest, disordered int64
		var e Event
		for g.Next(&e) {
			if e.ArrivalMS < arrival {
				t.Fatalf("arrival goes back from %d to %d", arrival, e.ArrivalMS)
			}
			arrival = e.ArrivalMS
			by := e.ArrivalMS - e.TimeMS
			if isLate := e.Faults&Late != 0; by < 0 || isLate != (by > opts.JitterMS) {
				t.Fatalf("late %v, but it comes %d ms after its time: %s", isLate, by, e.Line)
			}
			if e.TimeMS < newest {
				disordered++
			}
			newest = max(newest, e.TimeMS)
		}
		if disordered < 10_000 {
			t.Errorf("only %d records out of order", disordered)
		}
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %.5g, want %.5g within %g%%", what, got, want, 100*tolerance)
	}
}

func TestRates(t *testing.T) {
	opts := Options{
		Seed: 5, Impressions: 200_000, Rate: 500, OrderShare: 0.25, QueryShare: 0.4, JitterMS: 1000, LateShare: 0.01,
		DuplicateImpressions: 0.02, DuplicateClicks: 0.1, OrphanShare: 0.05, JunkShare: 0.03,
	}
	g := newGenerator(t, opts)
	var requests, slow, slower float64
	impressions := map[string]sound{}
	var byPosition [11]float64
	for _, r := range soundRecords(t, g) {
		if r.Faults != 0 {
			continue
		}
		switch r.Stream {
		case Impressions:
			impressions[*r.ImpressionID] = r
			if *r.Position == 1 {
				requests++
			}
		case Clicks:
			to := impressions[*r.ImpressionID]
			if to.record.TS == nil {
				continue // its impression is late
			}
			byPosition[*to.Position]++
			if delay := r.TimeMS - to.TimeMS; delay > 3_600_000 {
				slower++
			} else if delay > 45_000 {
				slow++
			}
		}
	}
	s := g.Summary()
	imps := float64(s.Impressions.Lines - s.Impressions.Duplicates - s.Impressions.Junk)
	clicks := float64(s.Clicks.Lines - s.Clicks.Duplicates - s.Clicks.Orphans - s.Clicks.Junk)
	orders := float64(s.Orders.Lines - s.Orders.Orphans - s.Orders.Junk)
	if imps != 200_000 {
		t.Errorf("%.0f distinct impressions", imps)
	}
	near(t, "CTR", clicks/imps, 0.05, 0.03)
	// The last request may be answered up to maxLeadMS after it was planned.
	near(t, "event time", float64(s.Impressions.LastMS-s.Impressions.FirstMS), 400_000+maxLeadMS, 0.03)
	near(t, "impressions per request", imps/requests, 5.5, 0.02)
	near(t, "share of clicks after the median", (slow+slower)/clicks, 0.5, 0.05)
	near(t, "share of clicks after an hour", slower/clicks, 0.0075, 0.3)
	near(t, "orders per click", orders/clicks, 0.25, 0.05)
	near(t, "queries per request", float64(s.Queries.Lines-s.Queries.Junk)/requests, 0.4, 0.02)
	near(t, "duplicate impressions", float64(s.Impressions.Duplicates)/imps, 0.02, 0.05)
	near(t, "duplicate clicks", float64(s.Clicks.Duplicates)/clicks, 0.1, 0.1)
	near(t, "orphan clicks", float64(s.Clicks.Orphans)/clicks, 0.05, 0.15)
	near(t, "junk impressions", float64(s.Impressions.Junk)/imps, 0.03, 0.05)
	near(t, "late impressions", float64(s.Impressions.Late)/imps, 0.01, 0.1)
	// Requests with k positions are equally likely, so position p stands in (11-p)/10 of them.
	near(t, "top to fifth click rate", byPosition[1]/(byPosition[5]*10/6), math.Pow(5, 0.7), 0.1)
}

func TestCTRHoldsWhereTheBestSaturate(t *testing.T) {
	for _, ctr := range []float64{0.01, 0.5, 0.9, 1} {
		g := newGenerator(t, Options{Impressions: 100_000, CTR: ctr})
		var e Event
		for g.Next(&e) {
		}
		near(t, fmt.Sprintf("CTR %g", ctr), float64(g.Summary().Clicks.Lines)/100_000, ctr, 0.07)
	}
	g := newGenerator(t, Options{Impressions: 10_000, CTR: -1})
	var e Event
	for g.Next(&e) {
		if e.Stream != Impressions {
			t.Fatalf("%v without clicks", e.Stream)
		}
	}
}

func TestFewItems(t *testing.T) {
	g := newGenerator(t, Options{Impressions: 10_000, Items: 3, Users: 1, Segments: 1})
	var e Event
	for g.Next(&e) {
		if !json.Valid(e.Line) {
			t.Fatalf("broken: %s", e.Line)
		}
	}
	if got := g.Summary().Impressions.Lines; got != 10_000 {
		t.Errorf("%d impressions", got)
	}
}

func TestPayloadBytes(t *testing.T) {
	for size := 190; size < 2000; size += 1 + size/300 {
		g := newGenerator(t, Options{Impressions: 30, PayloadBytes: size, Seed: uint64(size), CTR: -1, Items: 100, Users: 100})
		var e Event
		for g.Next(&e) {
			if !json.Valid(e.Line) {
				t.Fatalf("size %d: broken: %s", size, e.Line)
			}
			if len(e.Line) != size && (len(e.Line) < size || size > 230) {
				t.Fatalf("size %d: %d bytes: %s", size, len(e.Line), e.Line)
			}
		}
	}
}

func TestMemoryIsWhatIsInFlight(t *testing.T) {
	g := newGenerator(t, Options{Impressions: 300_000, Rate: 2000, JitterMS: 1000, QueryShare: 1})
	var most int
	var e Event
	for g.Next(&e) {
		most = max(most, len(g.queue.near))
	}
	// A second of jitter and ten of lead at 2,000 impressions or 364 requests a second.
	if most > 10_000 {
		t.Errorf("%d entries wait in the near heap", most)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	opts := Realistic()
	opts.Impressions, opts.PayloadBytes, opts.OddIDShare = 1_000_000, 1024, 0.1
	g := newGenerator(t, opts)
	var e Event
	for range 100_000 {
		g.Next(&e)
	}
	// The heaps still grow now and then, and only they may.
	if allocs := testing.AllocsPerRun(100_000, func() { g.Next(&e) }); allocs > 0.01 {
		t.Errorf("%g allocations a record", allocs)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	_, err := New(Options{Rate: -1, CTR: 2, JunkShare: math.NaN(), Items: -5, Positions: 31})
	for _, want := range []string{"rate", "ctr", "junk share", "items", "positions"} {
		if err == nil || !strings.Contains(err.Error(), "traffic: "+want+" is") {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	for _, preset := range []Options{{}, Realistic(), Hostile(), {DurationMS: 3_600_000, Rate: 10}} {
		if _, err := New(preset); err != nil {
			t.Error(err)
		}
	}
}
