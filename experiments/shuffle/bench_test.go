package shuffle_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// endless is a transport that has the same records again and again, and drops
// what is produced.
type endless struct {
	experiments.Transport
	fetched []experiments.Fetched
	polls   int
	begun   bool
	sent    int64
	bytes   int64
}

var errEnough = errors.New("enough")

func (e *endless) Assigned() (experiments.Assignment, error) {
	if e.begun {
		return experiments.Assignment{}, nil
	}
	e.begun = true
	gained := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for i := range e.fetched {
		gained[e.fetched[i].TopicPartition] = experiments.CommittedOffset{Next: -1}
	}
	return experiments.Assignment{Gained: gained}, nil
}

func (e *endless) Start(map[experiments.TopicPartition]int64) error { return nil }

func (e *endless) Poll(context.Context, int, time.Duration) ([]experiments.Fetched, error) {
	if e.polls--; e.polls < 0 {
		return nil, errEnough
	}
	for i := range e.fetched {
		f := &e.fetched[i]
		for j := range f.Records {
			f.Records[j].Offset += int64(len(f.Records))
		}
		f.Next += int64(len(f.Records))
	}
	return e.fetched, nil
}

func (e *endless) SetPaused([]experiments.TopicPartition) {}

func (e *endless) Produce(o *experiments.Output) error {
	e.sent++
	e.bytes += int64(len(o.Key) + len(o.Value) + len(o.Headers[0].Value))
	return nil
}

func (e *endless) Commit(context.Context, map[experiments.TopicPartition]experiments.CommittedOffset) error {
	return nil
}

// BenchmarkShuffler measures what a shuffler does for a record, without a broker.
func BenchmarkShuffler(b *testing.B) {
	for _, size := range []int{200, 1000} {
		b.Run(fmt.Sprintf("record=%dB", size), func(b *testing.B) {
			plan, err := experiments.NewPlan([]*spec.Experiment{parse(b, shuffling(feed, "clicks"))})
			if err != nil {
				b.Fatal(err)
			}
			_, ways := plan.Pipelines[0].Shuffled("group")
			const batch = 1000
			e := &endless{polls: b.N/(4*batch) + 1}
			for p := range int32(4) {
				f := experiments.Fetched{TopicPartition: experiments.TopicPartition{Topic: "clicks", Partition: p}}
				for i := range batch {
					line := fmt.Sprintf(`{"click_id":"c%08d","impression_id":"i%08d","request_id":"r%08d","ts":%d,"item_id":"item-%d","pad":"`, i, i, i, 1_767_225_600_000+i, i)
					for len(line) < size-2 {
						line += "x"
					}
					f.Records = append(f.Records, mortise.Record{Topic: "clicks", Partition: p, Offset: int64(i - batch), Key: fmt.Appendf(nil, "c%08d", i), Value: []byte(line + `"}`)})
				}
				e.fetched = append(e.fetched, f)
			}
			s, err := shuffle.New(e, shuffle.Options{Way: ways[0], Origins: 4, Partitions: 64})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			b.ResetTimer()
			polled := float64(e.polls * 4 * batch)
			if err := s.Run(context.Background()); !errors.Is(err, errEnough) {
				b.Fatal(err)
			}
			b.ReportMetric(polled/b.Elapsed().Seconds(), "records/s")
		})
	}
}
