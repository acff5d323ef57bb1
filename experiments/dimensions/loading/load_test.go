package loading_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/dimensions/loading"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

var errFault = errors.New("injected")

// store is a store in memory with versions, whose writes may fail.
type store struct {
	current  string
	versions map[string]map[string]map[int64]mortise.Row
	fail     func() bool
	written  int
	dropped  []string
}

func newStore() *store { return &store{versions: map[string]map[string]map[int64]mortise.Row{}} }

func (s *store) Current(context.Context) (string, error) { return s.current, nil }
func (s *store) Switch(_ context.Context, version string) error {
	s.current = version
	return nil
}

func (s *store) Drop(_ context.Context, version string) error {
	delete(s.versions, version)
	s.dropped = append(s.dropped, version)
	return nil
}

func (s *store) Prepare(_ context.Context, version string) (dimjoin.Writer, error) {
	if s.versions[version] == nil {
		s.versions[version] = map[string]map[int64]mortise.Row{}
	}
	return &writer{s, s.versions[version]}, nil
}

type writer struct {
	s    *store
	rows map[string]map[int64]mortise.Row
}

func (w *writer) Write(_ context.Context, records []dimjoin.Record) error {
	for _, r := range records {
		if w.s.fail != nil && w.s.fail() {
			return errFault
		}
		if w.rows[string(r.Key)] == nil {
			w.rows[string(r.Key)] = map[int64]mortise.Row{}
		}
		w.rows[string(r.Key)][r.FromMS] = r.Row
		w.s.written++
	}
	return nil
}

func (w *writer) Close() error { return nil }

// read is the row of a key as of a time, as text.
func (s *store) read(key string, at int64) string {
	from, row := int64(math.MinInt64), mortise.Row(nil)
	found := false
	for ms, r := range s.versions[s.current][key] {
		if ms <= at && (!found || ms >= from) {
			from, row, found = ms, r, true
		}
	}
	if row == nil {
		return "none"
	}
	var parts []string
	for _, v := range row {
		parts = append(parts, string(dimjoin.AppendText(nil, v)))
	}
	return strings.Join(parts, " ")
}

func items(history bool) *dimjoin.Definition {
	def := &dimjoin.Definition{Name: "item", Key: []string{"item_id"}, KeyTypes: []mortise.Type{{Kind: mortise.String}},
		Fields: mortise.Schema{{Name: "brand", Type: mortise.Type{Kind: mortise.String}}, {Name: "price", Type: mortise.Type{Kind: mortise.Float, Nullable: true}}}}
	if history {
		def.History = dimjoin.History{From: "since", To: "until", Unit: "ms"}
	}
	return def
}

// job loads a file of the given name and content.
func job(t testing.TB, def *dimjoin.Definition, name, content string, stores ...*store) *loading.Job {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	j := &loading.Job{Definition: def, Version: "v", Marks: filepath.Join(dir, "marks"), Batch: 3,
		Open: func(ctx context.Context) (*recorded.Files, error) {
			return inputs.Open(ctx, []*spec.Source{{Name: "item", Fields: loading.Columns(def)}}, path)
		}}
	for i, s := range stores {
		j.Targets = append(j.Targets, loading.Target{Name: string(rune('a' + i)), Versioned: s})
	}
	return j
}

func TestFormats(t *testing.T) {
	for name, content := range map[string]string{
		"items.csv":   "item_id,price,brand,other\nx|1,2.5,acme,7\ny,,\"a, b\",8\n",
		"items.tsv":   "item_id\tprice\tbrand\nx|1\t2.5\tacme\ny\t\ta, b\n",
		"items.jsonl": `{"item_id":"x|1","price":2.5,"brand":"acme","other":[1]}` + "\n" + `{"item_id":"y","brand":"a, b"}` + "\n",
	} {
		s := newStore()
		report, err := loading.Run(context.Background(), job(t, items(false), name, content, s))
		if err != nil || report.Rows != 2 || report.Written[0].Rows != 2 || !report.Written[0].Switched || s.current != "v" {
			t.Fatalf("%s: %+v, %v", name, report, err)
		}
		if x, y := s.read(`x\|1`, 0), s.read("y", 0); x != "acme 2.5" || y != "a, b " {
			t.Errorf("%s: %q, %q", name, x, y)
		}
	}
}

// TestHistory loads versions in any order: one that begins where another ends takes
// its place, and where nothing begins the row is over.
func TestHistory(t *testing.T) {
	s := newStore()
	j := job(t, items(true), "items.csv", `item_id,brand,price,since,until
x,second,,200,300
x,first,,,100
x,fourth,,300,
y,only,,1970-01-01T00:00:01Z,4102444800000
x,third,,100,150
`, s)
	if _, err := loading.Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]string{-5: "first ", 99: "first ", 100: "third ", 149: "third ", 150: "none", 199: "none", 200: "second ", 299: "second ", 300: "fourth ", math.MaxInt64: "fourth "} {
		if got := s.read("x", at); got != want {
			t.Errorf("x at %d is %q, want %q", at, got, want)
		}
	}
	if before, after := s.read("y", 999), s.read("y", math.MaxInt64); before != "none" || after != "only " {
		t.Errorf("y is %q, then %q", before, after)
	}
}

func TestBadRows(t *testing.T) {
	for content, want := range map[string]string{
		"item_id,brand\nx,a\n,b\n":                       "items.csv:3: column item_id: a part of the key is null",
		"item_id,brand,price\nx,a,1\ny,b,cheap\n":        `items.csv:3: column price: "\"cheap\"" is no float?`,
		"item_id,brnd,price\nx,a,1\n":                    "items.csv:2: it has no column brand, which is declared",
		"item_id,brand,since,until\nx,a,9,5\n":           "items.csv:2: the row's validity ends before it begins",
		"item_id,brand,since,until\nx,a,soon,5\n":        `items.csv:2: column since: "\"soon\"" is no time; the history's unit is ms`,
		"item_id,brand\nx," + strings.Repeat("a", 1<<20): "items.csv:2: the row has",
	} {
		def := items(strings.Contains(content, "since"))
		s := newStore()
		_, err := loading.Run(context.Background(), job(t, def, "items.csv", content, s))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--skip-bad") {
			t.Errorf("%.60s: %v, want %s", content, err, want)
		}
		if s.current != "" {
			t.Errorf("%.60s: readers see what was not loaded", content)
		}
		j := job(t, def, "items.csv", content, s)
		j.SkipBad = 1
		told := 0
		j.Bad = func(error) { told++ }
		report, err := loading.Run(context.Background(), j)
		if err != nil || report.Bad != 1 || told != 1 {
			t.Errorf("%.60s, skipped: %+v, %v", content, report, err)
		}
	}
}

func TestCheckWritesNothing(t *testing.T) {
	s := newStore()
	j := job(t, items(false), "items.csv", "item_id,brand\nx,a\n,b\ny,c\n", s)
	j.SkipBad = 1
	report, err := loading.Check(context.Background(), j)
	if err != nil || report.Rows != 2 || report.Bad != 1 || s.written != 0 || len(s.versions) != 0 {
		t.Errorf("%+v, %v; %d written", report, err, s.written)
	}
}

// TestLoadGoesOn breaks a load off again and again; each run begins where the last
// one was, and readers see nothing of it until the end.
func TestLoadGoesOn(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var text strings.Builder
		text.WriteString("item_id,brand,price,since,until\n")
		const n = 200
		for i := range n {
			fmt.Fprintf(&text, "k%d,b%d,%d,%d,%d\n", i%50, i, i, i*10, i*10+rnd.IntN(600))
		}
		s, old := newStore(), newStore()
		s.current = "old"
		s.versions["old"] = map[string]map[int64]mortise.Row{}
		j := job(t, items(true), "items.csv", text.String(), s)
		s.fail = func() bool { return rnd.IntN(60) == 0 }
		failures, resumed := 0, int64(0)
		for {
			report, err := loading.Run(context.Background(), j)
			if len(report.Written) == 1 {
				resumed = max(resumed, report.Written[0].Resumed)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errFault) || s.current != "old" {
				t.Fatalf("seed %d: %v, readers see %s", seed, err, s.current)
			}
			failures++
		}
		if failures == 0 || resumed == 0 {
			t.Fatalf("seed %d: %d failures, resumed from %d", seed, failures, resumed)
		}
		if s.written > 2*n+failures*4*3 {
			t.Errorf("seed %d: %d rows were written of %d, after %d failures: it does not go on", seed, s.written, 2*n, failures)
		}
		whole := job(t, items(true), "items.csv", text.String(), old)
		if _, err := loading.Run(context.Background(), whole); err != nil {
			t.Fatal(err)
		}
		for k := range 50 {
			for at := int64(0); at < 3000; at += 7 {
				if got, want := s.read(fmt.Sprint("k", k), at), old.read(fmt.Sprint("k", k), at); got != want {
					t.Fatalf("seed %d: k%d at %d is %s, want %s", seed, k, at, got, want)
				}
			}
		}
		if fmt.Sprint(s.dropped) != "[old]" {
			t.Errorf("dropped %v", s.dropped)
		}
		if left, _ := filepath.Glob(filepath.Join(j.Marks, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		before := s.written
		if report, err := loading.Run(context.Background(), j); err != nil || !report.Written[0].AlreadyIn || s.written != before {
			t.Errorf("loaded again: %+v, %v", report, err)
		}
	}
}

func TestTwoStores(t *testing.T) {
	a, b := newStore(), newStore()
	j := job(t, items(false), "items.csv", "item_id,brand\nx,a\ny,c\n", a, b)
	j.Pause = 30 * time.Second
	slept := time.Duration(0)
	j.Sleep = func(_ context.Context, d time.Duration) error {
		if a.current != "v" || b.current != "" || b.written > 0 {
			t.Errorf("in the pause a has %q, b has %q with %d rows", a.current, b.current, b.written)
		}
		slept += d
		return nil
	}
	report, err := loading.Run(context.Background(), j)
	if err != nil || len(report.Written) != 2 || b.current != "v" || slept != j.Pause || b.read("y", 0) != "c " {
		t.Errorf("%+v, %v, %s", report, err, slept)
	}
	b.current = "" // as if it had been cut short between the two
	if report, err = loading.Run(context.Background(), j); err != nil || !report.Written[0].AlreadyIn || report.Written[1].AlreadyIn || slept != j.Pause {
		t.Errorf("gone on: %+v, %v, %s", report, err, slept)
	}
}

func TestRestart(t *testing.T) {
	s := newStore()
	j := job(t, items(false), "items.csv", "item_id,brand\na,1\nb,1\nc,1\nd,1\ne,1\nf,1\ng,1\n", s)
	s.fail = func() bool { return s.written == 5 }
	if _, err := loading.Run(context.Background(), j); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	s.fail, j.Restart = nil, true
	report, err := loading.Run(context.Background(), j)
	if err != nil || report.Written[0].Resumed != 0 || report.Written[0].Rows != 7 || fmt.Sprint(s.dropped) != "[v]" {
		t.Errorf("%+v, %v, dropped %v", report, err, s.dropped)
	}
	if _, err := loading.Run(context.Background(), j); err == nil || !strings.Contains(err.Error(), "--version") {
		t.Errorf("restarting what readers see: %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	n := 200_000
	if testing.Short() {
		n = 2000
	}
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"item_id":"item-%d","brand":"brand %d","price":%d.25}`+"\n", i, i%100, i%1000)
	}
	j := job(b, items(false), "items.jsonl", text.String())
	j.Batch = 0
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := loading.Check(context.Background(), j); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}
