package parquet_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mortise-dev/mortise/joiner/recorded"
)

// BenchmarkRead measures what one core makes of Parquet files, in bytes of JSON.
// The fields are those of recorded's BenchmarkRead; few reads three of them.
func BenchmarkRead(b *testing.B) {
	type row struct {
		ID         string   `parquet:"impression_id"`
		TS         int64    `parquet:"ts,timestamp"`
		Segment    string   `parquet:"user_segment,dict"`
		Item       string   `parquet:"item_id,dict"`
		Position   int32    `parquet:"position"`
		Propensity *float64 `parquet:"propensity,optional"`
		Shown      bool     `parquet:"shown"`
		Campaign   *string  `parquet:"campaign,optional,dict"`
		Tags       []string `parquet:"tags,list"`
	}
	campaign := "women autumn"
	var rows []row
	for i := range 50_000 {
		propensity := float64(i%97) / 97
		rows = append(rows, row{fmt.Sprintf("bts-women-%x", uint64(i)*0x9e3779b97f4a7c15), int64(1_574_553_663_979 + i), fmt.Sprintf("%08x", i*7919%1000),
			fmt.Sprintf("women-%d", i%80), int32(i%3 + 1), &propensity, true, &campaign, []string{"new", "autumn sale"}})
	}
	const all = "impression_id:string ts:int user_segment:string item_id:string position:int propensity:float? shown:bool campaign:string? tags:[string]?"
	for _, c := range []struct {
		name, fields string
		codec        pq.WriterOption
	}{
		{"plain", all, pq.Compression(new(uncompressed.Codec))}, {"zstd", all, pq.Compression(new(zstd.Codec))},
		{"few", "impression_id:string ts:int item_id:string", pq.Compression(new(zstd.Codec))},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "f.parquet")
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			w := pq.NewGenericWriter[row](f, c.codec)
			if _, err := w.Write(rows); err != nil {
				b.Fatal(err)
			}
			if err := errors.Join(w.Close(), f.Close()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			size := int64(0)
			for b.Loop() {
				files, err := open(b, recorded.Options{Fields: fields(b, c.fields), TimeField: "ts", TimeUnit: "ms"}, path)
				if err != nil {
					b.Fatal(err)
				}
				size = 0
				for err == nil {
					var line recorded.Line
					line, err = files.Next()
					size += int64(len(line.Data)) + 1
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
			b.SetBytes(size)
			b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
