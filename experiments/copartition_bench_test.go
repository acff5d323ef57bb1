package experiments

import (
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// BenchmarkPlacement is what verifying where records lie costs for one of them:
// each, as in the beginning, and one in 64, as later.
func BenchmarkPlacement(b *testing.B) {
	ev := &clean.Event{PartitionKey: []byte("r0123456789abcdef")}
	rec := &mortise.Record{Partition: int32(PartitionOf(ev.PartitionKey, 12)), Key: ev.PartitionKey}
	for name, first := range map[string]bool{"each": true, "sampled": false} {
		b.Run(name, func(b *testing.B) {
			p := &placement{partitions: 12}
			b.ReportAllocs()
			for i := range b.N {
				if first {
					p.checked = 0
				} else {
					p.checked = checkedFirst
				}
				if p.due(int64(i)) {
					p.check(rec, ev, nil)
				}
			}
			if p.err() != nil {
				b.Fatal(p.err())
			}
		})
	}
}
