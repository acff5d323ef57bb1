package telemetry

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// metric declares one family. Names are a contract: a test holds the list.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mortise_"+name, help, labels, nil)
}

var (
	impressionsIn      = metric("impressions_in_total", "Impressions taken in.", "experiment")
	impressionsEmitted = metric("impressions_emitted_total", "Impressions whose final row was written.", "experiment")
	impressionsPending = metric("impressions_pending", "Impressions held until their deadline.", "experiment")
	impressionsParked  = metric("impressions_parked", "Impressions that are closed and whose row waits for a dimension.", "experiment")
	impressionsDropped = metric("impressions_dropped_total", "Impressions dropped, by reason.", "experiment", "reason")
	labelsIn           = metric("labels_in_total", "Labels taken in.", "experiment")
	labelsAttached     = metric("labels_attached_total", "Labels that attached to an impression.", "experiment")
	labelsUnmatched    = metric("labels_unmatched_total", "Labels whose time ran out without an impression.", "experiment")
	labelsLate         = metric("labels_late_total", "Labels that came after the windows they could fall into had closed.", "experiment")
	labelsPending      = metric("labels_pending", "Labels held and not attached yet.", "experiment")
	labelsDropped      = metric("labels_dropped_total", "Labels dropped, by reason.", "experiment", "reason")
	instances          = metric("instances_total", "Final rows written, by label state.", "experiment", "label")
	provisional        = metric("instances_provisional_total", "Rows written before their window closed.", "experiment")
	correctedRows      = metric("instances_corrected_total", "Further rows of instances that were written without a dimension, which had come.", "experiment")
	rememberedRows     = metric("instances_remembered", "Instances that were written with a dimension not as asked, and may be corrected.", "experiment")
	lateRows           = metric("instances_late_total", "Final rows whose impression came late.", "experiment")

	watermark     = metric("watermark_timestamp_seconds", "A task's watermark, as a Unix time.", "pipeline", "partition")
	watermarkLag  = metric("watermark_lag_seconds", "How far a task's watermark is behind the wall clock.", "pipeline", "partition")
	watermarkHold = metric("watermark_holding", "1 for the topic that holds a task's watermark back.", "pipeline", "partition", "topic")
	sourceLag     = metric("source_lag_records", "Records of an input that are not read yet.", "pipeline", "partition", "topic")
	sourceTime    = metric("source_event_timestamp_seconds", "Greatest event time read from an input, as a Unix time.", "pipeline", "partition", "topic")
	stateRows     = metric("state_pending_rows", "Impressions in a task's state.", "pipeline", "partition")
	stateBytes    = metric("state_bytes", "Bytes of a task's state.", "pipeline", "partition")
	stateFiles    = metric("state_files", "Files of a task's state.", "pipeline", "partition")
	takeover      = metric("takeover_seconds", "How long it took from when a task was assigned until its work was committed again.", "pipeline", "partition")
	rebuilding    = metric("rebuilding_tasks", "Tasks that are rebuilding their state.", "pipeline")
	opening       = metric("opening_tasks", "Tasks whose state is being opened or restored.", "pipeline")
	aborts        = metric("aborts_total", "How often what was not committed was thrown away, and tasks began again.", "pipeline")
	commits       = metric("commit_seconds", "How long commits of outputs and offsets took.", "pipeline")

	checkpoints       = metric("checkpoints_total", "Checkpoints of tasks, by result.", "pipeline", "result")
	checkpointBytes   = metric("checkpoint_bytes_total", "Bytes that checkpoints have copied.", "pipeline")
	checkpointSeconds = metric("checkpoint_seconds", "How long the last checkpoint took.", "pipeline")
	checkpointHeld    = metric("checkpoint_held_max_seconds", "The longest that a checkpoint held its task up.", "pipeline")
	checkpointAge     = metric("checkpoint_age_seconds", "Age of a task's newest checkpoint.", "pipeline", "partition")
	restores          = metric("restores_total", "Tasks whose state came back from a checkpoint.", "pipeline")

	shuffled      = metric("repartition_records_total", "Records of a topic that were shuffled.", "pipeline", "source")
	shuffledBlind = metric("repartition_unkeyed_records_total", "Of them, those without a partition_by that can be read.", "pipeline", "source")
	shuffleUnused = metric("repartition_unneeded_records_total", "Of them, those that nothing behind the shuffle needs: they were not sent on.", "pipeline", "source")
	shuffleBytes  = metric("repartition_sent_bytes_total", "Bytes of keys and values that were sent on.", "pipeline", "source")
	shuffleLost   = metric("repartition_lost_records_total", "Records that a topic no longer held when they were to be shuffled, passed over with --accept-gap.", "pipeline", "source")
	shuffleLag    = metric("repartition_lag_records", "Records of a topic that are still to be shuffled.", "pipeline", "partition", "source")
	shuffleTime   = metric("repartition_event_timestamp_seconds", "Greatest event time that was shuffled, as a Unix time.", "pipeline", "partition", "source")
)

var descriptions = []*prometheus.Desc{impressionsIn, impressionsEmitted, impressionsPending, impressionsParked, impressionsDropped, labelsIn, labelsAttached,
	labelsUnmatched, labelsLate, labelsPending, labelsDropped, instances, provisional, correctedRows, rememberedRows, lateRows, watermark, watermarkLag, watermarkHold,
	sourceLag, sourceTime, stateRows, stateBytes, stateFiles, takeover, opening, rebuilding, aborts, commits,
	checkpoints, checkpointBytes, checkpointSeconds, checkpointHeld, checkpointAge, restores,
	shuffled, shuffledBlind, shuffleUnused, shuffleBytes, shuffleLost, shuffleLag, shuffleTime}

// collector turns workers' status into metrics when they are scraped.
type collector struct {
	statuses func() []experiments.Status
	now      func() time.Time
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(descriptions, parkingDescriptions, archiveDescriptions, featureDescriptions, dimensionDescriptions) {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.statuses() {
		for i := range s.Experiments {
			collectLedger(ch, s.Experiments[i].Name, &s.Experiments[i].Ledger)
		}
		for i := range s.Tasks {
			c.collectTask(ch, s.Pipeline, &s.Tasks[i])
		}
		gauge(ch, opening, float64(s.Opening), s.Pipeline)
		counter(ch, aborts, float64(s.Aborts), s.Pipeline)
		gauge(ch, rebuilding, float64(s.Rebuilding), s.Pipeline)
		histogram(ch, commits, &s.Commits, s.Pipeline)
		if c := s.Checkpoints; c != nil {
			counter(ch, checkpoints, float64(c.Saved), s.Pipeline, "saved")
			counter(ch, checkpoints, float64(c.Failed), s.Pipeline, "failed")
			counter(ch, checkpointBytes, float64(c.Bytes), s.Pipeline)
			gauge(ch, checkpointSeconds, c.Took.Seconds(), s.Pipeline)
			gauge(ch, checkpointHeld, c.Held.Seconds(), s.Pipeline)
			counter(ch, restores, float64(c.Restored), s.Pipeline)
		}
		if s.Parking != nil {
			collectParking(ch, s.Pipeline, s.Parking)
		}
		if s.Corrections != nil {
			collectCorrections(ch, s.Pipeline, s.Corrections)
		}
		for i := range s.Shuffles {
			collectShuffle(ch, s.Pipeline, &s.Shuffles[i])
		}
		for i := range s.Archives {
			collectArchive(ch, &s.Archives[i])
		}
		for _, f := range BySource(s.Features) {
			collectFeatures(ch, &f)
		}
		for i := range s.Dimensions {
			collectDimension(ch, &s.Dimensions[i])
		}
	}
}

func collectShuffle(ch chan<- prometheus.Metric, pipeline string, s *experiments.ShuffleStatus) {
	counter(ch, shuffled, float64(s.Records), pipeline, s.Source)
	counter(ch, shuffledBlind, float64(s.Unreadable), pipeline, s.Source)
	counter(ch, shuffleUnused, float64(s.Left), pipeline, s.Source)
	counter(ch, shuffleBytes, float64(s.SentBytes), pipeline, s.Source)
	counter(ch, shuffleLost, float64(s.Lost), pipeline, s.Source)
	for _, o := range s.Origins {
		part := strconv.Itoa(int(o.Partition))
		gauge(ch, shuffleLag, float64(max(o.High-max(o.Next, 0), 0)), pipeline, part, s.Source)
		if o.MaxTimeMS != joiner.NoTimeMS {
			gauge(ch, shuffleTime, float64(o.MaxTimeMS)/1000, pipeline, part, s.Source)
		}
	}
}

func collectLedger(ch chan<- prometheus.Metric, exp string, l *mortise.Ledger) {
	i, g := &l.Impressions, &l.Labels
	counter(ch, impressionsIn, float64(i.In), exp)
	counter(ch, impressionsEmitted, float64(i.Emitted), exp)
	gauge(ch, impressionsPending, float64(i.Pending), exp)
	gauge(ch, impressionsParked, float64(i.Parked), exp)
	counter(ch, labelsIn, float64(g.In), exp)
	counter(ch, labelsAttached, float64(g.Attached), exp)
	counter(ch, labelsUnmatched, float64(g.Unmatched), exp)
	counter(ch, labelsLate, float64(g.Late), exp)
	gauge(ch, labelsPending, float64(g.Pending), exp)
	for r := mortise.ReasonFiltered; r < mortise.NumReasons; r++ {
		counter(ch, impressionsDropped, float64(i.Dropped[r]), exp, r.String())
		counter(ch, labelsDropped, float64(g.Dropped[r]), exp, r.String())
	}
	counter(ch, instances, float64(l.Positives), exp, "positive")
	counter(ch, instances, float64(l.Instances-l.Positives), exp, "negative")
	counter(ch, provisional, float64(l.Provisional), exp)
	counter(ch, correctedRows, float64(l.Corrected), exp)
	gauge(ch, rememberedRows, float64(l.Remembered), exp)
	counter(ch, lateRows, float64(l.LateEmitted), exp)
}

func (c *collector) collectTask(ch chan<- prometheus.Metric, pipeline string, t *experiments.TaskStatus) {
	part := strconv.Itoa(int(t.Partition))
	if t.WatermarkMS != joiner.NoTimeMS {
		gauge(ch, watermark, float64(t.WatermarkMS)/1000, pipeline, part)
		gauge(ch, watermarkLag, float64(c.now().UnixMilli()-t.WatermarkMS)/1000, pipeline, part)
	}
	seen := map[string]bool{}
	for _, in := range t.Inputs {
		if seen[in.Topic] {
			continue // one topic read as two sources
		}
		seen[in.Topic] = true
		hold := 0.0
		if in.Topic == t.Holding {
			hold = 1
		}
		gauge(ch, watermarkHold, hold, pipeline, part, in.Topic)
		gauge(ch, sourceLag, float64(max(in.High-in.Next, 0)), pipeline, part, in.Topic)
		if in.MaxTimeMS != joiner.NoTimeMS {
			gauge(ch, sourceTime, float64(in.MaxTimeMS)/1000, pipeline, part, in.Topic)
		}
	}
	gauge(ch, stateRows, float64(t.Pending), pipeline, part)
	gauge(ch, stateBytes, float64(t.StateBytes), pipeline, part)
	gauge(ch, stateFiles, float64(t.StateFiles), pipeline, part)
	if t.Takeover.Live > 0 {
		gauge(ch, takeover, t.Takeover.Live.Seconds(), pipeline, part)
	}
	if t.CheckpointMS > 0 {
		gauge(ch, checkpointAge, float64(c.now().UnixMilli()-t.CheckpointMS)/1000, pipeline, part)
	}
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func histogram(ch chan<- prometheus.Metric, d *prometheus.Desc, v *experiments.Durations, labels ...string) {
	upTo, n := map[float64]uint64{}, uint64(0)
	for i, bound := range experiments.DurationBounds {
		n += uint64(v.Buckets[i])
		upTo[bound] = n
	}
	ch <- prometheus.MustNewConstHistogram(d, uint64(v.Count()), v.Sum.Seconds(), upTo, labels...)
}
