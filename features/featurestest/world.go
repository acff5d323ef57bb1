package featurestest

import (
	"fmt"
	"math"
	"math/rand/v2"

	mortise "github.com/mortise-dev/mortise"
)

// Base is when generated events begin: five minutes before a day ends, in UTC, so
// that every level's tiles have an edge near.
const Base = int64(1_700_006_400_000 - 300_000)

// RandomEvents makes n events of both sources over spanMS of event time, crowded
// around the edges of tiles, with nulls, ties, and numbers that plain sums get wrong.
func RandomEvents(rnd *rand.Rand, n int, spanMS int64) []Event {
	events := make([]Event, 0, n)
	for range n {
		events = append(events, Event{Source: rnd.IntN(2), TimeMS: RandomTime(rnd, spanMS), Row: randomRow(rnd)})
	}
	return events
}

// RandomTime is a time at or next to the edge of a tile of some level, or any.
func RandomTime(rnd *rand.Rand, spanMS int64) int64 {
	t := Base + rnd.Int64N(spanMS)
	edge := []int64{1, 1000, 7000, 60_000, 3_600_000, 86_400_000}[rnd.IntN(6)]
	if t = floor(t, edge); edge > 1 {
		t += int64(rnd.IntN(3)) - 1
	}
	return t
}

var prices = []float64{0, 0.1, 0.2, 0.3, 1e16, -1e16, 1, 1e-300, 1e300, -1e300, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 12.34, -12.34}

func randomRow(rnd *rand.Rand) mortise.Row {
	price, qty, brand := mortise.NullValue(), mortise.NullValue(), mortise.NullValue()
	switch rnd.IntN(4) {
	case 0:
		price = mortise.FloatValue(prices[rnd.IntN(len(prices))])
	case 1:
		price = mortise.FloatValue(rnd.NormFloat64() * 100)
	case 2:
		price = mortise.FloatValue(float64(rnd.IntN(5)))
	}
	switch rnd.IntN(12) {
	case 0:
	case 1:
		qty = mortise.IntValue(math.MaxInt64)
	case 2:
		qty = mortise.IntValue(math.MinInt64)
	default:
		qty = mortise.IntValue(int64(rnd.IntN(5)))
	}
	if n := rnd.IntN(9); n > 0 {
		brand = mortise.StringValue(fmt.Sprintf("b%d", n))
	}
	tags := []mortise.Value{}
	for range rnd.IntN(3) {
		tags = append(tags, mortise.StringValue(fmt.Sprintf("t%d", rnd.IntN(2))))
	}
	return mortise.Row{mortise.StringValue(fmt.Sprintf("i%d", rnd.IntN(3))), mortise.IntValue(int64(rnd.IntN(4))), price, qty, brand,
		mortise.TimestampValue(Base + int64(rnd.IntN(1000))), mortise.BoolValue(rnd.IntN(2) == 0), mortise.ListValue(tags)}
}
