package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/profile"
)

var keep = flag.String("keep", "", "write the page of TestPage to this file")

const startMS = 1_767_225_600_000 // 2026-01-01T00:00:00Z

// sample is a profile as a site's traffic gives it: clicks that take a minute or
// an hour, a query before, columns of every type.
func sample(t testing.TB, n int) *profile.Summary {
	t.Helper()
	var selected mortise.Schema
	for _, f := range [][2]string{{"user_segment", "string?"}, {"item_id", "string"}, {"position", "int"}, {"propensity", "float"}, {"is_top", "bool"}, {"price", "float?"}, {"seen_at", "timestamp?"}, {"last_items", "[string]"}} {
		typ, err := mortise.ParseType(f[1])
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, mortise.Field{Name: f[0], Type: typ})
	}
	c, err := instances.NewColumns([]string{"click", "order", "query"}, selected)
	if err != nil {
		t.Fatal(err)
	}
	p, rnd := profile.New(c, []bool{true, true, false}), rand.New(rand.NewSource(1))
	text := mortise.StringValue
	for i := range n {
		at := startMS + int64(i)*3*86_400_000/int64(n)
		hour := float64(at%86_400_000) / 3_600_000
		in := &instances.Instance{TimeMS: at, Labels: make([]instances.LabelValue, 3), Weight: 4, Final: true, Late: i%5000 == 0}
		if rnd.Float64() < .05+.03*math.Sin((hour-9)/24*2*math.Pi) {
			delay := int64(45_000 * math.Exp(1.8*rnd.NormFloat64()))
			if delay < 3_600_000 {
				in.Labels[0] = instances.LabelValue{Value: 1, FirstMS: at + delay, Count: 1 + int64(rnd.Intn(20)/19)}
				in.Weight = 1
			}
			if rnd.Intn(10) == 0 {
				in.Labels[1] = instances.LabelValue{Value: 49.9, FirstMS: at + 600_000 + int64(rnd.Intn(2_900_000)), Count: 1}
			}
		}
		if rnd.Intn(3) == 0 {
			in.Labels[2] = instances.LabelValue{Value: 1, FirstMS: at - int64(1000+rnd.Intn(500_000)), Count: 1}
		}
		if i%300 == 0 {
			in.Degraded = []string{"item:stale"}
		}
		seg := text(fmt.Sprintf("segment-%d", int(20*rnd.Float64()*rnd.Float64())))
		if rnd.Intn(12) == 0 {
			seg = mortise.NullValue()
		}
		pos := int64(1 + 10*rnd.Float64()*rnd.Float64())
		in.Selected = mortise.Row{seg, text(fmt.Sprintf("item-%d", int(math.Exp(9*rnd.Float64()*rnd.Float64())))), mortise.IntValue(pos), mortise.FloatValue(.2 / float64(pos)), mortise.BoolValue(pos == 1),
			mortise.FloatValue(math.Exp(3 + 1.5*rnd.NormFloat64())), mortise.TimestampValue(at - 1000), mortise.ListValue([]mortise.Value{text("<b>&'\""), text("men-2")}[:rnd.Intn(3)])}
		p.Add(in)
	}
	return p.Summary()
}

func page1(t testing.TB, n int) *Report {
	t.Helper()
	s := sample(t, n)
	l := &mortise.Ledger{Instances: s.Rows, Positives: s.Positives}
	l.Impressions = mortise.ImpressionLedger{In: s.Rows + 700, Emitted: s.Rows}
	l.Impressions.Dropped[mortise.ReasonDuplicate], l.Impressions.Dropped[mortise.ReasonBadJSON] = 400, 300
	l.Labels = mortise.LabelLedger{In: 4000, Attached: 3600, Unmatched: 250, Late: 150}
	return &Report{Title: "feed-ctr", Subtitle: "backfill of 2026-01-01 to 2026-01-04", Experiments: []Experiment{{Name: "feed-ctr", Version: 3, Config: "9f2c51d07be0a4c3",
		DelayMS: time.Hour.Milliseconds(), Ledger: l, Profile: s, Facts: []Fact{{"dataset", "s3://lake/feed-ctr"}, {"files", "72 Parquet files, 41 MB"}},
		Notes: []string{"</script><script>alert(1)</script>"}}}}
}

func render(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	r := page1(t, 60_000)
	text := render(t, r)
	if *keep != "" {
		if err := os.WriteFile(*keep, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if render(t, r) != text {
		t.Error("the same numbers give another page")
	}
	if m := regexp.MustCompile(`(?i)\b(src|href)=|@import|url\(|https?:|NaN|Inf\b|%!|<script>`).FindString(text); m != "" {
		t.Errorf("the page has %q", m)
	}
	for _, want := range []string{"60,000</b>instances", "dropped: duplicate", "segment-0", "&lt;b&gt;&amp;", "prefers-color-scheme: dark", "delay 1 h", "s3://lake/feed-ctr", "item:stale", "weight 4"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, data, _ := strings.Cut(text, `<script type="application/json" id="numbers">`)
	data, _, _ = strings.Cut(data, "</script>")
	var back Report
	if err := json.Unmarshal([]byte(data), &back); err != nil {
		t.Fatalf("the page's numbers: %v", err)
	}
	if p := back.Experiments[0].Profile; p.Rows != 60_000 || p.Positives != r.Experiments[0].Profile.Positives || back.Experiments[0].Notes[0] != r.Experiments[0].Notes[0] {
		t.Errorf("the page's numbers: %+v", p)
	}
}

// TestPlaces checks that everything is drawn within its drawing.
func TestPlaces(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50, 5000} {
		text := render(t, page1(t, n))
		for _, m := range regexp.MustCompile(`<rect class="\w+" x="(-?[\d.]+)" y="(-?[\d.]+)" width="([\d.]+)" height="([\d.]+)"`).FindAllStringSubmatch(text, -1) {
			var v [4]float64
			for i := range v {
				if _, err := fmt.Sscan(m[i+1], &v[i]); err != nil {
					t.Fatal(err)
				}
			}
			if v[0] < -1 || v[1] < -1 || v[0]+v[2] > wideWidth+1 || v[1]+v[3] > chartHeight+1 {
				t.Errorf("%d rows: %s lies outside", n, m[0])
			}
		}
		for _, m := range regexp.MustCompile(`[ML](-?[\d.]+|NaN|\S*Inf) (-?[\d.]+|NaN|\S*Inf)`).FindAllStringSubmatch(text, -1) {
			var x, y float64
			if _, err := fmt.Sscan(m[1]+" "+m[2], &x, &y); err != nil || x < 0 || x > wideWidth || y < -1 || y > chartHeight || x != x || y != y {
				t.Errorf("%d rows: a line goes to %s", n, m[0])
			}
		}
		if m := regexp.MustCompile(`NaN|Inf\b|%!`).FindString(text); m != "" {
			t.Errorf("%d rows: the page has %q", n, m)
		}
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"0": whole(0), "999": whole(999), "1,000": whole(1000), "-1,234,567": whole(-1234567), "-100": whole(-100), "12,345": whole(12345),
		"–": percent(0, 0), "0 %": percent(0, 5), "100 %": percent(5, 5), "12.5 %": percent(1, 8), "< 0.01 %": percent(1, 1e6), "> 99.99 %": percent(1e6-1, 1e6), "0.50 %": percent(1, 200),
		"0 s": duration(0), "5 ms": duration(5), "1.5 s": duration(1500), "59 s": duration(59_400), "1 min": duration(60_000), "1 min 30 s": duration(90_000),
		"45 min": duration(2_700_500), "1 h": duration(3_600_000), "2 d 3 h": duration(2*86_400_000 + 3*3_600_000), "−1 min": duration(-60_000),
		"3": number(3), "0.25": number(.25), "1e-07": number(1e-7), "1235": number(1234.56),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNiceStep(t *testing.T) {
	for v, want := range map[float64]float64{.9: 1, 1: 1, 1.1: 2, 2.2: 2.5, 3: 5, 6: 10, .03: .05, 0: 1, 250: 250} {
		if got := niceStep(v); math.Abs(got-want) > 1e-12 {
			t.Errorf("a step for %v is %v, want %v", v, got, want)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	r := page1(b, 5000)
	b.ReportAllocs()
	for b.Loop() {
		render(b, r)
	}
}
