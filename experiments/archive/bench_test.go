package archive_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner"
)

// BenchmarkArchive archives rows of about 400 bytes from memory into a directory:
// decoded, collected, encoded, compressed, written and synced.
func BenchmarkArchive(b *testing.B) {
	for _, partitions := range []int32{1, 4} {
		b.Run(fmt.Sprint("partitions=", partitions), func(b *testing.B) {
			rows := 1_000_000
			if testing.Short() {
				rows = 20_000
			}
			log := newLog(b, partitions, rows)
			b.SetBytes(log.bytes)
			b.ReportAllocs()
			before := cpuSeconds(b)
			for b.Loop() {
				log.archive(b)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(rows)*float64(b.N)/(cpuSeconds(b)-before), "rows/cpu-s")
		})
	}
}

// cpuSeconds is what the process has used of its processors: on a machine that
// others use too, the elapsed time says little.
func cpuSeconds(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// log is a rows' topic in memory, and a transport over it.
type log struct {
	experiments.Transport // what is not used panics
	way                   *experiments.Archive
	records               [][]mortise.Record // by partition
	next                  []int64
	told                  bool
	began                 *experiments.CommittedOffset // what the group has committed
	bytes                 int64
}

func newLog(tb testing.TB, partitions int32, rows int) *log {
	tb.Helper()
	text := mortise.Type{Kind: mortise.String}
	columns, err := instances.NewColumns([]string{"click", "order"}, mortise.Schema{{Name: "user_segment", Type: text}, {Name: "item_id", Type: text},
		{Name: "position", Type: mortise.Type{Kind: mortise.Int}}, {Name: "is_top", Type: mortise.Type{Kind: mortise.Bool}}, {Name: "propensity", Type: mortise.Type{Kind: mortise.Float}}})
	if err != nil {
		tb.Fatal(err)
	}
	e := &spec.Experiment{Name: "bench", Version: 1, Sources: []spec.Source{{Name: "imps"}}, Join: spec.Join{Main: "imps"},
		Output: spec.Output{Parquet: true, ParquetOut: spec.ParquetOut{RollSizeBytes: 128_000_000, RollEvery: 10 * time.Minute, Partition: []string{"dt", "hour"}}}}
	l := &log{way: &experiments.Archive{Experiment: e, Columns: columns, Topic: rowsTopic}, records: make([][]mortise.Record, partitions)}
	headers := []mortise.Header{header(experiments.ExperimentHeader, "bench"), header(experiments.VersionHeader, "1"), header(experiments.ConfigHeader, "0123456789abcdef")}
	encoder := instances.NewJSONEncoder(columns)
	for i := range rows {
		in := instances.Instance{ID: fmt.Appendf(nil, "r%016x|i%016x", uint64(i)*0x9e3779b97f4a7c15, uint64(i)*0xbf58476d1ce4e5b9), TimeMS: startMS + int64(i)*7, Labels: make([]instances.LabelValue, 2),
			Weight: 2, Final: true, Selected: mortise.Row{mortise.StringValue(fmt.Sprint("seg-", i%7)), mortise.StringValue(fmt.Sprint("item-", i*i%5000)),
				mortise.IntValue(int64(i % 30)), mortise.BoolValue(i%30 == 0), mortise.FloatValue(1 / float64(1+i%997))}}
		if i%12 == 0 {
			in.Labels[0] = instances.LabelValue{Value: 1, FirstMS: in.TimeMS + 2000, Count: 1}
		}
		p := int32(i) % partitions
		value := encoder.Append(nil, &in)
		l.bytes += int64(len(value))
		l.records[p] = append(l.records[p], mortise.Record{Topic: rowsTopic, Partition: p, Offset: int64(len(l.records[p])), Value: value, Headers: headers})
	}
	return l
}

// archive archives all of it into a new directory.
func (l *log) archive(tb testing.TB) {
	dir := tb.TempDir()
	bucket, err := objectstore.Open(tb.Context(), dir+"/out")
	if err != nil {
		tb.Fatal(err)
	}
	defer bucket.Close()
	ds, err := dataset.Open(tb.Context(), bucket, dataset.Options{Columns: l.way.Columns, Experiment: "bench", Version: 1, Config: "0123456789abcdef", TempDir: dir + "/temp"})
	if err != nil {
		tb.Fatal(err)
	}
	defer ds.Close()
	l.told, l.next = false, make([]int64, len(l.records))
	ended := make(chan struct{})
	close(ended)
	a, err := archive.New(l, archive.Options{Archive: l.way, Dataset: ds, Join: l, Ended: ended})
	if err != nil {
		tb.Fatal(err)
	}
	if err := a.Run(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	rows := int64(0)
	for _, records := range l.records {
		rows += int64(len(records))
	}
	if st := a.Status(); st.Rows != rows {
		tb.Fatalf("%d rows are archived of %d", st.Rows, rows)
	}
}

func (l *log) Assigned() (a experiments.Assignment, err error) {
	if l.told {
		return a, nil
	}
	l.told = true
	a.Gained = map[experiments.TopicPartition]experiments.CommittedOffset{}
	for p := range l.records {
		c := experiments.CommittedOffset{Next: -1}
		if l.began != nil {
			c = *l.began
		}
		a.Gained[experiments.TopicPartition{Topic: rowsTopic, Partition: int32(p)}] = c
	}
	return a, nil
}

func (l *log) Start(at map[experiments.TopicPartition]int64) error {
	for tp, from := range at {
		l.next[tp.Partition] = max(from, 0)
	}
	return nil
}

func (l *log) SetPaused([]experiments.TopicPartition) {}

func (l *log) Poll(ctx context.Context, limit int, _ time.Duration) ([]experiments.Fetched, error) {
	var all []experiments.Fetched
	share := limit / len(l.records)
	for p, records := range l.records {
		from := l.next[p]
		to := min(from+int64(share), int64(len(records)))
		l.next[p] = to
		all = append(all, experiments.Fetched{TopicPartition: experiments.TopicPartition{Topic: rowsTopic, Partition: int32(p)}, Records: records[from:to], Next: to, HighWatermark: int64(len(records))})
	}
	return all, ctx.Err()
}

func (l *log) Commit(context.Context, map[experiments.TopicPartition]experiments.CommittedOffset) error {
	return nil
}

func (l *log) Tasks(context.Context) ([]archive.Task, error) {
	return []archive.Task{{Committed: &joiner.Snapshot{}}}, nil
}

func (l *log) Written(context.Context) (map[int32]int64, error) {
	ends := map[int32]int64{}
	for p, records := range l.records {
		ends[int32(p)] = int64(len(records))
	}
	return ends, nil
}

func (l *log) NextRow(_ context.Context, p int32, from int64) (int64, error) { return from, nil }
