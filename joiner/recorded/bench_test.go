package recorded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

// BenchmarkMerge reads impressions of 1 KB and a tenth as many clicks.
func BenchmarkMerge(b *testing.B) {
	var imps, clicks []byte
	pad := bytes.Repeat([]byte("abcdefghij0123456789"), 49)
	for i := range 50_000 {
		imps = fmt.Appendf(imps, "%d %x%s\n", i, i*7919, pad)
		if i%10 == 0 {
			clicks = fmt.Appendf(clicks, "%d click\n", i+5)
		}
	}
	for _, format := range []struct {
		name string
		pack func(testing.TB, []byte) []byte
	}{{"plain", func(_ testing.TB, d []byte) []byte { return d }}, {"gzip", gzipped}, {"zstd", zstded}} {
		b.Run(format.name, func(b *testing.B) {
			dir := b.TempDir()
			one, two := write(b, dir, "imps", format.pack(b, imps)), write(b, dir, "clicks", format.pack(b, clicks))
			b.SetBytes(int64(len(imps) + len(clicks)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := Merge(stream(b, one), stream(b, two))
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = m.Next()
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchRows makes lines of about 250 bytes and the same as CSV.
func benchRows(n int) (lines, cells []byte) {
	cells = append(cells, "impression_id,ts,user_segment,item_id,position,propensity,shown,campaign,tags\n"...)
	for i := range n {
		id, segment, propensity := uint64(i)*0x9e3779b97f4a7c15, i*7919%1000, float64(i%97)/97
		lines = fmt.Appendf(lines, `{"impression_id":"bts-women-%x","ts":%d,"user_segment":"%08x","item_id":"women-%d","position":%d,"propensity":%v,"shown":true,"campaign":"women autumn","tags":["new","autumn sale"]}`+"\n",
			id, 1_574_553_663_979+i, segment, i%80, i%3+1, propensity)
		cells = fmt.Appendf(cells, `bts-women-%x,%d,%08x,women-%d,%d,%v,true,women autumn,"[""new"",""autumn sale""]"`+"\n",
			id, 1_574_553_663_979+i, segment, i%80, i%3+1, propensity)
	}
	return lines, cells
}

const benchFields = "impression_id:string ts:int user_segment:string item_id:string position:int propensity:float? shown:bool campaign:string? tags:[string]?"

// BenchmarkRead measures what one core makes of files, in bytes of JSON.
func BenchmarkRead(b *testing.B) {
	lines, cells := benchRows(50_000)
	for _, c := range []struct {
		name, file string
		data       []byte
	}{
		{"plain", "f.jsonl", lines}, {"gzip", "f.jsonl.gz", gzipped(b, lines)}, {"zstd", "f.jsonl.zst", zstded(b, lines)},
		{"csv", "f.csv", cells}, {"csv-zstd", "f.csv.zst", zstded(b, cells)}, {"folders", "dt=2019-11-24/f.jsonl", lines},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := Options{Fields: fields(b, benchFields), TimeField: "ts", TimeUnit: "ms"}
			if c.name == "folders" {
				o.Fields = fields(b, "dt:string")
			}
			path := writeIn(b, b.TempDir(), c.file, c.data)
			b.ReportAllocs()
			size := int64(0)
			for b.Loop() {
				f, err := Open(b.Context(), o, path)
				if err != nil {
					b.Fatal(err)
				}
				size = 0
				for err == nil {
					var line Line
					line, err = f.Next()
					size += int64(len(line.Data)) + 1
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
			b.SetBytes(size)
		})
	}
}
