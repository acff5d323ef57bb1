package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/experiments"
)

// A dimension's experiment is the first that declares it, which tells those of one
// name apart.
var (
	dimensionRows      = dimensionMetric("rows_total", "Lookups of rows, by how they were served: hit and store are as asked.", "served")
	dimensionWithout   = dimensionMetric("without_row_total", "Lookups served as default or missing, by why: the key has no row, the store could not be read, the row cannot be used, or a part of the key is null.", "reason")
	dimensionRejected  = dimensionMetric("rejected_total", "Lookups that sent their impression to the dead letters.")
	dimensionRequests  = dimensionMetric("requests_total", "Requests to the store, by how they ended; refused ones were not made, as the breaker was open.", "result")
	dimensionKeys      = dimensionMetric("keys_total", "Keys that the store was asked for.")
	dimensionShared    = dimensionMetric("shared_keys_total", "Keys that another batch had asked the store for already.")
	dimensionRefreshed = dimensionMetric("refreshed_keys_total", "Keys that were read again ahead of their time.")
	dimensionSeconds   = dimensionMetric("request_seconds", "How long requests to the store took.")
	dimensionAbandoned = dimensionMetric("abandoned_requests", "Requests past their deadline that have not returned.")
	dimensionBreaker   = dimensionMetric("breaker_state", "What the breaker does: 0 lets requests pass, 1 lets one pass to see, 2 lets none pass.")
	dimensionCached    = dimensionMetric("cached_keys", "Keys in the cache.")
	dimensionBytes     = dimensionMetric("cached_bytes", "What they take of memory.")

	changesRead       = dimensionMetric("changes_total", "Changes of rows that were read from the dimension's change stream.")
	changesSame       = dimensionMetric("unchanged_total", "Of them, those that changed nothing.")
	changesLate       = dimensionMetric("late_changes_total", "Of them, those that came later than what is remembered of their row.")
	changesUnreadable = dimensionMetric("unreadable_changes_total", "Records of the change stream that went to dead letters.")
	changesLag        = dimensionMetric("changes_lag_records", "Records of the change stream that are not in the table yet.")
	changesFinal      = dimensionMetric("changes_final_timestamp_seconds", "Up to when the table has every change, as a Unix time. Rows that are read as of later event times wait.")

	clusterShare    = dimensionMetric("cluster_share", "The share of requests that a cluster of an ab store gets.", "cluster")
	clusterRequests = dimensionMetric("cluster_requests_total", "Requests to a cluster, by how they ended.", "cluster", "result")
	clusterWon      = dimensionMetric("cluster_used_total", "Requests to a cluster whose answer was used.", "cluster")
	clusterSeconds  = dimensionMetric("cluster_request_seconds", "How long requests to a cluster took.", "cluster")
	clusterBreaker  = dimensionMetric("cluster_breaker_state", "What a cluster's breaker does, as breaker_state.", "cluster")
	clusterHedges   = dimensionMetric("cluster_hedges_total", "Requests that were made to the other cluster too, as the first was slow.")
)

var dimensionDescriptions = []*prometheus.Desc{changesRead, changesSame, changesLate, changesUnreadable, changesLag, changesFinal,
	dimensionRows, dimensionWithout, dimensionRejected, dimensionRequests, dimensionKeys, dimensionShared, dimensionRefreshed,
	dimensionSeconds, dimensionAbandoned, dimensionBreaker, dimensionCached, dimensionBytes, clusterShare, clusterRequests, clusterWon, clusterSeconds, clusterBreaker, clusterHedges}

func dimensionMetric(name, help string, labels ...string) *prometheus.Desc {
	return metric("dimension_"+name, help, append([]string{"experiment", "dimension", "store"}, labels...)...)
}

func collectDimension(ch chan<- prometheus.Metric, d *experiments.DimensionStatus) {
	s := &d.Stats
	with := func(labels ...string) []string {
		return append([]string{d.Experiments[0], d.Name, d.Store}, labels...)
	}
	without := -s.Absent - s.Unavailable - s.BadRows
	for served := dimjoin.ServedHit; served <= dimjoin.ServedMissing; served++ {
		n := s.Served[served]
		if served >= dimjoin.ServedDefault {
			without += n
		}
		counter(ch, dimensionRows, float64(n), with(served.String())...)
	}
	for _, w := range []struct {
		reason string
		n      int64
	}{{"absent", s.Absent}, {"unavailable", s.Unavailable}, {"bad_row", s.BadRows}, {"null_key", without}} {
		counter(ch, dimensionWithout, float64(w.n), with(w.reason)...)
	}
	if c := d.Changes; c != nil {
		counter(ch, changesRead, float64(c.Changes), with()...)
		counter(ch, changesSame, float64(c.Unchanged), with()...)
		counter(ch, changesLate, float64(c.Late), with()...)
		counter(ch, changesUnreadable, float64(c.Unreadable), with()...)
		gauge(ch, changesLag, float64(c.LagRecords), with()...)
		if c.FinalMS > 0 {
			gauge(ch, changesFinal, float64(c.FinalMS)/1000, with()...)
		}
	}
	counter(ch, dimensionRejected, float64(s.Rejected), with()...)
	results(ch, dimensionRequests, s.Requests, s.Failed, s.TimedOut, s.Refused, with())
	counter(ch, dimensionKeys, float64(s.Keys), with()...)
	counter(ch, dimensionShared, float64(s.Shared), with()...)
	counter(ch, dimensionRefreshed, float64(s.Refreshed), with()...)
	latencies(ch, dimensionSeconds, &s.Took, with()...)
	gauge(ch, dimensionAbandoned, float64(s.Abandoned), with()...)
	gauge(ch, dimensionBreaker, float64(s.Breaker), with()...)
	gauge(ch, dimensionCached, float64(s.CacheKeys), with()...)
	gauge(ch, dimensionBytes, float64(s.CacheBytes), with()...)
	if d.Clusters != nil {
		collectClusters(ch, d.Clusters, with)
	}
}

func collectClusters(ch chan<- prometheus.Metric, c *ab.Stats, with func(...string) []string) {
	for i, share := range []float64{c.ShareA, 1 - c.ShareA} {
		side, s := ab.Side(i).String(), &c.Sides[i]
		gauge(ch, clusterShare, share, with(side)...)
		results(ch, clusterRequests, s.Requests, s.Failed, s.TimedOut, s.Refused, with(side))
		counter(ch, clusterWon, float64(s.Won), with(side)...)
		latencies(ch, clusterSeconds, &s.Took, with(side)...)
		gauge(ch, clusterBreaker, float64(s.Breaker), with(side)...)
	}
	counter(ch, clusterHedges, float64(c.Hedges), with()...)
}

// results counts requests by how they ended; those that were not made are not
// among them.
func results(ch chan<- prometheus.Metric, d *prometheus.Desc, requests, failed, timedOut, refused int64, labels []string) {
	for _, r := range []struct {
		result string
		n      int64
	}{{"answered", requests - failed - timedOut}, {"failed", failed}, {"timed_out", timedOut}, {"refused", refused}} {
		counter(ch, d, float64(r.n), append(labels[:len(labels):len(labels)], r.result)...)
	}
}

func latencies(ch chan<- prometheus.Metric, d *prometheus.Desc, l *dimjoin.Latencies, labels ...string) {
	upTo, n := map[float64]uint64{}, uint64(0)
	for i, bound := range dimjoin.LatencyBounds {
		n += uint64(l.Buckets[i])
		upTo[bound] = n
	}
	ch <- prometheus.MustNewConstHistogram(d, uint64(l.Count()), l.Sum.Seconds(), upTo, labels...)
}
