package dataset_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

// BenchmarkPublish appends and publishes parts, to a directory: once with all in
// memory, and once by way of a file.
func BenchmarkPublish(b *testing.B) {
	c := instancetest.MustColumns([]string{"click"}, "a", "string", "b", "float", "c", "int", "d", "float", "e", "string?", "f", "bool", "g", "int?", "h", "timestamp", "i", "float", "j", "[string]")
	rows := int64(200_000)
	if testing.Short() {
		rows = 5_000
	}
	for _, memory := range []int64{256 << 20, 1} {
		b.Run(fmt.Sprint("memory=", memory), func(b *testing.B) {
			o := dataset.Options{Columns: c, Experiment: "bench", TempDir: b.TempDir(), MemoryBytes: memory}
			d := open(b, openDir(b, b.TempDir()), o)
			next(b, d, "p0")
			traffic := instancetest.NewTraffic(1, c)
			b.ReportAllocs()
			var at, bytes int64
			cpu := cpuTime()
			for b.Loop() {
				w := d.NewPart("p0", at)
				for range rows {
					if err := w.Append(traffic.Next(20)); err != nil {
						b.Fatal(err)
					}
				}
				info, err := w.Publish(ctx, at+rows)
				if err != nil {
					b.Fatal(err)
				}
				at, bytes = at+rows, bytes+info.Bytes
			}
			b.SetBytes(bytes / int64(b.N))
			b.ReportMetric(float64(at)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(at)/(cpuTime()-cpu).Seconds(), "rows/cpu-s")
		})
	}
}

// cpuTime is what this process has used: on a busy machine it tells more than the
// clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
