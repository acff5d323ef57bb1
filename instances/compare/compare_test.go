package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// memorySpill keeps scratch files in memory and counts them.
type memorySpill struct{ made, open int }

func (s *memorySpill) Create() (Scratch, error) {
	s.made++
	s.open++
	return &memoryScratch{spill: s}, nil
}

type memoryScratch struct {
	bytes.Buffer
	spill *memorySpill
}

func (s *memoryScratch) Rewind() (io.Reader, error) { return &s.Buffer, nil }
func (s *memoryScratch) Close() error               { s.spill.open--; return nil }

// compareLines compares two sets of JSON rows. A line may begin with a version
// and a tab.
func compareLines(t testing.TB, o Options, a, b []string) *Result {
	t.Helper()
	return compareWithin(t, o, 0, a, b)
}

func compareWithin(t testing.TB, o Options, budget int64, a, b []string) *Result {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for i, lines := range [][]string{a, b} {
		if budget > 0 {
			c.sides[i].sorter.budget = budget
		}
		r := NewJSONReader()
		for _, line := range lines {
			version, rest, ok := strings.Cut(line, "\t")
			if !ok {
				version, rest = "", line
			}
			row, err := r.Read([]byte(rest), version)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.sides[i].Add(row); err != nil {
				t.Fatal(err)
			}
		}
	}
	res, err := c.Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

// row makes a JSON row: given columns over usual ones. A value of "-" leaves the column out.
func row(id string, timeMS int64, columns ...string) string {
	values := map[string]string{"label_click": "0", "label_click_time": "null", "label_click_count": "0", "item": `"i1"`, "price": "1.5",
		"weight": "1", "revision": "0", "final": "true", "late": "false", "degraded": "[]"}
	order := []string{"label_click", "label_click_time", "label_click_count", "item", "price", "weight", "revision", "final", "late", "degraded"}
	for _, c := range columns {
		name, value, _ := strings.Cut(c, "=")
		if _, known := values[name]; !known {
			order = append(order, name)
		}
		values[name] = value
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"instance_id":%q,"event_time":%d`, id, timeMS)
	for _, name := range order {
		if values[name] != "-" {
			fmt.Fprintf(&b, `,%q:%s`, name, values[name])
		}
	}
	return b.String() + "}"
}

// TestClasses has one difference a case, and what it must be called.
func TestClasses(t *testing.T) {
	clicked := []string{"label_click=1", "label_click_time=1500", "label_click_count=1"}
	same := []string{row("x", 0), row("y", 9000)}
	for _, c := range []struct {
		name    string
		a, b    []string
		kind    string
		class   Class
		columns string
	}{
		{"late row on one side", []string{row("a", 1000)}, []string{row("a", 1000, append(clicked, "late=true")...)}, kindChanged, ClassLate, "label_click label_click_count label_click_time late"},
		{"late row missing", nil, []string{row("a", 1000, "late=true")}, kindAdded, ClassLate, ""},
		{"provisional", []string{row("a", 1000, "final=false")}, []string{row("a", 1000)}, kindChanged, ClassProvisional, "final"},
		{"later revision", []string{row("a", 1000)}, []string{row("a", 1000), row("a", 1000, append(clicked, "revision=1")...)}, kindAdded, ClassProvisional, ""},
		{"degraded", []string{row("a", 1000, `item_brand="b"`)}, []string{row("a", 1000, "item_brand=null", `degraded=["item:missing"]`)}, kindChanged, ClassDegraded, "degraded item_brand"},
		{"weights", []string{row("a", 1000)}, []string{row("a", 1000, "weight=4")}, kindChanged, ClassSampling, "weight"},
		{"negatives left out", []string{row("a", 1000), row("b", 1000)}, []string{row("b", 1000, "weight=4")}, kindRemoved, ClassSampling, ""},
		{"beyond the other's range", []string{row("a", 10_000)}, nil, kindRemoved, ClassRange, ""},
		{"label missing", []string{row("a", 1000)}, []string{row("a", 1000, clicked...)}, kindChanged, ClassLabel, "label_click label_click_count label_click_time"},
		{"version", []string{"v1\t" + row("a", 1000)}, []string{"v2\t" + row("a", 1000, "price=2")}, kindChanged, ClassVersion, "price"},
		{"version that the other side does not have", []string{"v1\t" + row("a", 1000)}, []string{"v2\t" + row("b", 1000)}, kindAdded, ClassVersion, ""},
		{"duplicate", []string{row("a", 1000)}, []string{row("a", 1000), row("a", 1000)}, kindAdded, ClassDuplicate, ""},
		{"unexplained", []string{row("a", 1000)}, []string{row("a", 1000, "price=1.25")}, kindChanged, ClassUnexplained, "price"},
		{"event time", []string{row("a", 1000)}, []string{row("a", 1001)}, kindChanged, ClassUnexplained, "event_time"},
		{"missing", []string{row("a", 1000)}, nil, kindRemoved, ClassUnexplained, ""},
	} {
		res := compareLines(t, Options{Samples: 100}, append(c.a, same...), append(c.b, same...))
		at := slices.IndexFunc(res.Samples, func(s Sample) bool { return s.Kind == c.kind && s.Class == c.class })
		if at < 0 || res.Same() {
			t.Errorf("%s: no %s %s among %+v", c.name, c.kind, c.class, res.Samples)
			continue
		}
		var names []string
		if c.kind == kindChanged {
			for _, cell := range res.Samples[at].Columns {
				names = append(names, cell.Column)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.columns {
			t.Errorf("%s: columns %q, want %q", c.name, got, c.columns)
		}
	}
}

func TestSampleHasBothValues(t *testing.T) {
	res := compareLines(t, Options{}, []string{row("é|\\", 1574553663979, `item="a\"b"`, "l=[1,2.5]")}, []string{row("é|\\", 1574553663979, "item=null", `l=["x"]`)})
	text, err := json.Marshal(res.Samples)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"kind":"changed","class":"unexplained","instance_id":"é|\\","event_time":1574553663979,"revision":0,` +
		`"columns":[{"column":"item","a":"a\"b","b":null},{"column":"l","a":[1,2.5],"b":["x"]}]}]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if c := res.Columns; len(c) != 2 || c[0].Name != "item" || c[0].NullInB != 1 || c[0].NullInA != 0 {
		t.Errorf("columns %+v", c)
	}
}

// TestNumbers compares numbers of any kind, and within tolerances.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		within float64
		equal  bool
	}{
		{"1", "1.0", 0, true}, {"0", "-0.0", 0, true}, {"1e3", "1000", 0, true}, {"9007199254740993", "9007199254740992.0", 0, false},
		{"0.1", "0.1000000000000001", 0, false}, {"0.1", "0.1000000000000001", 1e-9, true}, {"1", "1.001", 1e-3, true}, {"1", "1.0021", 1e-3, false},
		{"1000000", "1000900", 1e-3, true}, {"[1,2]", "[1,2.0001]", 1e-3, true}, {"[1,2]", "[1]", 1e-3, false}, {"null", "0", 1, false}, {`"1"`, "1", 1, false},
	} {
		res := compareLines(t, Options{Tolerances: []Tolerance{{"pri*", c.within}}}, []string{row("a", 1, "price="+c.a)}, []string{row("a", 1, "price="+c.b)})
		if res.Same() != c.equal || (res.Equal == 1) != c.equal {
			t.Errorf("%s and %s within %v: %+v, want equal %t", c.a, c.b, c.within, *res, c.equal)
		}
	}
	res := compareLines(t, Options{}, []string{row("a", 1, "price=1"), row("b", 1, "price=2")}, []string{row("a", 1, "price=1.25"), row("b", 1, "price=-2")})
	if len(res.Columns) != 1 || res.Columns[0].MaxDelta != 4 {
		t.Errorf("columns %+v, want a largest difference of 4", res.Columns)
	}
}

func TestColumnsAndIgnore(t *testing.T) {
	a := []string{row("a", 1, "price=1", "x=1"), row("b", 1)}
	b := []string{row("a", 1, "price=2", "item=null"), row("b", 1, "late=true")}
	for _, c := range []struct {
		o       Options
		changed int64
		schema  int
	}{
		{Options{}, 2, 1},
		{Options{Ignore: []string{"price", "item"}}, 1, 1},
		{Options{Ignore: []string{"price", "item", "late", "x"}}, 0, 0},
		{Options{Columns: []string{"p*"}}, 1, 0},
		{Options{Columns: []string{"label_*"}}, 0, 0},
	} {
		res := compareLines(t, c.o, a, b)
		if res.Changed != c.changed || len(res.Schema) != c.schema || res.Equal+res.Changed != 2 {
			t.Errorf("%+v: %d changed, schema %v, want %d and %d", c.o, res.Changed, res.Schema, c.changed, c.schema)
		}
	}
}

func TestFinalOnly(t *testing.T) {
	clicked := []string{"label_click=1", "label_click_count=1"}
	early := []string{row("a", 1, append(clicked, "final=false")...), row("a", 1, append(clicked, "revision=1")...), row("b", 2)}
	atClose := []string{row("a", 1, clicked...), row("b", 2)}
	if res := compareLines(t, Options{}, early, atClose); res.Changed != 1 || res.Removed != 1 || res.Classes[ClassProvisional] != 2 {
		t.Errorf("with all revisions: %+v", res)
	}
	if res := compareLines(t, Options{FinalOnly: true}, early, atClose); !res.Same() || res.A.Provisional != 1 || res.Equal != 2 {
		t.Errorf("final rows alone: %+v", res)
	}
}

// TestCorrectedRows: of the final rows of an instance the latest counts.
func TestCorrectedRows(t *testing.T) {
	clicked := []string{"label_click=1", "label_click_count=1"}
	stream := []string{row("a", 1), row("a", 1, append(clicked, "revision=1")...), row("a", 1, append(clicked, `item="late"`, "revision=2")...), row("b", 2, "revision=1"), row("b", 2, clicked...),
		row("a", 9), row("c", 3), row("c", 3)}
	batch := []string{row("a", 1, append(clicked, `item="late"`)...), row("a", 9), row("b", 2), row("c", 3), row("c", 3)}
	if res := compareLines(t, Options{FinalOnly: true}, stream, batch); !res.Same() || res.Equal != 5 || res.A.Provisional != 3 || res.A.Rows != 5 || res.A.Duplicates != 1 {
		t.Errorf("%+v", res)
	}
	batch[0] = row("a", 1, clicked...)
	if res := compareLines(t, Options{FinalOnly: true}, stream, batch); res.Changed != 1 || res.Equal != 4 {
		t.Errorf("a row that was corrected otherwise: %+v", res)
	}
}

func TestSideFaults(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]Row{
		"there is no column instance_id: these are no instances; their columns are x": {&Layout{Names: []string{"x"}}, mortise.Row{mortise.IntValue(1)}},
		"row 1 has no instance_id: it is null":                                        {&Layout{Names: []string{"instance_id"}}, mortise.Row{mortise.NullValue()}},
		"a row has 2 values for 1 columns":                                            {&Layout{Names: []string{"instance_id"}}, make(mortise.Row, 2)},
	} {
		if err := c.A().Add(r); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, o := range []Options{{Columns: []string{"["}}, {Tolerances: []Tolerance{{"x", -1}}}, {Tolerances: []Tolerance{{"x", math.NaN()}}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestMetamorphic changes known rows of a random set and counts on finding
// exactly these, in any order of rows and within any memory.
func TestMetamorphic(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 15 {
		n := rnd.Intn(200)
		var a, b []string
		var want struct{ equal, changed, removed, added, dupA, dupB int64 }
		for i := range n {
			id, at := fmt.Sprintf("k%d", rnd.Intn(1_000_000)*1000+i), int64(rnd.Intn(1_000_000))
			left := row(id, at, fmt.Sprintf("price=%d", rnd.Intn(5)))
			switch rnd.Intn(8) {
			case 0:
				a, want.removed = append(a, left), want.removed+1
			case 1:
				b, want.added = append(b, left), want.added+1
			case 2:
				a, b, want.changed = append(a, left), append(b, row(id, at, "price=99")), want.changed+1
			case 3: // twice on one side
				a, b = append(a, left, left), append(b, left)
				want.removed, want.dupA, want.equal = want.removed+1, want.dupA+1, want.equal+1
			case 4: // twice on both: equal
				a, b = append(a, left, left), append(b, left, left)
				want.equal, want.dupA, want.dupB = want.equal+2, want.dupA+1, want.dupB+1
			default:
				a, b, want.equal = append(a, left), append(b, left), want.equal+1
			}
		}
		var first string
		for _, budget := range []int64{0, 1, 500, 5000, 100_000} {
			rnd.Shuffle(len(a), func(i, j int) { a[i], a[j] = a[j], a[i] })
			rnd.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
			spill := &memorySpill{}
			res := compareWithin(t, Options{Spill: spill}, budget, a, b)
			got := want
			got.equal, got.changed, got.removed, got.added, got.dupA, got.dupB = res.Equal, res.Changed, res.Removed, res.Added, res.A.Duplicates, res.B.Duplicates
			if got != want {
				t.Fatalf("seed %d, budget %d: %+v, want %+v", seed, budget, got, want)
			}
			if budget == 1 && spill.made < len(a)+len(b)-2 || budget == 0 && spill.made > 0 || spill.open != 0 {
				t.Fatalf("seed %d: budget %d made %d runs, left %d", seed, budget, spill.made, spill.open)
			}
			text, err := json.Marshal(res)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				t.Fatalf("seed %d: budget %d and another order give another result:\n%s\n%s", seed, budget, text, first)
			}
		}
	}
}

// TestManyRowsOfOneInstance has more rows of one instance than are held at a time.
func TestManyRowsOfOneInstance(t *testing.T) {
	var a, b []string
	for i := range 3 * maxKept {
		a = append(a, row("a", 1, fmt.Sprintf("price=%d", i)))
		if i != 5 {
			b = append(b, a[i])
		}
	}
	if res := compareLines(t, Options{}, a, b); res.Equal != int64(len(b)) || res.Removed != 1 || res.Changed+res.Added != 0 || res.Classes[ClassDuplicate] != 1 {
		t.Errorf("one row of %d left out: %d equal, %d removed, classes %v", len(a), res.Equal, res.Removed, maps.Collect(maps.All(res.Classes)))
	}
	for i := range b {
		b[i] = row("a", 1, fmt.Sprintf("price=%d.5", i))
	}
	if res := compareLines(t, Options{}, a, b); res.Equal != 0 || res.Changed != maxKept || res.Changed+res.Removed != int64(len(a)) || res.Changed+res.Added != int64(len(b)) {
		t.Errorf("all rows differ: %+v", res)
	}
}

// failingSpill fails after some scratch files, or bytes.
type failingSpill struct{ creates, writes int }

func (s *failingSpill) Create() (Scratch, error) {
	if s.creates--; s.creates < 0 {
		return nil, io.ErrShortBuffer
	}
	return &failingScratch{memoryScratch{spill: &memorySpill{}}, s}, nil
}

type failingScratch struct {
	memoryScratch
	of *failingSpill
}

func (s *failingScratch) Write(p []byte) (int, error) {
	if s.of.writes--; s.of.writes < 0 {
		return 0, io.ErrShortWrite
	}
	return s.memoryScratch.Write(p)
}

func TestSpillFails(t *testing.T) {
	for _, c := range []struct {
		spill failingSpill
		want  string
	}{{failingSpill{3, 1000}, "making a scratch file: short buffer"}, {failingSpill{1000, 3}, "writing a scratch file: short write"}} {
		cmp, err := New(Options{Spill: &c.spill})
		if err != nil {
			t.Fatal(err)
		}
		cmp.A().sorter.budget = 100
		r := NewJSONReader()
		for i := 0; err == nil && i < 100; i++ {
			var rw Row
			if rw, err = r.Read([]byte(row(fmt.Sprint(i), 1)), ""); err == nil {
				err = cmp.A().Add(rw)
			}
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	n := 200_000
	if testing.Short() {
		n = 2000
	}
	var lines [][]byte
	size := int64(0)
	for i := range n {
		lines = append(lines, []byte(row(fmt.Sprintf("bts-women-%d", i), int64(i)*10)))
		size += 2 * int64(len(lines[i]))
	}
	for _, spilled := range []bool{false, true} {
		b.Run(fmt.Sprintf("spilled=%t", spilled), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				c, err := New(Options{Spill: &memorySpill{}})
				if err != nil {
					b.Fatal(err)
				}
				for _, side := range c.sides {
					if spilled {
						side.sorter.budget = size / 20
					}
					r := NewJSONReader()
					for _, line := range lines {
						row, err := r.Read(line, "1")
						if err == nil {
							err = side.Add(row)
						}
						if err != nil {
							b.Fatal(err)
						}
					}
				}
				if res, err := c.Result(); err != nil || res.Equal != int64(n) {
					b.Fatal(err, res)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(2*n), "ns/row")
		})
	}
}
