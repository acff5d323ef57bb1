package profile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

const startMS = 1_767_225_600_000 // 2026-01-01T00:00:00Z

func columns(t testing.TB) *instances.Columns {
	t.Helper()
	var selected mortise.Schema
	for _, f := range [][2]string{{"seg", "string?"}, {"pos", "int"}, {"ctr", "float"}, {"top", "bool"}, {"at", "timestamp?"}, {"last", "[string]"}, {"user", "string"}, {"prices", "[float]?"}} {
		typ, err := mortise.ParseType(f[1])
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, mortise.Field{Name: f[0], Type: typ})
	}
	c, err := instances.NewColumns([]string{"click", "query"}, selected)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// instance makes row i of a set in which every share is known.
func instance(rnd *rand.Rand, i int) *instances.Instance {
	in := &instances.Instance{ID: fmt.Append(nil, i), TimeMS: startMS + int64(i)*1000, Labels: make([]instances.LabelValue, 2), Weight: 1, Final: true,
		Late: i%50 == 0}
	if i%10 == 0 {
		in.Labels[0] = instances.LabelValue{Value: 1, FirstMS: in.TimeMS + int64(1000+rnd.Intn(60_000)), Count: 1 + int64(i%3)}
	}
	if i%4 == 0 {
		in.Labels[1] = instances.LabelValue{Value: 1, FirstMS: in.TimeMS - int64(rnd.Intn(5000)), Count: 1}
	}
	if i%20 == 0 {
		in.Degraded = []string{"item:stale"}
	}
	if i%2 == 0 {
		in.Weight = 4
	}
	seg := mortise.StringValue(fmt.Sprintf("seg-%d", rnd.Intn(20)))
	if i%25 == 0 {
		seg = mortise.NullValue()
	}
	user := fmt.Sprintf("u-%d", rnd.Intn(1<<40))
	if rnd.Intn(20) == 0 {
		user = "u-heavy"
	}
	in.Selected = mortise.Row{seg, mortise.IntValue(int64(rnd.Intn(10))), mortise.FloatValue(rnd.NormFloat64()), mortise.BoolValue(i%3 == 0), mortise.TimestampValue(in.TimeMS),
		mortise.ListValue([]mortise.Value{mortise.StringValue("a"), seg}[:rnd.Intn(3)]), mortise.StringValue(user), mortise.ListValue(nil)}
	return in
}

func rows(seed int64, n int) (all []*instances.Instance) {
	rnd := rand.New(rand.NewSource(seed))
	for i := range n {
		all = append(all, instance(rnd, i))
	}
	return all
}

func spell(t testing.TB, p *Profile) string {
	t.Helper()
	text, err := json.Marshal(p.Summary())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOrderDoesNotMatter divides rows among profiles and merges them, in any
// order: the summary is the same text.
func TestOrderDoesNotMatter(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	all, rnd := rows(seed, 12_000), rand.New(rand.NewSource(seed))
	c := columns(t)
	whole := New(c, []bool{true, false})
	for _, in := range all {
		whole.Add(in)
	}
	want := spell(t, whole)
	if whole.Summary().Columns[6].DistinctExact {
		t.Fatal("there are too few users to try the sketches")
	}
	for _, parts := range []int{1, 2, 7, 100} {
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		split := make([]*Profile, parts)
		for i := range split {
			split[i] = New(c, []bool{true, false})
		}
		for _, in := range all {
			split[rnd.Intn(parts)].Add(in)
		}
		merged := New(c, []bool{true, false})
		for _, i := range rnd.Perm(parts) {
			before := spell(t, split[i])
			merged.Merge(split[i])
			if spell(t, split[i]) != before {
				t.Fatalf("seed %d: merging changed what was merged", seed)
			}
		}
		if got := spell(t, merged); got != want {
			t.Fatalf("seed %d: in %d parts\n got %s\nwant %s", seed, parts, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	const n = 10_000
	p := New(columns(t), []bool{true, false})
	for _, in := range rows(1, n) {
		p.Add(in)
		early := *in
		early.Final = false
		p.Add(&early)
	}
	s := p.Summary()
	if s.Rows != n || s.Provisional != n || s.Positives != n/10 || s.Late != n/50 || s.Degraded != n/20 || s.FirstMS != startMS || s.LastMS != startMS+(n-1)*1000 {
		t.Errorf("%+v", s)
	}
	if len(s.Weights) != 2 || s.Weights[1] != (WeightCount{4, n / 2}) || len(s.Dimensions) != 1 || s.Dimensions[0] != (ValueCount{"item:stale", n / 20}) {
		t.Errorf("weights %v, dimensions %v", s.Weights, s.Dimensions)
	}
	if len(s.Time) != 167 || s.StepMS != 60_000 || s.Time[1].Rows != 60 || s.Time[1].Positives != 6 || s.Time[1].Labels[1] != 15 || s.Hours[2].Rows != 2800 || s.Hours[2].Positives != 280 {
		t.Errorf("time %+v…, hours %v", s.Time[:2], s.Hours)
	}
	click, query := &s.Labels[0], &s.Labels[1]
	if click.Rows != n/10 || click.Before != 0 || !click.Outcome || click.DelayMS.Min < 1000 || click.DelayMS.Max > 61_000 || query.Outcome || query.DelayMS.Max > 0 || query.Before == 0 {
		t.Errorf("labels %+v", s.Labels)
	}
	if m := click.DelayMS.P50; m < 28_000 || m > 34_000 {
		t.Errorf("the median of delays uniform from 1 to 61 s is %v", m)
	}
	for i, at := range click.Seen {
		want := float64(at.WaitMS-1000) / 60_000
		if i > 0 && (at.Share < click.Seen[i-1].Share || at.WaitMS <= click.Seen[i-1].WaitMS) || math.Abs(at.Share-want) > 0.06 {
			t.Errorf("seen after %d ms: %v, want about %v", at.WaitMS, at.Share, want)
		}
	}
	if last := click.Seen[len(click.Seen)-1]; last.Share != 1 || last.WaitMS != int64(click.DelayMS.Max) {
		t.Errorf("the last of the labels is seen at %+v, the greatest delay is %v", last, click.DelayMS.Max)
	}
	seg, pos, last, user := &s.Columns[0], &s.Columns[1], &s.Columns[5], &s.Columns[6]
	if seg.Nulls != n/25 || seg.Distinct != 20 || !seg.DistinctExact || len(seg.Top) != 10 || seg.Values != n-n/25 || seg.Numbers.Count != 0 {
		t.Errorf("seg %+v", seg)
	}
	if pos.Distinct != 10 || pos.Numbers.Min != 0 || pos.Numbers.Max != 9 || pos.Numbers.Bins[0].Count+pos.Numbers.Bins[9].Count == 0 || len(pos.Numbers.Bins) != 10 {
		t.Errorf("pos %+v", pos)
	}
	if last.Numbers.Max != 2 || last.Empty == 0 || last.Distinct != 21 {
		t.Errorf("last %+v", last)
	}
	if user.DistinctExact || math.Abs(float64(user.Distinct)-.95*n) > .1*n || len(user.Top) != 1 || user.Top[0].Value != "u-heavy" || math.Abs(float64(user.Top[0].Count)-.05*n) > .01*n {
		t.Errorf("user: %d different, top %v", user.Distinct, user.Top)
	}
}

// TestFrequentOfMany has a value of one in fifty that comes early only, one that
// comes late only, and none else that is frequent.
func TestFrequentOfMany(t *testing.T) {
	var v values
	const n = 200_000
	for i := range n {
		switch {
		case i < n/50:
			v.add([]byte("early"))
		case i >= n-n/50:
			v.add([]byte("late"))
		default:
			v.add(fmt.Append(nil, "once ", i))
		}
	}
	top := v.top(10)
	slices.SortFunc(top, func(a, b ValueCount) int { return cmp.Compare(a.Value, b.Value) })
	if len(top) != 2 || top[0].Value != "early" || top[1].Value != "late" {
		t.Fatalf("top %v", top)
	}
	for _, c := range top {
		if c.Count < n/50 || c.Count > n/50+n/1000 {
			t.Errorf("%s: %d, want %d or little more", c.Value, c.Count, n/50)
		}
	}
	if d, exact := v.distinct(); exact || math.Abs(float64(d)-.96*n) > .1*n {
		t.Errorf("%d different, want about %d", d, n*96/100)
	}
}

func TestTimelineCoarsens(t *testing.T) {
	p := New(columns(t), nil)
	in := rows(1, 1)[0]
	for i := range 5000 {
		in.TimeMS = startMS + int64(i)*hourMS
		p.Add(in)
	}
	s := p.Summary()
	total := int64(0)
	for i, m := range s.Time {
		total += m.Rows
		if m.StartMS%s.StepMS != 0 || i > 0 && m.StartMS <= s.Time[i-1].StartMS {
			t.Fatalf("step %d begins at %d", i, m.StartMS)
		}
	}
	if s.StepMS != 6*hourMS || total != 5000 {
		t.Errorf("steps of %d ms hold %d rows", s.StepMS, total)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.add(math.NaN()) || h.add(math.Inf(-1)) || h.count != 0 {
		t.Error("what is not finite was counted")
	}
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	var all []float64
	for range 20_000 {
		v := math.Exp(rnd.NormFloat64()*3) * float64(rnd.Intn(3)-1)
		all = append(all, v)
		h.add(v)
	}
	for _, v := range []float64{0, math.SmallestNonzeroFloat64, -math.MaxFloat64, math.MaxFloat64} {
		all = append(all, v)
		h.add(v)
	}
	slices.Sort(all)
	for _, q := range []float64{.001, .01, .2, .5, .7, .99} {
		want, got := all[int(math.Ceil(q*float64(len(all))))-1], h.quantile(q)
		if math.Abs(got-want) > .04*math.Abs(want) {
			t.Errorf("seed %d: quantile %v is %v, want %v", seed, q, got, want)
		}
	}
	if h.min != -math.MaxFloat64 || h.max != math.MaxFloat64 {
		t.Errorf("bounds %v and %v", h.min, h.max)
	}
	before, sum := math.Inf(-1), int64(0)
	h.each(func(from, to float64, n int64) {
		if from < before || to < from {
			t.Errorf("bin from %v to %v after %v", from, to, before)
		}
		before, sum = to, sum+n
	})
	if sum != h.count {
		t.Errorf("bins hold %d of %d", sum, h.count)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	p, all := New(columns(t), nil), rows(1, 300)
	for _, in := range all {
		p.Add(in)
	}
	if n := testing.AllocsPerRun(10, func() {
		for _, in := range all {
			p.Add(in)
		}
	}); n > 0 {
		t.Errorf("%v allocations for %d rows that bring nothing new", n, len(all))
	}
}

func BenchmarkAdd(b *testing.B) {
	all := rows(1, 20_000)
	c := columns(b)
	p := New(c, nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.Add(all[i])
		if i++; i == len(all) {
			i = 0
		}
	}
	b.ReportMetric(float64(len(c.Selected())), "columns")
}

func BenchmarkMerge(b *testing.B) {
	p, q := New(columns(b), nil), New(columns(b), nil)
	for _, in := range rows(1, 20_000) {
		q.Add(in)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Merge(q)
	}
}
