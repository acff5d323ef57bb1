package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

var (
	parquetRows      = metric("parquet_rows_total", "Rows published as Parquet.", "experiment")
	parquetBytes     = metric("parquet_bytes_total", "Bytes of the Parquet files published.", "experiment")
	parquetParts     = metric("parquet_parts_total", "Parts published: a part is a file in each folder that it has rows of.", "experiment")
	parquetPublish   = metric("parquet_publish_seconds", "How long publishing a part took.", "experiment")
	parquetComplete  = metric("parquet_complete_folders_total", "Folders that were given _SUCCESS.", "experiment")
	parquetFailures  = metric("parquet_failures_total", "Failures of the dataset's store or of the local disk; each is tried again.", "experiment")
	parquetForeign   = metric("parquet_foreign_records_total", "Records of the rows' topic that are no rows of the experiment.", "experiment")
	parquetMissing   = metric("parquet_missing_offsets_total", "Offsets that the rows' topic no longer held, passed over with --accept-gap.", "experiment")
	parquetLag       = metric("parquet_lag_records", "Records of the rows' topic that are not in the dataset yet.", "experiment", "partition")
	parquetLagTime   = metric("parquet_lag_seconds", "How long the oldest of these has been there.", "experiment", "partition")
	parquetOpenRows  = metric("parquet_open_rows", "Rows collected and not published yet.", "experiment", "partition")
	parquetOpenBytes = metric("parquet_open_bytes", "About what these take as Parquet.", "experiment", "partition")
	parquetTime      = metric("parquet_event_timestamp_seconds", "Greatest event time published, as a Unix time.", "experiment", "partition")
)

var archiveDescriptions = []*prometheus.Desc{parquetRows, parquetBytes, parquetParts, parquetPublish, parquetComplete, parquetFailures, parquetForeign,
	parquetMissing, parquetLag, parquetLagTime, parquetOpenRows, parquetOpenBytes, parquetTime}

func collectArchive(ch chan<- prometheus.Metric, s *experiments.ArchiveStatus) {
	counter(ch, parquetRows, float64(s.Rows), s.Experiment)
	counter(ch, parquetBytes, float64(s.Bytes), s.Experiment)
	counter(ch, parquetParts, float64(s.Parts), s.Experiment)
	histogram(ch, parquetPublish, &s.Publishes, s.Experiment)
	counter(ch, parquetComplete, float64(s.Completed), s.Experiment)
	counter(ch, parquetFailures, float64(s.Failures), s.Experiment)
	counter(ch, parquetForeign, float64(s.Foreign), s.Experiment)
	counter(ch, parquetMissing, float64(s.Missing), s.Experiment)
	for i := range s.Partitions {
		p := &s.Partitions[i]
		part := strconv.Itoa(int(p.Partition))
		gauge(ch, parquetLag, float64(max(p.End-p.Archived, 0)), s.Experiment, part)
		gauge(ch, parquetLagTime, p.Waiting.Seconds(), s.Experiment, part)
		gauge(ch, parquetOpenRows, float64(p.OpenRows), s.Experiment, part)
		gauge(ch, parquetOpenBytes, float64(p.OpenBytes), s.Experiment, part)
		if p.MaxTimeMS != joiner.NoTimeMS {
			gauge(ch, parquetTime, float64(p.MaxTimeMS)/1000, s.Experiment, part)
		}
	}
}
