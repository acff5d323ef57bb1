package featurestest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// Load is a stream of events over many items, for benchmarks. It makes events as
// fast as they can be added.
type Load struct {
	Set      *features.Set
	entities int
	perMS    float64 // events a millisecond of event time
	hot      bool
	rows     []mortise.Row
	name     []byte
	at       int
}

// Counts are three windows of one count, which share their tiles.
func Counts() []features.Definition {
	var defs []features.Definition
	for i, window := range []time.Duration{time.Hour, 24 * time.Hour, 30 * 24 * time.Hour} {
		defs = append(defs, Define(fmt.Sprint("count", i), "views", "count", "", window, time.Minute, "item"))
	}
	return defs
}

// Mixed is Counts and what else an item's features are made of, nine in all.
func Mixed() []features.Definition {
	day := 24 * time.Hour
	defs := Counts()
	for i, d := range []struct {
		agg, where string
		window     time.Duration
	}{
		{"count", "paid", day}, {"sum(price)", "", day}, {"avg(price)", "", 7 * day}, {"max(qty)", "", day}, {"last_n(brand, 5)", "", 7 * day}, {"distinct(user)", "", day},
	} {
		defs = append(defs, Define(fmt.Sprint("mixed", i), "views", d.agg, d.where, d.window, time.Minute, "item"))
	}
	return defs
}

// NewLoad prepares a load. The k-th item occurs in proportion to 1/k (zipf); with
// hot set, 1 % of the items are in half of the events, each as often.
func NewLoad(defs []features.Definition, entities int, perMS float64, hot bool) *Load {
	set, err := features.Compile(defs, Sources)
	if err != nil {
		panic(err)
	}
	l := &Load{Set: set, entities: entities, perMS: perMS, hot: hot}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 4096 {
		row := randomRow(rnd)
		row[Row.Index("price")] = mortise.FloatValue(math.Round(rnd.Float64()*10_000) / 100)
		row[Row.Index("qty")] = mortise.IntValue(int64(rnd.IntN(10)))
		row[Row.Index("user")] = mortise.IntValue(int64(rnd.IntN(1_000_000)))
		row[Row.Index("brand")] = mortise.StringValue(fmt.Sprint("brand ", rnd.IntN(50)))
		l.rows = append(l.rows, row)
	}
	return l
}

// Next is the next event. The row is valid until the next call.
func (l *Load) Next() (mortise.Row, int64) {
	l.at++
	row := l.rows[l.at&(len(l.rows)-1)]
	l.name = appendName(l.name[:0], l.item(l.at))
	row[0] = mortise.TextValue(l.name)
	return row, l.NowMS()
}

// item is the item of the n-th event.
func (l *Load) item(n int) int {
	z := uint64(n) * 0x9e3779b97f4a7c15 // splitmix64
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	u := float64(z>>11) / (1 << 53)
	if !l.hot {
		return min(int(math.Pow(float64(l.entities), u)), l.entities) - 1 // the inverse of ln k / ln n
	}
	among := l.entities
	if z&1 == 0 {
		among = max(l.entities/100, 1)
	}
	return int(u * float64(among))
}

func appendName(dst []byte, item int) []byte {
	return fmt.Appendf(dst, "item-%010d", uint32(item)*2654435761)
}

// NowMS is the event time of the last event.
func (l *Load) NowMS() int64 { return Base + int64(float64(l.at)/l.perMS) }

// Lookups asks for n items as impressions do: by the distribution of the events, as
// of times within a second.
func (l *Load) Lookups(dst []features.Lookup, n int, asOfMS int64) []features.Lookup {
	for i := range n {
		l.at++
		dst = append(dst, features.Lookup{Entity: appendName(nil, l.item(l.at)), AsOfMS: asOfMS + int64(i%1000)})
	}
	return dst
}

// Add adds n events and commits every so many.
func (l *Load) Add(b testing.TB, w *features.Writer, n, commitEvery int) {
	for i := 1; i <= n; i++ {
		row, timeMS := l.Next()
		if err := w.Add(0, row, timeMS); err != nil {
			b.Fatal(err)
		}
		if i%commitEvery == 0 || i == n {
			w.Expire(timeMS - 2*3_600_000)
			if err := w.Commit(context.Background(), nil, timeMS); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// ProcessorTime is what the process has used so far, in user code and in the kernel.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWrite measures adding events and committing them to a store.
func BenchmarkWrite(b *testing.B, store func(b testing.TB) features.Store) {
	entities := 1_000_000
	if testing.Short() {
		entities = 10_000
	}
	for _, c := range []struct {
		name string
		defs []features.Definition
		hot  bool
	}{{"counts", Counts(), false}, {"counts hot", Counts(), true}, {"mixed", Mixed(), false}} {
		b.Run(c.name, func(b *testing.B) {
			l := NewLoad(c.defs, entities, 20, c.hot)
			w, err := features.OpenWriter(context.Background(), l.Set, store(b), features.WriterOptions{Task: "t", Slot: Slot, SinceMS: math.MinInt64})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := ProcessorTime()
			l.Add(b, w, b.N, 100_000)
			used := ProcessorTime() - before
			s := w.Stats()
			b.ReportMetric(float64(b.N)/used.Seconds(), "events/cpu-s")
			b.ReportMetric(float64(s.Tiles)/float64(b.N), "tiles/event")
			b.ReportMetric(float64(s.Bytes)/float64(b.N), "chunk-B/event")
		})
	}
}

// BenchmarkRead measures reading three windows as of one time, of items that have
// been collecting for a month.
func BenchmarkRead(b *testing.B, store func(b testing.TB) features.Store) {
	entities, events := 200_000, 6_000_000
	if testing.Short() {
		entities, events = 1_000, 20_000
	}
	l := NewLoad(Counts(), entities, float64(events)/(31*86_400_000), false)
	s := store(b)
	w, err := features.OpenWriter(context.Background(), l.Set, s, features.WriterOptions{Task: "t", Slot: Slot, SinceMS: math.MinInt64})
	if err != nil {
		b.Fatal(err)
	}
	l.Add(b, w, events, 100_000)
	end := l.NowMS()
	r, err := features.OpenReader(context.Background(), l.Set, s, features.ReaderOptions{Tasks: [][]string{{"t"}, {"t"}}, Unfinished: true, CacheRows: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Refresh(context.Background()); err != nil {
		b.Fatal(err)
	}
	const batch = 10_000
	for _, c := range []struct {
		name string
		step int64 // of event time between batches
	}{{"each tile anew", 60_000}, {"as a stream", 500}} {
		b.Run(c.name, func(b *testing.B) {
			before, stats := ProcessorTime(), r.Stats()
			asOf := end - 3_600_000
			for at := 0; at < b.N; at += batch {
				lookups := l.Lookups(nil, min(batch, b.N-at), asOf)
				if err := r.Read(context.Background(), lookups); err != nil {
					b.Fatal(err)
				}
				if asOf += c.step; asOf > end {
					asOf = end - 3_600_000
				}
			}
			used, now := ProcessorTime()-before, r.Stats()
			b.ReportMetric(float64(b.N)/used.Seconds(), "lookups/cpu-s")
			b.ReportMetric(float64(now.Rows-stats.Rows)/used.Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(now.Keys-stats.Keys)/float64(max(now.Rows-stats.Rows, 1)), "keys/row")
			b.ReportMetric(float64(now.Chunks-stats.Chunks)/float64(max(now.Rows-stats.Rows, 1)), "chunks/row")
		})
	}
}
