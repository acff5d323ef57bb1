package parquet

import (
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

// benchColumns has 20 or 40 columns.
func benchColumns(n int) *instances.Columns {
	var selected []string
	for i := range n - 10 {
		selected = append(selected, fmt.Sprint("c", i), []string{"string", "float", "int", "float", "string?", "bool", "int?", "timestamp", "float", "[string]"}[i%10])
	}
	return instancetest.MustColumns([]string{"click"}, selected...)
}

// benchRows are rows of their own each.
func benchRows(c *instances.Columns, n int) []instances.Instance {
	rows := make([]instances.Instance, n)
	traffic := instancetest.NewTraffic(7, c)
	for i := range rows {
		rows[i] = clone(traffic.Next(3))
	}
	return rows
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

func BenchmarkWrite(b *testing.B) {
	for _, columns := range []int{20, 40} {
		b.Run(fmt.Sprint("columns=", columns), func(b *testing.B) {
			n := 200_000
			if testing.Short() {
				n = 2_000
			}
			c := benchColumns(columns)
			rows := benchRows(c, n)
			w := NewWriter(c, Options{})
			var out counter
			write := func(to io.Writer) {
				w.Begin(to, Metadata{Experiment: "bench"})
				for at := 0; at < n; at += 1000 {
					if err := w.Write(rows[at:min(at+1000, n)]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.End(); err != nil {
					b.Fatal(err)
				}
			}
			write(&out)
			b.SetBytes(out.n)
			b.ReportAllocs()
			cpu := cpuTime()
			for b.Loop() {
				write(io.Discard)
			}
			report(b, n, cpuTime()-cpu)
			b.ReportMetric(float64(out.n)/float64(n), "B/row")
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

func report(b *testing.B, rows int, cpu time.Duration) {
	total := float64(b.N) * float64(rows)
	b.ReportMetric(total/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(total/cpu.Seconds(), "rows/cpu-s")
}

func BenchmarkRead(b *testing.B) {
	for _, columns := range []int{20, 40} {
		c := benchColumns(columns)
		n := 200_000
		if testing.Short() {
			n = 2_000
		}
		data := write(b, NewWriter(c, Options{}), Metadata{}, benchRows(c, n), 1000)
		some := []string{"instance_id", "label_click", "c0", "c1"}
		for _, selected := range [][]string{c.Schema().Names(), some} {
			b.Run(fmt.Sprint("columns=", columns, "/read=", len(selected)), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				rows := make([]instances.Instance, 256)
				cpu := cpuTime()
				for b.Loop() {
					r := open(b, data)
					r.Select(selected...)
					for {
						if got, err := r.Read(rows); got == 0 {
							break
						} else if err != nil {
							b.Fatal(err)
						}
					}
					if err := r.Close(); err != nil {
						b.Fatal(err)
					}
				}
				report(b, n, cpuTime()-cpu)
			})
		}
	}
}
