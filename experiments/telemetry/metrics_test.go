package telemetry

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

func sample() []experiments.Status {
	var l mortise.Ledger
	l.Impressions.In, l.Impressions.Emitted, l.Impressions.Pending = 10, 6, 4
	l.Instances, l.Positives = 6, 2
	return []experiments.Status{{
		Pipeline: "feed-ctr", Rounds: 3, Checkpoints: &experiments.CheckpointStatus{Saved: 2, Failed: 1, Bytes: 100},
		Shuffles: []experiments.ShuffleStatus{{Source: "clicks", Records: 5, Origins: []experiments.OriginStatus{{Partition: 2, Next: 5, High: 8, MaxTimeMS: 3_000}}}},
		Archives: []experiments.ArchiveStatus{{Experiment: "feed-ctr", Rows: 6, Bytes: 900, Parts: 2,
			Partitions: []experiments.ArchivePartition{{Partition: 3, Archived: 10, End: 14, Waiting: 90 * time.Second, OpenRows: 4, MaxTimeMS: 4_000}}}},
		Features: []experiments.FeatureStatus{{Source: "clicks", WatermarkMS: 2_000, CompleteFromMS: map[string]int64{"n": 1_000}, LagRecords: 3, Writer: features.WriterStats{Events: 7, Late: 1}}},
		Dimensions: []experiments.DimensionStatus{{Name: "item", Store: "ab", Experiments: []string{"feed-ctr"}, Clusters: &ab.Stats{ShareA: 0.25}, Changes: &experiments.ChangeStatus{Changes: 12, Late: 1, LagRecords: 4, FinalMS: 6_000},
			Stats: dimjoin.Stats{Requests: 9, Failed: 2, TimedOut: 1, Served: [5]int64{dimjoin.ServedMissing: 8}, Absent: 3, Unavailable: 4}}},
		Corrections: &experiments.ParkingStatus{Rows: 1},
		Parking:     &experiments.ParkingStatus{Rows: 3, Bytes: 900, OldestMS: 7_000, ParkingStats: experiments.ParkingStats{Found: 5}},
		Experiments: []experiments.ExperimentStatus{{Name: "feed-ctr", Ledger: l}},
		Tasks: []experiments.TaskStatus{{Partition: 1, WatermarkMS: 1_000, Holding: "clicks", Pending: 4, CheckpointMS: 9_000, Takeover: experiments.Takeover{Live: 2 * time.Second},
			Inputs: []experiments.InputStatus{{Topic: "imps", Next: 7, High: 9, MaxTimeMS: 5_000}, {Topic: "clicks", Next: 1, High: 1, MaxTimeMS: 2_000}}}},
	}}
}

// TestTasksOfOneSource: what the tasks of a source say is added up, for a series
// can be there once.
func TestTasksOfOneSource(t *testing.T) {
	task := func(events, watermarkMS int64, complete map[string]int64) experiments.FeatureStatus {
		return experiments.FeatureStatus{Source: "clicks", WatermarkMS: watermarkMS, LagRecords: 1, CompleteFromMS: complete, Writer: features.WriterStats{Events: events}}
	}
	statuses := func() []experiments.Status {
		return []experiments.Status{{Rounds: 1, Features: []experiments.FeatureStatus{task(3, 9_000, nil), task(4, 8_000, map[string]int64{"a": 2_000}), task(5, 7_000, map[string]int64{"a": 3_000, "b": 1_000})}}}
	}
	rec := httptest.NewRecorder()
	Handler(statuses).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`mortise_feature_events_total{generation="0",source="clicks"} 12`, `mortise_feature_watermark_timestamp_seconds{generation="0",source="clicks"} 7`,
		`mortise_feature_lag_records{generation="0",source="clicks"} 3`, `mortise_feature_complete_from_timestamp_seconds{feature="a",generation="0",source="clicks"} 3`,
		`mortise_feature_complete_from_timestamp_seconds{feature="b",generation="0",source="clicks"} 1`} {
		if !strings.Contains(rec.Body.String(), want+"\n") {
			t.Errorf("%d: no %s in\n%s", rec.Code, want, rec.Body.String())
		}
	}
}

// TestMetricNames holds the list of metric names: renaming one breaks dashboards.
func TestMetricNames(t *testing.T) {
	reg := prometheus.NewRegistry()
	online := NewOnline()
	online.Answered(200, time.Millisecond, 2, 6)
	online.Skew("feed-ctr", "item_ctr", true)
	reg.MustRegister(&collector{statuses: sample, now: func() time.Time { return time.UnixMilli(11_000) }}, online)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		got = append(got, f.GetName()+"{"+strings.Join(labels, ",")+"} "+strings.ToLower(f.GetType().String()))
	}
	slices.Sort(got)
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, "\n") + "\n"; text != string(want) {
		t.Errorf("metrics differ from testdata/metrics.txt; now:\n%s", text)
	}
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		path, want string
		code       int
		statuses   func() []experiments.Status
	}{
		{"/healthz", "ok", 200, sample},
		{"/ready", "ready", 200, sample},
		{"/ready", "starting", 503, func() []experiments.Status { return nil }},
		{"/ready", "rebuilding", 503, func() []experiments.Status { return []experiments.Status{{Pipeline: "p", Rounds: 1, Rebuilding: 2}} }},
		{"/ready", "opened", 503, func() []experiments.Status { return []experiments.Status{{Pipeline: "p", Rounds: 1, Opening: 1}} }},
		{"/metrics", `mortise_checkpoint_age_seconds{partition="1",pipeline="feed-ctr"}`, 200, sample},
		{"/metrics", `mortise_watermark_lag_seconds{partition="1",pipeline="feed-ctr"}`, 200, sample},
		{"/metrics", `mortise_source_lag_records{partition="1",pipeline="feed-ctr",topic="imps"} 2`, 200, sample},
		{"/metrics", `mortise_dimension_requests_total{dimension="item",experiment="feed-ctr",result="answered",store="ab"} 6`, 200, sample},
		{"/metrics", `mortise_dimension_without_row_total{dimension="item",experiment="feed-ctr",reason="null_key",store="ab"} 1`, 200, sample},
		{"/metrics", `mortise_dimension_cluster_share{cluster="b",dimension="item",experiment="feed-ctr",store="ab"} 0.75`, 200, sample},
		{"/metrics", `mortise_repartition_lag_records{partition="2",pipeline="feed-ctr",source="clicks"} 3`, 200, sample},
		{"/metrics", `mortise_parquet_lag_records{experiment="feed-ctr",partition="3"} 4`, 200, sample},
		{"/metrics", `mortise_parquet_lag_seconds{experiment="feed-ctr",partition="3"} 90`, 200, sample},
		{"/metrics", `mortise_instances_total{experiment="feed-ctr",label="negative"} 4`, 200, sample},
		{"/metrics", `mortise_feature_lag_records{generation="0",source="clicks"} 3`, 200, sample},
		{"/status", `"pipeline":"feed-ctr"`, 200, sample},
		{"/debug/pprof/cmdline", "", 200, sample},
	} {
		rec := httptest.NewRecorder()
		Handler(c.statuses).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, c.path, nil))
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s: %d %.300q, want %d with %q", c.path, rec.Code, rec.Body, c.code, c.want)
		}
	}
}
