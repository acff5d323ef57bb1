package spec

import (
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Dimension is one declared dimension, and how it is read.
type Dimension struct {
	dimjoin.Definition
	Read    DimensionRead
	Changes *Changes // nil where nothing keeps the table up to date
	Wait    Patience // how long closed impressions wait for a row; zero where they do not
	Correct Patience // how long rows are corrected that were written without it; zero where they are not

	storeAt place // in the file
}

// Patience is how long, and how many, rows of instances wait for a dimension.
type Patience struct {
	For   time.Duration // of wall time; 0: they do not wait
	Every time.Duration // how often the dimension is read again meanwhile
	Rows  int           // that one worker has wait at once
	Bytes int64         // that they take
}

// Fault is a finding about what the dimension's store holds, at the place where an
// experiment names the store.
func (d *Dimension) Fault(e *Experiment, err error) Diagnostic {
	return d.storeAt.finding(e.Path, SeverityError, BadDimension, err.Error())
}

// DimensionRead is how a dimension's store is asked.
type DimensionRead struct {
	CacheBytes       int64
	TTL, NegativeTTL time.Duration
	StaleFor         time.Duration
	Timeout          time.Duration
	Concurrency      int
	Batch            int
	Breaker          Breaker
}

const (
	defaultWait      = 10 * time.Minute
	defaultWaitEvery = 10 * time.Second
	defaultWaitRows  = 100_000
	defaultWaitBytes = 256_000_000

	defaultCorrect      = time.Hour
	defaultCorrectEvery = time.Minute

	defaultCacheBytes = 64_000_000
	defaultTimeout    = 100 * time.Millisecond
	atHandTimeout     = time.Minute
)

// Breaker says when a store is left alone, and for how long.
type Breaker struct {
	ErrorPercent int
	Requests     int
	Sleep        time.Duration
}

// dimensionRead settles how the dimension n is read. One that is at hand, on this
// machine, is not cached, and waited for.
func (l *loader) dimensionRead(n *node, atHand bool) DimensionRead {
	c, b := n.get("cache"), n.get("breaker")
	cacheBytes, timeout := int64(defaultCacheBytes), defaultTimeout
	if atHand {
		timeout = atHandTimeout
		if c == nil {
			cacheBytes = 0
		}
	}
	r := DimensionRead{
		CacheBytes:  c.get("size").size(cacheBytes),
		TTL:         c.get("ttl").duration(time.Minute),
		NegativeTTL: c.get("negative_ttl").duration(10 * time.Second),
		StaleFor:    c.get("stale_for").duration(time.Hour),
		Timeout:     n.get("timeout").duration(timeout),
		Concurrency: int(n.get("concurrency").int(8)),
		Batch:       int(n.get("batch").int(500)),
		Breaker:     Breaker{int(b.get("errors").int(50)), int(b.get("requests").int(20)), b.get("sleep").duration(5 * time.Second)},
	}
	if r.Breaker.ErrorPercent > 100 {
		l.fail(b.get("errors").at, BadValue, "errors is %d; it is a percentage, from 1 to 100", r.Breaker.ErrorPercent)
	}
	return r
}

// patience settles how long closed impressions wait for a row of the dimension n, and
// how long rows that were written without it are corrected.
func (l *loader) patience(n *node, def *Dimension) {
	if def.Missing == dimjoin.MissingWait {
		def.Wait = patienceOf(n.get("wait"), defaultWait, defaultWaitEvery)
	} else if at := n.find("wait"); at != nil {
		l.fail(at.at, BadDimension, "nothing waits for this dimension: missing is %s", def.Missing).Help = "use missing: " + dimjoin.MissingWait + ", or remove the block"
	}
	if c := n.get("correct"); c != nil {
		def.Correct = patienceOf(c, defaultCorrect, defaultCorrectEvery)
		if def.Missing == dimjoin.MissingDeadLetter {
			l.fail(n.find("correct").at, BadDimension, "an impression without a row goes to dead letters, and what is there is not corrected").Help = "use another missing, or remove the block"
		}
	}
}

func patienceOf(n *node, long, every time.Duration) Patience {
	return Patience{
		For:   n.get("for").duration(long),
		Every: n.get("every").duration(every),
		Rows:  int(n.get("rows").int(defaultWaitRows)),
		Bytes: n.get("size").size(defaultWaitBytes),
	}
}

// waiting refuses rows that wait, or are corrected, where they could not be kept.
func (l *loader) waiting(output *node) {
	for i := range l.exp.Dimensions {
		if d := &l.exp.Dimensions[i]; (d.Wait.For > 0 || d.Correct.For > 0) && l.exp.Output.Delivery != "exactly_once" {
			l.fail(output.get("delivery").at, Conflict, "rows that wait for the dimension `%s`, or are corrected, are kept in a topic, by the transactions of delivery: exactly_once", d.Name).Help =
				"use delivery: exactly_once, or wait: {for: 0s}, so that they wait no longer than their impression is held, and no correct"
			return
		}
	}
}
