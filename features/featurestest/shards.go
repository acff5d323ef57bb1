package featurestest

import (
	"context"
	"fmt"
	"hash/crc32"
	"math"
	"testing"

	"github.com/mortise-dev/mortise/features"
)

// BenchmarkShards compares the two ways in which an entity's tiles can lie among the
// tasks of a source: in one of them, which the reader knows, or in all, which it
// merges.
func BenchmarkShards(b *testing.B, open func(b testing.TB) features.Store) {
	for _, c := range []struct {
		tasks  int
		routed bool
	}{{1, true}, {4, true}, {4, false}, {16, true}, {16, false}} {
		b.Run(fmt.Sprintf("tasks %d routed %v", c.tasks, c.routed), func(b *testing.B) {
			s := sharded{b: b, tasks: c.tasks, routed: c.routed, store: open(b)}
			start := ProcessorTime()
			events := s.write()
			writing := ProcessorTime() - start
			s.read()
			b.ReportMetric(float64(events)/writing.Seconds(), "written/cpu-s")
		})
	}
}

// sharded is a load whose events are spread over tasks.
type sharded struct {
	b      *testing.B
	tasks  int
	routed bool
	store  features.Store
	load   *Load
}

func (s *sharded) route(_ int, entity []byte) int {
	return int(crc32.ChecksumIEEE(entity)) % s.tasks
}

func (s *sharded) taskName(task int) string { return fmt.Sprint("task ", task) }

func (s *sharded) write() (events int) {
	entities, events := 100_000, 2_000_000
	if testing.Short() {
		entities, events = 1_000, 20_000
	}
	s.load = NewLoad(Counts(), entities, float64(events)/(3*86_400_000), false)
	var writers []*features.Writer
	for task := range s.tasks {
		w, err := features.OpenWriter(context.Background(), s.load.Set, s.store, features.WriterOptions{Task: s.taskName(task), Shard: uint16(task), Slot: Slot, SinceMS: math.MinInt64})
		if err != nil {
			s.b.Fatal(err)
		}
		writers = append(writers, w)
	}
	for i := 1; i <= events; i++ {
		row, timeMS := s.load.Next()
		task := i % s.tasks
		if s.routed {
			task = s.route(0, s.load.name)
		}
		if err := writers[task].Add(0, row, timeMS); err != nil {
			s.b.Fatal(err)
		}
		for _, w := range writers {
			if i%100_000 != 0 && i != events {
				break
			}
			if err := w.Commit(context.Background(), nil, timeMS); err != nil {
				s.b.Fatal(err)
			}
		}
	}
	return events
}

// read reads b.N rows, in batches, none of which the reader has read before.
func (s *sharded) read() {
	opts := features.ReaderOptions{Tasks: make([][]string, 2), Unfinished: true, CacheRows: 1}
	for task := range s.tasks {
		opts.Tasks[0] = append(opts.Tasks[0], s.taskName(task))
	}
	if s.routed {
		opts.Route = s.route
	}
	r, err := features.OpenReader(context.Background(), s.load.Set, s.store, opts)
	if err == nil {
		err = r.Refresh(context.Background())
	}
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.ResetTimer()
	start := ProcessorTime()
	for at := 0; at < s.b.N; at += 1000 {
		if err := r.Read(context.Background(), s.load.Lookups(nil, min(1000, s.b.N-at), s.load.NowMS())); err != nil {
			s.b.Fatal(err)
		}
	}
	used := ProcessorTime() - start
	s.b.ReportMetric(float64(r.Stats().Rows)/used.Seconds(), "rows/cpu-s")
	s.b.ReportMetric(float64(r.Stats().Keys)/float64(r.Stats().Rows), "keys/row")
}
