package ab

import (
	"errors"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Side is one of the two clusters.
type Side int

// The sides.
const (
	A Side = iota
	B
)

func (s Side) other() Side { return 1 - s }

func (s Side) String() string { return [...]string{"a", "b"}[s] }

// Options tune a Table. Zero fields take their defaults.
type Options struct {
	// Share is A's share of the requests while both clusters are alike. The default is 0.5.
	Share float64
	// Floor is the least share of either cluster. Requests to one that has no more
	// are copies: the other one is asked too. The default is 0.02.
	Floor float64
	// Window is how long an observation counts. The default is 5 seconds.
	Window time.Duration
	// Quantile of the latencies, within the window, is what clusters are compared by,
	// and after which a request is hedged. The default is 0.95.
	Quantile float64
	// Alike is by which factor that may differ without the share moving, and Negligible
	// the latency below which none counts. The defaults are 1.5 and 1 ms.
	Alike      float64
	Negligible time.Duration
	// FailureCost is what a failed request counts as, in latency. The default is
	// Timeout.
	FailureCost time.Duration
	// Crowd is by how many unanswered requests a cluster may be ahead of twice the
	// other's before requests go to that one, whatever the share. The default is 8.
	Crowd int
	// LeaveRate and ReturnRate are how fast the share moves, of all requests a second:
	// away from Share, and back to it. The defaults are 2 and 0.1.
	LeaveRate, ReturnRate float64

	// HedgeMin and HedgeMax bound after how long a request is hedged. The defaults are
	// 1 ms and 10 ms.
	HedgeMin, HedgeMax time.Duration
	// HedgeBudget bounds the requests that are made in addition, hedges and copies, as
	// a share of all, and HedgeBurst how many of them may be saved up. The defaults
	// are 0.1 and 20.
	HedgeBudget float64
	HedgeBurst  int

	// Timeout ends a request to a cluster. The default is 1 second.
	Timeout time.Duration
	// MaxPending bounds the requests that one cluster has not answered, including
	// those that have timed out and never returned. The default is 64.
	MaxPending int
	// Breakers are the clusters' own. The default lets every request pass.
	Breakers [2]dimjoin.Breaker
	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// tick is how often the share moves.
const tick = 100 * time.Millisecond

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.Share, 0.5)
	setDefault(&o.Floor, 0.02)
	setDefault(&o.Window, 5*time.Second)
	setDefault(&o.Quantile, 0.95)
	setDefault(&o.Alike, 1.5)
	setDefault(&o.Negligible, time.Millisecond)
	setDefault(&o.Crowd, 8)
	setDefault(&o.LeaveRate, 2)
	setDefault(&o.ReturnRate, 0.1)
	setDefault(&o.HedgeMin, time.Millisecond)
	setDefault(&o.HedgeMax, 10*time.Millisecond)
	setDefault(&o.HedgeBudget, 0.1)
	setDefault(&o.HedgeBurst, 20)
	setDefault(&o.Timeout, time.Second)
	setDefault(&o.FailureCost, o.Timeout)
	setDefault(&o.MaxPending, 64)
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Validate reports every option that makes no sense.
func (o *Options) Validate() error {
	var errs []error
	for _, c := range []struct {
		name string
		bad  bool
		want string
	}{
		{"Share", o.Share < 0 || o.Share >= 1, "between 0 and 1"},
		{"Floor", o.Floor < 0 || o.Floor >= 0.5, "less than 0.5"},
		{"Window", o.Window < 0 || o.Window > 0 && o.Window < sliceCount*time.Millisecond, "some seconds"},
		{"Quantile", o.Quantile < 0 || o.Quantile >= 1, "between 0 and 1"},
		{"Alike", o.Alike < 0 || o.Alike > 0 && o.Alike < 1, "at least 1"},
		{"Negligible", o.Negligible < 0, "at least 0"},
		{"FailureCost", o.FailureCost < 0, "at least 0"},
		{"Crowd", o.Crowd < 0, "at least 0"},
		{"LeaveRate", o.LeaveRate < 0, "more than 0"},
		{"ReturnRate", o.ReturnRate < 0, "more than 0"},
		{"HedgeMin", o.HedgeMin < 0, "at least 0"},
		{"HedgeMax", o.HedgeMax < 0, "at least 0"},
		{"HedgeBudget", o.HedgeBudget < 0 || o.HedgeBudget > 1, "between 0 and 1"},
		{"HedgeBurst", o.HedgeBurst < 0, "at least 0"},
		{"Timeout", o.Timeout < 0, "more than 0"},
		{"MaxPending", o.MaxPending < 0, "at least 1"},
	} {
		if c.bad {
			errs = append(errs, fmt.Errorf("%s of two clusters must be %s", c.name, c.want))
		}
	}
	return errors.Join(errs...)
}

func setDefault[T int | float64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}
