package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

// Rows of about 1 KB that compress three- to fourfold, as impressions do.
func benchRow(buf []byte, i int) []byte {
	buf = fmt.Appendf(buf[:0], `{"impression_id":"%016x","ts":%d,"user_segment":"seg-%d","item_id":"item-%d","position":%d,"features":[`,
		uint64(i)*0x9e3779b97f4a7c15, 1700000000000+i, i%37, i*7919%10007, i%10)
	for j := range 60 {
		buf = fmt.Appendf(buf, "%d.%04d,", (i*31+j*7)%10, (i*131+j*977)%10000)
	}
	return append(buf, "0],\"model\":\"ranker-2026-09-18\",\"surface\":\"home_feed\"}"...)
}

func benchRows(n int) (rows [][]byte, sizeBytes int) {
	for i := range n {
		rows = append(rows, benchRow(nil, i))
		sizeBytes += len(rows[i])
	}
	return rows, sizeBytes
}

const benchRecords = 20_000

// BenchmarkPublish counts the client and the broker, in one process.
func BenchmarkPublish(b *testing.B) {
	_, c := fake(b, kfake.NumBrokers(1), kfake.BlackholeProduce())
	topics(b, c, 4, "in")
	p, err := OpenPublisher(b.Context(), PublisherOptions{Connection: c, Topics: []string{"in"}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	rows, sizeBytes := benchRows(benchRecords)
	b.SetBytes(int64(sizeBytes))
	b.ReportAllocs()
	for b.Loop() {
		for i, row := range rows {
			if err := p.Publish("in", row[18:34], row, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchRecords*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkCopy reads every record, produces it and commits, with both
// guarantees, in memory and on Apache Kafka.
func BenchmarkCopy(b *testing.B) {
	for _, server := range []string{"memory", "kafka"} {
		for _, exactly := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/exactly=%t", server, exactly), func(b *testing.B) {
				var c Connection
				if server == "memory" {
					_, c = fake(b, kfake.NumBrokers(1))
				} else {
					c = emptied(b, kafkatest.Start(b))
				}
				benchCopy(b, c, exactly)
			})
		}
	}
}

func benchCopy(b *testing.B, c Connection, exactly bool) {
	topics(b, c, 4, "in", "more", "out")
	p, err := OpenPublisher(b.Context(), PublisherOptions{Connection: c, Topics: []string{"in"}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	rows, sizeBytes := benchRows(benchRecords)
	o := workerOptions(c, "bench")
	o.ExactlyOnce = exactly
	tr := open(b, o)
	begin(b, tr, 8)
	b.SetBytes(int64(sizeBytes))
	b.ReportAllocs()
	w := &benchWorker{tr: tr, done: offsets{}}
	for b.Loop() {
		b.StopTimer()
		for i, row := range rows {
			if err := p.Publish("in", row[18:34], row, time.Now().UnixMilli()-int64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		w.copyRecords(b)
	}
	b.ReportMetric(benchRecords*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(w.committing.Seconds()*1e3/float64(w.commits), "ms/commit")
}

// benchWorker commits every half second of work, as workers do by default.
type benchWorker struct {
	tr                  *Transport
	done                offsets
	working, committing time.Duration
	commits             int
}

func (w *benchWorker) copyRecords(b *testing.B) {
	began := time.Now()
	row := experiments.Output{Topic: "out"}
	for copied := 0; copied < benchRecords; {
		fetched, err := w.tr.Poll(b.Context(), 4096, time.Second)
		if err != nil {
			b.Fatal(err)
		}
		for i := range fetched {
			f := &fetched[i]
			w.done[f.TopicPartition] = experiments.CommittedOffset{Next: f.Next}
			for j := range f.Records {
				r := &f.Records[j]
				row.Key, row.Value, row.TimestampMS = r.Key, r.Value, r.TimestampMS
				if err := w.tr.Produce(&row); err != nil {
					b.Fatal(err)
				}
				copied++
			}
		}
	}
	if w.working += time.Since(began); w.commits > 0 && w.working < 500*time.Millisecond {
		return
	}
	w.working = 0
	began = time.Now()
	if err := w.tr.Commit(b.Context(), w.done); err != nil {
		b.Fatal(err)
	}
	w.committing += time.Since(began)
	w.commits++
}
