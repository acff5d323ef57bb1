package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/telemetry"
)

// askWithin bounds the wait for a worker's answer.
const askWithin = 5 * time.Second

// workerStatus is what is known to a process alone, of all its pipelines.
type workerStatus struct {
	features    []experiments.FeatureStatus
	dimensions  []experiments.DimensionStatus
	parking     []experiments.ParkingStatus // of pipelines whose rows may wait
	corrections []experiments.ParkingStatus // of those whose rows may be corrected
}

// askWorker asks a worker, at the address of its --http.
func askWorker(ctx context.Context, addr string) (*workerStatus, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + strings.TrimPrefix(addr, "http://")
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(addr, "/")+"/status", nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--http: %w", err)}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("--http: asking the worker: %w; it listens where its own --http says", err)
	}
	defer resp.Body.Close()
	var statuses []experiments.Status
	if err := json.NewDecoder(resp.Body).Decode(&statuses); err != nil {
		return nil, fmt.Errorf("--http: %s does not answer as a worker does (%s): %w", addr, resp.Status, err)
	}
	all := &workerStatus{}
	for i := range statuses {
		all.features = append(all.features, statuses[i].Features...)
		all.dimensions = append(all.dimensions, statuses[i].Dimensions...)
		if p := statuses[i].Parking; p != nil {
			all.parking = append(all.parking, *p)
		}
		if p := statuses[i].Corrections; p != nil {
			all.corrections = append(all.corrections, *p)
		}
	}
	all.features = telemetry.BySource(all.features)
	return all, nil
}
