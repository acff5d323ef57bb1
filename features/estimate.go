package features

import "math"

// entityBytes is how long an entity's key is taken to be.
const entityBytes = 16

// EstimateBytes estimates what a group's tiles of one entity take in a store, keys
// included and before it compresses them, for an entity with so many events a day,
// evenly, that has been there for the group's longest window. Text is taken to be
// ten bytes long, and the values that are told apart to be all different.
func (s *Set) EstimateBytes(group int, eventsPerDay float64) int64 {
	g := &s.Groups[group]
	bytes := 0.0
	for level, spanMS := range g.Levels {
		days := float64(g.keepMS[level]) / 86_400_000
		chunks := occupied(float64(g.keepMS[level])/float64(spanMS*g.perChunk(level)), eventsPerDay*days)
		tiles := occupied(float64(g.keepMS[level])/float64(spanMS), eventsPerDay*days)
		bytes += chunks * (KeyPrefixBytes + entityBytes + 1)
		for i := range g.columns {
			if c := &g.columns[i]; c.top >= level {
				bytes += chunks*3 + tiles*(1+c.stateBytes(eventsPerDay*days/max(tiles, 1)))
			}
		}
	}
	return int64(math.Ceil(bytes))
}

// occupied is how many of n places something lies in when events fall into them at
// random.
func occupied(n, events float64) float64 {
	if n < 1 {
		return min(n+1, events) // one and a part, at the ends
	}
	return n * -math.Expm1(-events/n)
}

// stateBytes is about what a column's state takes that has seen so many events; see
// the table in DESIGN.md.
func (c *column) stateBytes(events float64) float64 {
	switch c.kind {
	case kindCount:
		return 2
	case kindSumInt:
		return 5
	case kindSumFloat, kindMin, kindMax:
		return 9
	case kindMoments, kindDecayed:
		return 16
	case kindFirst, kindLast:
		return 2 + 10*min(events, float64(max(c.params.n, 1)))
	case kindSketch:
		return 4 + min(2.5*events, 3073)
	case kindSet:
		return 2 + 8*events
	case kindTopK:
		return 4 + 13*min(events, MaxTopKValues)
	}
	return 8
}
