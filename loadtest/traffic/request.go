package traffic

import "math/bits"

const (
	maxLeadMS        = 20_000  // from a query to the impressions that answer it
	orderMedianMS    = 600_000 // from a click to its order
	priceMedianCents = 2990
	maxPriceCents    = 5_000_000
	maxRestampMS     = 5000 // how much later a re-stamped duplicate says it was
	maxResendMS      = 3000 // how long a producer waits before it sends again
)

// plan draws when the next request begins and how many positions it has. Its
// query, if any, is asked then; its impressions are shown somewhat later.
func (g *Generator) plan() {
	r := g.draw(forPlan, g.request)
	size := min(1+r.below(int64(g.opts.Positions)), g.remaining)
	e := entry{kind: unshown, timeMS: g.nextRequestMS(), request: g.request, position: uint8(size)}
	if r.hits(g.chances.query) {
		query := entry{kind: kind(Queries), timeMS: e.timeMS, request: g.request}
		g.send(&r, &query)
		e.timeMS += 100 + r.below(maxLeadMS-100)
	}
	e.dueMS = e.timeMS
	g.queue.push(&e)

	// The gap is uniform in [0, 2) times its mean, so the rate holds exactly on average.
	g.plannedNS += r.below(2*size*g.perShownNS) >> 16
	g.remaining -= size
	g.request++
}

// show draws the request's items, distinct ones, and what users do with them.
func (g *Generator) show(shown *entry) {
	r := g.draw(forShow, shown.request)
	var items [maxPositions]uint32
	left := 1.0 // probability of the items not shown yet
	for i := range int(shown.position) {
		item := g.pick(&r, items[:i])
		items[i] = item
		share := float64(g.items.share[item])
		e := entry{
			kind: kind(Impressions), timeMS: shown.timeMS, request: shown.request, item: item, position: uint8(i + 1),
			nano: uint32(max(1, float64(share/max(left, share))*1e9)),
		}
		left -= share
		g.send(&r, &e)
		if r.hits(g.clicks.chance(e.position, item)) {
			g.click(&r, &e)
		}
	}
}

// pick draws an item that is not in taken by drawing again, which makes an
// impression's propensity its share of what is left. Where there are hardly
// more items than positions, it takes the next free one in the end (its
// propensity is approximate then), or, with none free, repeats one.
func (g *Generator) pick(r *random, taken []uint32) uint32 {
	var item uint32
	for range 16 {
		if item = g.items.sample(r); !contains(taken, item) {
			return item
		}
	}
	for range taken {
		if item = (item + 1) % uint32(g.opts.Items); !contains(taken, item) {
			break
		}
	}
	return item
}

func contains(items []uint32, item uint32) bool {
	for _, t := range items {
		if t == item {
			return true
		}
	}
	return false
}

// click sends the impression's click, and what comes with it: the same click
// again, an order, a label of an impression that never was.
func (g *Generator) click(r *random, impression *entry) {
	e := *impression
	e.kind, e.faults = kind(Clicks), 0
	e.timeMS += 1 + g.clickAt.sample(r)
	g.send(r, &e)
	if r.hits(g.chances.secondClick) {
		again := e
		again.ordinal, again.faults = 1, Duplicate
		again.timeMS += 150 + r.below(60_000)
		g.send(r, &again)
	}
	if r.hits(g.chances.orphan) {
		orphan := e
		orphan.faults = Orphan
		g.send(r, &orphan)
	}
	if r.hits(g.chances.order) {
		order := e
		order.kind, order.faults = kind(Orders), 0
		order.timeMS += 1000 + g.orderAt.sample(r)
		g.send(r, &order)
		if r.hits(g.chances.orphan) {
			order.faults = Orphan
			g.send(r, &order)
		}
	}
}

// send queues e for its arrival, and with it its byte-for-byte or re-stamped
// duplicate and the junk beside it.
func (g *Generator) send(r *random, e *entry) {
	e.dueMS = e.timeMS + g.delay(r, e)
	g.queue.push(e)
	if r.hits(g.chances.junk) {
		junk := *e
		junk.faults |= Junk
		g.queue.push(&junk)
	}
	again := *e
	again.faults |= Duplicate
	switch {
	case e.kind == kind(Impressions) && r.hits(g.chances.duplicateImpression):
		if r.below(4) == 0 {
			again.timeMS += 1 + r.below(maxRestampMS)
		}
	case e.kind == kind(Clicks) && e.faults == 0 && r.hits(g.chances.resentClick):
	default:
		return
	}
	// A retry keeps the bound on disorder too, unless it is late anyway.
	again.dueMS = min(max(again.timeMS, e.dueMS+r.below(maxResendMS)), again.timeMS+g.opts.JitterMS)
	if again.faults&Late != 0 {
		again.dueMS = e.dueMS
	}
	g.queue.push(&again)
}

// delay draws how long after its event time e arrives, and marks it if late.
// Squaring the draw makes short delays the common ones.
func (g *Generator) delay(r *random, e *entry) int64 {
	if r.hits(g.chances.late) {
		e.faults |= Late
		return g.opts.JitterMS + 1 + r.below(g.opts.LateByMS)
	}
	if g.opts.JitterMS == 0 {
		return 0
	}
	u := r.next() >> 32
	hi, _ := bits.Mul64(u*u, uint64(g.opts.JitterMS+1))
	return int64(hi)
}
