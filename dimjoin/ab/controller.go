package ab

import (
	"math"
	"time"
)

// Controller decides which cluster a request goes to, and when it is hedged. What it
// decides depends on what it is told and on the times it is given alone, which must
// not go back. One goroutine uses it.
type Controller struct {
	opts  Options
	width time.Duration // of a window's slice

	sides   [2]sideState
	share   float64 // A's
	owed    float64 // how much of a request A is behind its share
	tokens  float64 // requests that may be made in addition
	hedge   time.Duration
	next    time.Time // when the share moves
	history []Point   // a ring
	newest  int
}

// sideState is what is known of one cluster.
type sideState struct {
	window  window
	pending []time.Time   // when the requests began that it has not answered
	known   time.Duration // the quantile of its latencies within the window
	lately  time.Duration // its cost within the last of the window
}

// Point is how things stood at one time.
type Point struct {
	AtMS   int64    `json:"at_ms"`
	ShareA float64  `json:"share_a"`
	TookUS [2]int64 `json:"took_us"` // the quantile that the clusters are compared by, failures and pending requests included, in µs; 0 where nothing is known
}

// Choice is where a request goes.
type Choice struct {
	First Side
	// Copy says that the other cluster is sent the request too, to see how it does. It
	// is paid for.
	Copy bool
	// HedgeAfter is how long to wait for the first before the other is asked, if Hedge
	// allows it.
	HedgeAfter time.Duration
}

// historyLen is how many points are kept: two minutes.
const historyLen = 1200

// NewController makes one; options that make no sense panic.
func NewController(o Options, now time.Time) *Controller {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	o.EnsureDefaults()
	return &Controller{opts: o, width: o.Window / sliceCount, share: o.Share, tokens: float64(o.HedgeBurst), hedge: o.HedgeMax, next: now.Add(tick)}
}

// Choose decides where the next request goes.
func (c *Controller) Choose(now time.Time) Choice {
	c.advance(now)
	c.tokens = min(c.tokens+c.opts.HedgeBudget, float64(c.opts.HedgeBurst))
	choice := Choice{First: B, HedgeAfter: c.hedge}
	if c.owed += c.share; c.owed >= 1 {
		c.owed--
		choice.First = A
	}
	switch other := choice.First.other(); {
	case c.shuns(choice.First):
		choice.First = other
		choice.Copy = c.pay()
	case c.Pending(choice.First) > 2*c.Pending(other)+c.opts.Crowd:
		choice.First = other
	}
	return choice
}

// shuns reports whether a cluster has no more than the least share, though it should.
func (c *Controller) shuns(s Side) bool {
	share, should := c.share, c.opts.Share
	if s == B {
		share, should = 1-share, 1-should
	}
	return share <= c.opts.Floor+1e-9 && should > c.opts.Floor
}

// muchSlower is by how much a shunned cluster is too slow to be hedged to. A few copies
// tell no small difference.
const muchSlower = 4

// Hedge reports whether a request may be made to a cluster in addition, and pays for it.
// One that is shunned with reason, as of late, would not be faster.
func (c *Controller) Hedge(to Side) bool {
	if c.shuns(to) && c.sides[to].lately > muchSlower*max(c.sides[to.other()].lately, c.opts.HedgeMax) {
		return false
	}
	return c.pay()
}

func (c *Controller) pay() bool {
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	return true
}

// Pending is how many requests a cluster has that have not ended.
func (c *Controller) Pending(s Side) int { return len(c.sides[s].pending) }

// Began notes a request to a cluster.
func (c *Controller) Began(s Side, now time.Time) {
	c.advance(now)
	c.sides[s].pending = append(c.sides[s].pending, now)
}

// Ended notes how a request that began at began went. One that says nothing of the
// cluster, as it was given up, is only no longer pending.
func (c *Controller) Ended(s Side, began, now time.Time, err error, saysNothing bool) {
	c.advance(now)
	side := &c.sides[s]
	for i, p := range side.pending {
		if p.Equal(began) {
			side.pending[i] = side.pending[len(side.pending)-1]
			side.pending = side.pending[:len(side.pending)-1]
			break
		}
	}
	if !saysNothing {
		side.window.add(now.Sub(began), err != nil)
	}
}

// Refused notes that a request could not be made: the cluster's breaker is open, or
// it has too many unanswered.
func (c *Controller) Refused(s Side, now time.Time) {
	c.advance(now)
	c.sides[s].window.add(0, true)
}

// advance brings the controller to now.
func (c *Controller) advance(now time.Time) {
	if gap := now.Sub(c.next); gap > time.Minute { // asleep: what is to be seen is the last of it
		c.next = c.next.Add((gap - time.Minute).Truncate(tick))
	}
	for ; !c.next.After(now); c.next = c.next.Add(tick) {
		c.step(c.next)
	}
	for i := range c.sides {
		c.sides[i].window.advance(now, c.width)
	}
}

// step moves the share.
func (c *Controller) step(now time.Time) {
	var cost [2]time.Duration
	for i := range c.sides {
		cost[i] = c.cost(&c.sides[i], now)
	}
	c.hedge = c.hedgeAfter()
	target := c.target(cost)
	rate := c.opts.ReturnRate
	if math.Abs(target-c.opts.Share) > math.Abs(c.share-c.opts.Share) || (target-c.opts.Share)*(c.share-c.opts.Share) < 0 {
		rate = c.opts.LeaveRate
	}
	most := rate * tick.Seconds()
	c.share += min(max(target-c.share, -most), most)
	c.record(Point{AtMS: now.UnixMilli(), ShareA: c.share, TookUS: [2]int64{cost[A].Microseconds(), cost[B].Microseconds()}})
}

// cost is the quantile of a cluster's latencies within the window, or within the last
// of it if that is worse: it is left at once, and trusted again when all is well. 0
// says that nothing is known.
func (c *Controller) cost(s *sideState, now time.Time) time.Duration {
	s.window.advance(now, c.width)
	all, lately := s.window.sum(sliceCount), s.window.sum(2)
	s.known = all.took.quantile(c.opts.Quantile)
	cost := c.costOf(all, s, now)
	s.lately = c.costOf(lately, s, now)
	if lately.took.count()+lately.failed+len(s.pending) >= enough {
		cost = max(cost, s.lately)
	}
	return cost
}

// enough is how many requests it takes to judge a cluster by the last of the window.
const enough = 20

// costOf is the quantile of some requests and those that are pending, which have
// taken at least so long as they are. Failed ones each count as FailureCost.
func (c *Controller) costOf(all slice, s *sideState, now time.Time) time.Duration {
	for _, began := range s.pending {
		if age := now.Sub(began); age > s.known {
			all.took[bucketOf(age)]++
		}
	}
	ok := all.took.count()
	if ok+all.failed == 0 {
		return 0
	}
	failed := float64(all.failed) / float64(ok+all.failed)
	return all.took.quantile(c.opts.Quantile) + time.Duration(failed*float64(c.opts.FailureCost))
}

// target is the share that A should have: with w the ratio of the costs beyond what
// is alike, squared, Share·w : (1−Share).
func (c *Controller) target(cost [2]time.Duration) float64 {
	if cost[A] == 0 || cost[B] == 0 {
		return c.opts.Share
	}
	least := float64(c.opts.Negligible)
	ratio := max(float64(cost[B]), least) / max(float64(cost[A]), least)
	switch {
	case ratio > c.opts.Alike:
		ratio /= c.opts.Alike
	case ratio < 1/c.opts.Alike:
		ratio *= c.opts.Alike
	default:
		return c.opts.Share
	}
	w := c.opts.Share * ratio * ratio
	return min(max(w/(w+1-c.opts.Share), c.opts.Floor), 1-c.opts.Floor)
}

// hedgeAfter is the better cluster's quantile: what takes longer, the other one
// probably has sooner.
func (c *Controller) hedgeAfter() time.Duration {
	best := c.opts.HedgeMax
	for i := range c.sides {
		if known := c.sides[i].known; known > 0 {
			best = min(best, known)
		}
	}
	return max(best, c.opts.HedgeMin)
}

// Share is A's share of the requests.
func (c *Controller) Share() float64 { return c.share }

func (c *Controller) record(p Point) {
	if len(c.history) < historyLen {
		c.history = append(c.history, p)
		c.newest = len(c.history) - 1
		return
	}
	c.newest = (c.newest + 1) % historyLen
	c.history[c.newest] = p
}

// History is how the share was, the oldest first, one Point each 100 ms, of the last
// two minutes.
func (c *Controller) History() []Point {
	out := make([]Point, 0, len(c.history))
	for i := range c.history {
		out = append(out, c.history[(c.newest+1+i)%len(c.history)])
	}
	return out
}
