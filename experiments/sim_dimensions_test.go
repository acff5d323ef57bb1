package experiments_test

import (
	"context"
	"fmt"
	"hash/fnv"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
)

// simDimensionBlock declares the dimensions of a simulated world, one read at each
// of the three times. ARRIVED and LATEST are what becomes of impressions without a row
// of the first and the last.
const simDimensionBlock = `dimensions:
  arrived: {key: item_id, store: {file: {path: none.csv}}, missing: ARRIVED, fields: {x: int, name: string?}}
  valid: {key: [user_segment, item_id], store: {file: {path: none.csv}}, as_of: event_time, missing: default, fields: {x: int}}
  latest: {key: user_segment, store: {file: {path: none.csv}}, as_of: emission, missing: LATEST, fields: {x: int}}
`

const simDimensionColumns = "arrived.x, arrived.name, valid.x, latest.x"

// simLookup is what the simulated tables hold: how a key is served, and its row.
func simLookup(table, key string, timeMS int64) (dimjoin.Served, int64) {
	h := fnv.New32a()
	fmt.Fprint(h, table, key)
	if table == "valid" {
		fmt.Fprint(h, timeMS/600_000)
	}
	n := int64(h.Sum32() % 1000)
	switch {
	case n%11 == 0 && table == "valid":
		return dimjoin.ServedDefault, 0
	case n%11 == 0:
		return dimjoin.ServedMissing, 0
	case n%7 == 0:
		return dimjoin.ServedStale, n
	}
	return dimjoin.ServedStore, n
}

// simDimensions are stores that are slow at times.
type simDimensions struct {
	process *simulation.Process
	run     *simRun
}

// Read implements experiments.Dimensions.
func (s *simDimensions) Read(_ context.Context, lookups [][]dimjoin.Answer) error {
	if err := s.process.Request(fmt.Sprintf("read %d, %d and %d dimensions", len(lookups[0]), len(lookups[1]), len(lookups[2]))); err != nil {
		return err
	}
	for dim, table := range []string{"arrived", "valid", "latest"} {
		s.run.counts.lookedUp += len(lookups[dim])
		for i := range lookups[dim] {
			a := &lookups[dim][i]
			var n int64
			a.Served, n = simLookup(table, string(a.Key), a.AsOfMS)
			if a.Row = (mortise.Row{mortise.IntValue(n)}); table == "arrived" {
				a.Row = append(a.Row, mortise.StringValue(fmt.Sprint("name-", n)))
			}
			if a.Served != dimjoin.ServedMissing {
				continue
			}
			for field := range a.Row {
				a.Row[field] = mortise.NullValue()
			}
			if a.Absent = true; table == "latest" && s.run.world.kind.policy == "at_close" {
				a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Field: table, Detail: "no row of key " + string(a.Key)}
			}
		}
	}
	return nil
}

// addDimensions adds to an oracle's row what an impression's lookups give, and what
// they were not served as; false says that it belongs to the dead letters.
func addDimensions(row *ordered, i event, rejects bool) (degraded []string, ok bool) {
	degraded = []string{}
	item, segment := escapeKey(i.text("item_id")), escapeKey(i.text("user_segment"))
	for _, l := range []struct{ table, key string }{{"arrived", item}, {"valid", segment + "|" + item}, {"latest", segment}} {
		served, n := simLookup(l.table, l.key, i.ts)
		var x, name any = n, fmt.Sprint("name-", n)
		if served == dimjoin.ServedMissing {
			if x, name = nil, nil; l.table == "latest" && rejects {
				return nil, false
			}
		}
		if row.add(l.table+"_x", x); l.table == "arrived" {
			row.add("arrived_name", name)
		}
		if served.Degraded() {
			degraded = append(degraded, l.table+":"+served.String())
		}
	}
	return degraded, true
}

var _ experiments.Dimensions = (*simDimensions)(nil)
