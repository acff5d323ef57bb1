package file_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/file"
)

// BenchmarkOpen reads a million rows of a CSV file, and tells what one takes in
// memory, by the runtime's count.
func BenchmarkOpen(b *testing.B) {
	rows := 1_000_000
	if testing.Short() {
		rows = 10_000
	}
	var text bytes.Buffer
	text.WriteString("item_id,brand,category,price\n")
	for i := range rows {
		fmt.Fprintf(&text, "item-%09d,brand %d,category %d,%d.25\n", i, i%5000, i%300, i%1000)
	}
	path := filepath.Join(b.TempDir(), "items.csv")
	if err := os.WriteFile(path, text.Bytes(), 0o666); err != nil {
		b.Fatal(err)
	}
	size := text.Len()
	text = bytes.Buffer{}
	str := mortise.Type{Kind: mortise.String}
	def := &dimjoin.Definition{Name: "item", Key: []string{"item_id"}, KeyTypes: []mortise.Type{str}, Store: dimjoin.Store{Path: path},
		Fields: mortise.Schema{{Name: "brand", Type: str}, {Name: "category", Type: str}, {Name: "price", Type: mortise.Type{Kind: mortise.Float}}}}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		table, err := file.Open(context.Background(), def, file.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/float64(rows), "bytes/row")
		if err := table.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
