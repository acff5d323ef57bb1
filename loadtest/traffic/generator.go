package traffic

// Generator yields one run's traffic in order of arrival. One goroutine uses it.
type Generator struct {
	opts     Options
	seed     uint64
	items    zipf
	users    zipf
	segments zipf
	clicks   clickModel
	clickAt  logNormal
	orderAt  logNormal
	price    logNormal
	chances  chances
	payload  payload

	queue      queue
	request    uint64 // number of the next request to plan
	remaining  int64  // impressions not planned yet
	plannedNS  int64  // of the next request, since StartMS
	perShownNS int64  // event time that one impression takes, Q16 ns
	line       []byte
	scratch    []byte
	summary    Summary
}

// chances are the options' shares, ready to be drawn.
type chances struct {
	order, query, late, duplicateImpression, secondClick, resentClick, orphan, junk, oddID chance
}

// New returns the generator of opts, after filling in defaults.
func New(opts Options) (*Generator, error) {
	opts.EnsureDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	g := &Generator{
		opts:     opts,
		seed:     mix(opts.Seed + golden),
		items:    newZipf(opts.Items, opts.ItemSkew, true),
		users:    newZipf(opts.Users, opts.UserSkew, false),
		segments: newZipf(opts.Segments, 1, false),
		clickAt:  newLogNormal(opts.ClickMedianMS, opts.ClickSigma, maxDelayMS),
		orderAt:  newLogNormal(orderMedianMS, 1.2, maxDelayMS),
		price:    newLogNormal(priceMedianCents, 0.9, maxPriceCents),
		chances: chances{
			newChance(opts.OrderShare), newChance(opts.QueryShare), newChance(opts.LateShare),
			newChance(opts.DuplicateImpressions), newChance(opts.DuplicateClicks / 2), newChance(opts.DuplicateClicks / 2),
			newChance(opts.OrphanShare), newChance(opts.JunkShare), newChance(opts.OddIDShare),
		},
		remaining:  opts.Impressions,
		perShownNS: int64(one * 1e9 / opts.Rate),
		summary:    Summary{Options: opts},
	}
	g.payload = newPayload()
	g.clicks = g.newClickModel()
	return g, nil
}

// Next puts the next record to arrive into e and returns true, or returns false
// when there is none left. e.Line is the generator's own until the next call.
func (g *Generator) Next(e *Event) bool {
	for {
		first := g.queue.first()
		if g.remaining > 0 && (first == nil || (*first)[0].dueMS >= g.nextRequestMS()) {
			g.plan()
			continue
		}
		if first == nil {
			return false
		}
		var due entry
		first.pop(&due)
		if due.kind == unshown {
			g.show(&due)
			continue
		}
		g.render(&due)
		*e = Event{Stream: Stream(due.kind), Faults: due.faults, TimeMS: due.timeMS, ArrivalMS: due.dueMS, Line: g.line}
		g.summary.count(e)
		return true
	}
}

// Summary says what has been generated so far.
func (g *Generator) Summary() Summary { return g.summary }

func (g *Generator) nextRequestMS() int64 { return g.opts.StartMS + g.plannedNS/1e6 }
