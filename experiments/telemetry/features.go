package telemetry

import (
	"maps"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mortise-dev/mortise/experiments"
)

var (
	featureEvents     = metric("feature_events_total", "Events added to features.", "generation", "source")
	featureLate       = metric("feature_late_events_total", "Of them, those behind the source's watermark: rows may have missed them.", "generation", "source")
	featureUnreadable = metric("feature_unreadable_records_total", "Records that features could not use.", "generation", "source")
	featureTiles      = metric("feature_tiles_total", "Tiles of the finest level that were merged into the store.", "generation", "source")
	featureBytes      = metric("feature_written_bytes_total", "Bytes of tiles that were merged into the store.", "generation", "source")
	featureWatermark  = metric("feature_watermark_timestamp_seconds", "Up to when a source's tiles are final, as a Unix time. Rows of later impressions wait.", "generation", "source")
	featureComplete   = metric("feature_complete_from_timestamp_seconds", "From when on a feature's window lies within what its source held, or what has not expired, as a Unix time. Rows of earlier impressions have less.", "generation", "source", "feature")
	featureLag        = metric("feature_lag_records", "Records of a source that are not added to features yet.", "generation", "source")
)

var featureDescriptions = []*prometheus.Desc{featureEvents, featureLate, featureUnreadable, featureTiles, featureBytes, featureWatermark, featureComplete, featureLag}

// BySource adds up what the tasks of each generation and source say: a process that
// shares a store may have several. The source is as far as the least of them.
func BySource(all []experiments.FeatureStatus) (out []experiments.FeatureStatus) {
	type key struct {
		generation int
		source     string
	}
	known := map[key]int{} // in out
	for i := range all {
		f := &all[i]
		k := key{f.Generation, f.Source}
		at, ok := known[k]
		if !ok {
			known[k] = len(out)
			out = append(out, *f)
			out[len(out)-1].CompleteFromMS = maps.Clone(f.CompleteFromMS)
			continue
		}
		sum := &out[at]
		sum.Writer.Events += f.Writer.Events
		sum.Writer.Late += f.Writer.Late
		sum.Writer.Tiles += f.Writer.Tiles
		sum.Writer.Bytes += f.Writer.Bytes
		sum.Unreadable += f.Unreadable
		sum.LagRecords += f.LagRecords
		sum.WatermarkMS = min(sum.WatermarkMS, f.WatermarkMS)
		for name, ms := range f.CompleteFromMS {
			if sum.CompleteFromMS == nil {
				sum.CompleteFromMS = map[string]int64{}
			}
			sum.CompleteFromMS[name] = max(sum.CompleteFromMS[name], ms)
		}
	}
	return out
}

func collectFeatures(ch chan<- prometheus.Metric, f *experiments.FeatureStatus) {
	generation := strconv.Itoa(f.Generation)
	counter(ch, featureEvents, float64(f.Writer.Events), generation, f.Source)
	counter(ch, featureLate, float64(f.Writer.Late), generation, f.Source)
	counter(ch, featureUnreadable, float64(f.Unreadable), generation, f.Source)
	counter(ch, featureTiles, float64(f.Writer.Tiles), generation, f.Source)
	counter(ch, featureBytes, float64(f.Writer.Bytes), generation, f.Source)
	for name, ms := range f.CompleteFromMS {
		gauge(ch, featureComplete, float64(ms)/1000, generation, f.Source, name)
	}
	gauge(ch, featureLag, float64(f.LagRecords), generation, f.Source)
	if f.WatermarkMS > 0 {
		gauge(ch, featureWatermark, float64(f.WatermarkMS)/1000, generation, f.Source)
	}
}

// Online counts what a server of features does: a serving.Meter, and a collector.
type Online struct {
	requests *prometheus.CounterVec
	took     prometheus.Histogram
	entities prometheus.Counter
	values   prometheus.Counter
	checked  *prometheus.CounterVec
	skewed   *prometheus.CounterVec
}

// NewOnline makes one.
func NewOnline() *Online {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "mortise_" + name, Help: help}
	}
	return &Online{
		requests: prometheus.NewCounterVec(counter("online_requests_total", "Requests for features, by HTTP status."), []string{"code"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mortise_online_request_seconds", Help: "How long requests for features took.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5}}),
		entities: prometheus.NewCounter(counter("online_entities_total", "Entities that features were read of.")),
		values:   prometheus.NewCounter(counter("online_values_total", "Values of features that were asked for.")),
		checked:  prometheus.NewCounterVec(counter("feature_skew_checked_total", "Answered values that were compared with what training rows read."), []string{"experiment", "feature"}),
		skewed:   prometheus.NewCounterVec(counter("feature_skew_total", "Of them, those that differ: the answer came before all events had."), []string{"experiment", "feature"}),
	}
}

// Answered implements serving.Meter.
func (o *Online) Answered(status int, took time.Duration, entities, values int) {
	o.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	o.took.Observe(took.Seconds())
	o.entities.Add(float64(entities))
	o.values.Add(float64(values))
}

// Skew implements serving.Meter.
func (o *Online) Skew(experiment, feature string, differs bool) {
	o.checked.WithLabelValues(experiment, feature).Inc()
	skewed := o.skewed.WithLabelValues(experiment, feature)
	if differs {
		skewed.Inc()
	}
}

func (o *Online) collectors() []prometheus.Collector {
	return []prometheus.Collector{o.requests, o.took, o.entities, o.values, o.checked, o.skewed}
}

// Describe implements prometheus.Collector.
func (o *Online) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range o.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (o *Online) Collect(ch chan<- prometheus.Metric) {
	for _, c := range o.collectors() {
		c.Collect(ch)
	}
}
