package traffic

import (
	"errors"
	"fmt"
)

// Options shape the traffic. Zero fields take their defaults; shares lie in
// [0, 1] and default to 0, so that the zero Options are clean, ordered traffic
// of impressions and clicks. Start from Realistic or Hostile for more.
type Options struct {
	// Seed decides everything that is drawn. The default is 0, a seed like any other.
	Seed uint64 `json:"seed"`
	// Impressions is how many distinct impressions there are. The default is
	// 100,000, or what DurationMS at Rate gives.
	Impressions int64 `json:"impressions"`
	// DurationMS, where set, takes the place of Impressions: how much event time there is.
	DurationMS int64 `json:"duration_ms,omitempty"`
	// Rate is impressions a second of event time. The default is 20.
	Rate float64 `json:"rate"`
	// StartMS is the event time of the first request, ms UTC. The default is
	// 2026-01-01T00:00:00Z.
	StartMS int64 `json:"start_ms"`

	// Items is how many items there are to show. The default is 10,000.
	Items int `json:"items"`
	// ItemSkew is the exponent of the items' Zipf popularity. The default is
	// 1.05; a negative one means uniform.
	ItemSkew float64 `json:"item_skew"`
	// Users is how many users there are. The default is 100,000.
	Users int `json:"users"`
	// UserSkew is the exponent of the users' Zipf activity. The default is
	// 0.8; a negative one means uniform.
	UserSkew float64 `json:"user_skew"`
	// Segments is how many user segments there are, Zipf with exponent 1. The default is 50.
	Segments int `json:"segments"`
	// Positions is how many impressions a request has at most: their number is
	// uniform in 1..Positions. The default is 10.
	Positions int `json:"positions"`
	// PayloadBytes pads each impression with realistic further fields to this
	// many bytes. The default is 0, no padding.
	PayloadBytes int `json:"payload_bytes"`

	// CTR is the share of impressions that are clicked, over all positions. The
	// default is 0.05; a negative one means no clicks.
	CTR float64 `json:"ctr"`
	// ClickMedianMS is the median of the log-normal delay from impression to
	// click. The default is 45 s.
	ClickMedianMS int64 `json:"click_median_ms"`
	// ClickSigma is the delay's standard deviation in natural-log units. The
	// default is 1.8: three clicks in four come within 2.5 minutes, about one in 130 after an hour.
	ClickSigma float64 `json:"click_sigma"`
	// OrderShare is the share of clicks that an order follows.
	OrderShare float64 `json:"order_share"`
	// QueryShare is the share of requests that a search query precedes.
	QueryShare float64 `json:"query_share"`

	// JitterMS is how much later than its event time a record may arrive. The
	// default is 0: every stream is in order.
	JitterMS int64 `json:"jitter_ms"`
	// LateShare is the share of records that arrive later than JitterMS.
	LateShare float64 `json:"late_share"`
	// LateByMS is how far beyond JitterMS late records may arrive. The default is 2 h.
	LateByMS int64 `json:"late_by_ms"`
	// DuplicateImpressions is the share of impressions that arrive again: three
	// in four byte for byte, as a producer's retry, one with a later event time.
	DuplicateImpressions float64 `json:"duplicate_impressions"`
	// DuplicateClicks is the share of clicks that come again: half of them byte
	// for byte, half as a second click with an id and a time of its own.
	DuplicateClicks float64 `json:"duplicate_clicks"`
	// OrphanShare adds clicks and orders of impressions that do not exist, as a
	// share of the real ones.
	OrphanShare float64 `json:"orphan_share"`
	// JunkShare adds broken lines to every stream, as a share of the sound ones:
	// broken JSON, wrong types, missing keys, absurd times.
	JunkShare float64 `json:"junk_share"`
	// OddIDShare is the share of requests and of items whose ids hold `|`, `\`,
	// quotes, control characters or text beyond ASCII. Impressions write such
	// ids as UTF-8, the other streams with \u escapes: equal once decoded.
	OddIDShare float64 `json:"odd_id_share"`
}

// Realistic are Options as a well-kept site's logs look: some disorder, few
// duplicates, hardly any junk. Everything arrives within 2 s.
func Realistic() Options {
	return Options{
		OrderShare: 0.08, QueryShare: 0.4, JitterMS: 2000, DuplicateImpressions: 0.002,
		DuplicateClicks: 0.03, OrphanShare: 0.005, JunkShare: 0.0005, OddIDShare: 0.002,
	}
}

// Hostile are Options under which whatever can go wrong with a record does so often.
func Hostile() Options {
	return Options{
		CTR: 0.2, OrderShare: 0.3, QueryShare: 0.6, JitterMS: 20_000, LateShare: 0.01, DuplicateImpressions: 0.05,
		DuplicateClicks: 0.2, OrphanShare: 0.05, JunkShare: 0.02, OddIDShare: 0.1,
	}
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.Rate, 20)
	if o.DurationMS > 0 {
		o.Impressions = max(1, int64(float64(o.DurationMS)*o.Rate/1000))
	}
	setDefault(&o.Impressions, 100_000)
	setDefault(&o.StartMS, 1_767_225_600_000)
	setDefault(&o.Items, 10_000)
	setDefault(&o.ItemSkew, 1.05)
	setDefault(&o.Users, 100_000)
	setDefault(&o.UserSkew, 0.8)
	setDefault(&o.Segments, 50)
	setDefault(&o.Positions, 10)
	setDefault(&o.CTR, 0.05)
	setDefault(&o.ClickMedianMS, 45_000)
	setDefault(&o.ClickSigma, 1.8)
	setDefault(&o.LateByMS, 2*3_600_000)
}

func setDefault[T int | int64 | float64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Bounds of what the samplers' integers hold.
const (
	maxChoices      = 1 << 24 // items, users, segments
	maxPositions    = 30
	maxPayloadBytes = 16 << 20
	maxImpressions  = 1 << 48
	maxSpanMS       = 50 * 365 * 24 * 3_600_000 // of event time, and of any one delay
)

// Validate returns all that is wrong with o, after EnsureDefaults.
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, name string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("traffic: %s is %v: it must be %s", name, value, want))
		}
	}
	check(o.Impressions > 0 && o.Impressions <= maxImpressions, "impressions", o.Impressions, "positive")
	check(o.DurationMS >= 0 && o.DurationMS <= maxSpanMS, "duration", o.DurationMS, "between 0 and 50 years")
	check(o.Rate >= 0.001 && o.Rate <= 1e8, "rate", o.Rate, "between 0.001 and 1e8 impressions a second")
	check(float64(o.Impressions)/o.Rate*1000 <= maxSpanMS, "impressions / rate", o.Impressions, "at most 50 years of event time; raise the rate")
	check(o.StartMS > 0 && o.StartMS < maxSpanMS*4, "start", o.StartMS, "a time after 1970, ms UTC")
	check(o.Items > 0 && o.Items <= maxChoices, "items", o.Items, "between 1 and 16,777,216")
	check(o.Users > 0 && o.Users <= maxChoices, "users", o.Users, "between 1 and 16,777,216")
	check(o.Segments > 0 && o.Segments <= maxChoices, "segments", o.Segments, "between 1 and 16,777,216")
	check(o.ItemSkew <= 8, "item skew", o.ItemSkew, "at most 8")
	check(o.UserSkew <= 8, "user skew", o.UserSkew, "at most 8")
	check(o.Positions > 0 && o.Positions <= maxPositions, "positions", o.Positions, "between 1 and 30")
	check(o.PayloadBytes >= 0 && o.PayloadBytes <= maxPayloadBytes, "payload bytes", o.PayloadBytes, "between 0 and 16 MiB")
	check(o.CTR <= 1, "ctr", o.CTR, "at most 1")
	check(o.ClickMedianMS > 0 && o.ClickMedianMS <= maxDelayMS, "click median", o.ClickMedianMS, "between 1 ms and 24 h")
	check(o.ClickSigma > 0 && o.ClickSigma <= 8, "click sigma", o.ClickSigma, "above 0, at most 8")
	check(o.JitterMS >= 0 && o.JitterMS <= maxSpanMS, "jitter", o.JitterMS, "0 ms or more")
	check(o.LateByMS > 0 && o.LateByMS <= maxSpanMS, "late by", o.LateByMS, "1 ms or more")
	for _, s := range []struct {
		name  string
		value float64
	}{
		{"order share", o.OrderShare}, {"query share", o.QueryShare}, {"late share", o.LateShare},
		{"duplicate impressions", o.DuplicateImpressions}, {"duplicate clicks", o.DuplicateClicks},
		{"orphan share", o.OrphanShare}, {"junk share", o.JunkShare}, {"odd id share", o.OddIDShare},
	} {
		check(s.value >= 0 && s.value <= 1, s.name, s.value, "between 0 and 1")
	}
	return errors.Join(errs...)
}
