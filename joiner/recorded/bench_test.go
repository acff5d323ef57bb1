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
