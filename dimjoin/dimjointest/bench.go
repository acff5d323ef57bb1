package dimjointest

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Benchmark reads batches of several sizes out of a table of rows with a text, a
// float and an int. allocs/row counts all of the process, the client library's too.
func Benchmark(b *testing.B, store Store) {
	rows := 20_000
	if testing.Short() {
		rows = 1000
	}
	def := items(schema("brand", "string", "price", "float", "stock", "int"))
	var records []dimjoin.Record
	for i := range rows {
		records = append(records, record(mortise.Row{mortise.StringValue(fmt.Sprint("brand ", i%97)), mortise.FloatValue(float64(i) / 4), mortise.IntValue(int64(i))}, numbered(i)))
	}
	table := store.filled(b, def, records)
	all := numberedLookups(0, rows)
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			lookups := make([]dimjoin.Lookup, size)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			at := 0
			for b.Loop() {
				if at += 7919 * size; at%rows+size > rows {
					at = 0
				}
				copy(lookups, all[at%rows:])
				if err := table.Read(context.Background(), lookups); err != nil {
					b.Fatal(err)
				}
				if lookups[size-1].Row == nil {
					b.Fatal("a row is missing")
				}
			}
			runtime.ReadMemStats(&after)
			n := float64(b.N * size)
			b.ReportMetric(n/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/row")
			b.ReportMetric(0, "ns/op")
		})
	}
}
