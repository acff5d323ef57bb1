package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mortise-dev/mortise/experiments"
)

// A pipeline without rows that may wait for dimensions, or be corrected, has none of these.
var (
	parkedBytes  = metric("parked_bytes", "What the rows that wait for dimensions take of memory.", "pipeline")
	parkedOldest = metric("parked_oldest_timestamp_seconds", "Since when the row waits that has waited longest, as a Unix time.", "pipeline")
	parkedRows   = metric("parked_rows_total", "Rows that waited for dimensions and were written, by what came of it: found, in_vain, or refused, as too many waited.", "pipeline", "result")
	corrections  = metric("corrections_total", "What became of rows that were remembered, to be corrected: found, with a better row; in_vain, when their time was over; refused, as there were too many.", "pipeline", "result")
	remembered   = metric("remembered_bytes", "What the rows that may be corrected take of memory.", "pipeline")
	parkedTime   = metric("parked_seconds", "How long rows waited that found what they waited for.", "pipeline")
)

var parkingDescriptions = []*prometheus.Desc{parkedBytes, parkedOldest, parkedRows, parkedTime, corrections, remembered}

func collectParking(ch chan<- prometheus.Metric, pipeline string, s *experiments.ParkingStatus) {
	gauge(ch, parkedBytes, float64(s.Bytes), pipeline)
	if s.OldestMS > 0 {
		gauge(ch, parkedOldest, float64(s.OldestMS)/1000, pipeline)
	}
	counter(ch, parkedRows, float64(s.Found), pipeline, "found")
	counter(ch, parkedRows, float64(s.InVain), pipeline, "in_vain")
	counter(ch, parkedRows, float64(s.Refused), pipeline, "refused")
	histogram(ch, parkedTime, &s.Waited, pipeline)
}

func collectCorrections(ch chan<- prometheus.Metric, pipeline string, s *experiments.ParkingStatus) {
	gauge(ch, remembered, float64(s.Bytes), pipeline)
	counter(ch, corrections, float64(s.Found), pipeline, "found")
	counter(ch, corrections, float64(s.InVain), pipeline, "in_vain")
	counter(ch, corrections, float64(s.Refused), pipeline, "refused")
}
