package experiments_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// expected is what the oracle says must come out.
type expected struct {
	rows      []string // JSON, sorted
	positives int
	letters   int // dead letters of every stream
	attached  int // labels that lie in the window of some row
	dropped   mortise.Dropped
}

// oracle computes the rows of experiment `hostile` the naive way, with the
// standard library's JSON and every label against every impression of its request.
func oracle(t testing.TB, e *spec.Experiment, w *world) expected {
	t.Helper()
	var want expected
	imps := want.read(w.lines[traffic.Impressions], true, map[string]string{"impression_id": "string", "request_id": "string", "ts": "int",
		"user_segment": "string", "item_id": "string", "position": "int", "propensity": "float"})
	labels := [][]event{
		want.read(w.lines[traffic.Clicks], false, map[string]string{"click_id": "string", "impression_id": "string", "request_id": "string", "ts": "int", "dwell": "int?"}),
		want.read(w.lines[traffic.Orders], false, map[string]string{"order_id": "string", "impression_id": "string", "request_id": "string", "ts": "int", "amount": "float"}),
		want.read(w.lines[traffic.Queries], false, map[string]string{"query_id": "string", "request_id": "string", "ts": "int"}),
	}
	slices.SortStableFunc(imps, func(a, b event) int { return cmp.Compare(a.ts, b.ts) })
	kept := map[string]int64{}
	attached := [3]map[int]bool{{}, {}, {}}
	for _, i := range imps {
		id := escapeKey(i.text("request_id")) + "|" + escapeKey(i.text("impression_id"))
		if at, ok := kept[id]; ok && i.ts < at+e.Join.Delay.Milliseconds() {
			want.dropped[mortise.ReasonDuplicate]++
			continue
		}
		kept[id] = i.ts
		row := &ordered{}
		row.add("instance_id", id)
		row.add("event_time", i.ts)
		positive := false
		for n, name := range []string{"click", "order", "query"} {
			def := e.Join.Labels[n]
			first, count := any(nil), 0
			for at, l := range labels[n] {
				sameItem := name == "query" || l.text("impression_id") == i.text("impression_id")
				if l.text("request_id") != i.text("request_id") || !sameItem || l.ts < i.ts-def.Before.Milliseconds() || l.ts >= i.ts+def.Within.Milliseconds() {
					continue
				}
				if first == nil || l.ts < first.(int64) {
					first = l.ts
				}
				count++
				attached[n][at] = true
			}
			sum := float64(min(count, 1))
			if name == "order" {
				sum = amounts(labels[n], i, def.Within.Milliseconds())
			}
			positive = positive || count > 0
			row.add("label_"+name, sum)
			row.add("label_"+name+"_time", first)
			row.add("label_"+name+"_count", count)
		}
		for _, f := range []string{"user_segment", "item_id", "position", "propensity"} {
			row.add(f, i.fields[f])
		}
		if len(e.Features) > 0 {
			key, _ := features.EntityKey(nil, mortise.StringValue(i.text("request_id"))) // long ones are shortened
			f := simFeature(string(key), i.ts)
			row.add("simulated", f)
			row.add("doubled", 2*f+1)
		}
		degraded := []string{}
		if len(e.Dimensions) > 0 {
			var ok bool
			if degraded, ok = addDimensions(row, i, e.Instance.Emit == "at_close"); !ok {
				want.dropped[mortise.ReasonDimension]++
				want.letters++
				continue
			}
		}
		row.add("weight", 1)
		row.add("revision", 0)
		row.add("final", true)
		row.add("late", false)
		row.add("degraded", degraded)
		want.rows = append(want.rows, row.String())
		if positive {
			want.positives++
		}
	}
	for n := range attached {
		want.attached += len(attached[n])
	}
	slices.Sort(want.rows)
	return want
}

// amounts sums in order of time, as floating-point sums depend on it.
func amounts(orders []event, i event, withinMS int64) (sum float64) {
	orders = slices.Clone(orders)
	slices.SortStableFunc(orders, func(a, b event) int { return cmp.Compare(a.ts, b.ts) })
	for _, o := range orders {
		if o.text("request_id") == i.text("request_id") && o.text("impression_id") == i.text("impression_id") && o.ts >= i.ts && o.ts < i.ts+withinMS {
			v, _ := o.fields["amount"].(json.Number).Float64()
			sum += v
		}
	}
	return sum
}

// event is one sound record as the standard library reads it.
type event struct {
	fields map[string]any
	ts     int64
}

func (e event) text(name string) string { return e.fields[name].(string) }

// read decodes a stream and counts what breaks its schema or its filter.
func (want *expected) read(lines []string, main bool, types map[string]string) (events []event) {
	drop := func(r mortise.Reason) {
		if main {
			want.dropped[r]++
		}
		if r != mortise.ReasonFiltered {
			want.letters++
		}
	}
	for _, line := range lines {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var f map[string]any
		if err := d.Decode(&f); err != nil || f == nil || d.More() {
			drop(mortise.ReasonBadJSON)
			continue
		}
		ts, ok := integer(f["ts"])
		if !ok || ts < 31_536_000_000 || ts > 1_900_000_000_000+86_400_000 {
			drop(mortise.ReasonBadTime)
			continue
		}
		if reason := broken(f, types); reason != mortise.ReasonNone {
			drop(reason)
			continue
		}
		if n, _ := integer(f["position"]); main && n < 1 {
			drop(mortise.ReasonFiltered)
			continue
		}
		events = append(events, event{f, ts})
	}
	return events
}

func broken(f map[string]any, types map[string]string) mortise.Reason {
	for name, typ := range types {
		typ, nullable := strings.CutSuffix(typ, "?")
		v, there := f[name]
		ok := false
		switch typ {
		case "string":
			_, ok = v.(string)
		case "int":
			_, ok = integer(v)
		case "float":
			var n json.Number
			if n, ok = v.(json.Number); ok {
				x, err := n.Float64()
				ok = err == nil && !math.IsInf(x, 0)
			}
		}
		if ok || nullable {
			continue
		}
		if (name == "impression_id" || name == "request_id") && (!there || v == nil) {
			return mortise.ReasonMissingKey
		}
		return mortise.ReasonBadField
	}
	return mortise.ReasonNone
}

func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}

func escapeKey(s string) string {
	return strings.NewReplacer(`\`, `\\`, `|`, `\|`).Replace(s)
}

// ordered writes a JSON object with its keys in the order they were added.
type ordered struct{ b bytes.Buffer }

func (o *ordered) add(name string, v any) {
	o.b.WriteByte(map[bool]byte{true: '{', false: ','}[o.b.Len() == 0])
	enc := json.NewEncoder(&o.b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(name)
	o.b.Truncate(o.b.Len() - 1)
	o.b.WriteByte(':')
	if n, ok := v.(json.Number); ok { // as a float64 or int64 would be written
		if i, err := n.Int64(); err == nil {
			v = i
		} else {
			v, _ = n.Float64()
		}
	}
	_ = enc.Encode(v)
	o.b.Truncate(o.b.Len() - 1)
}

func (o *ordered) String() string { return o.b.String() + "}" }
