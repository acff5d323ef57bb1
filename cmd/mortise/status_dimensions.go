package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
)

// askWithin bounds the wait for a worker's answer.
const askWithin = 5 * time.Second

// workerDimensions asks a worker, at the address of its --http, how it reads
// dimensions: that is known to the process alone.
func workerDimensions(ctx context.Context, addr string) (all []experiments.DimensionStatus, err error) {
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
	for i := range statuses {
		all = append(all, statuses[i].Dimensions...)
	}
	return all, nil
}

// printDimensions shows how a worker reads dimensions.
func (c *console) printDimensions(all []experiments.DimensionStatus) {
	if len(all) == 0 {
		fmt.Fprintln(c.out, "  the worker's rows have no dimensions")
		return
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  dimension\tstore\thit\tread\tstale\tdefault\tmissing\trequests\tfailed\ttimed out\trefused\tbreaker\tcached")
	for i := range all {
		d, s := &all[i], &all[i].Stats
		fmt.Fprintf(w, "  %s\t%s", d.Name, d.Store)
		for served := dimjoin.ServedHit; served <= dimjoin.ServedMissing; served++ {
			fmt.Fprintf(w, "\t%s", thousands(s.Served[served]))
		}
		fmt.Fprintf(w, "\t%s\t%s\t%s\t%s\t%s\t%s keys\n", thousands(s.Requests), thousands(s.Failed), thousands(s.TimedOut), thousands(s.Refused), s.Breaker, thousands(int64(s.CacheKeys)))
	}
	_ = w.Flush() // to the console
	for i := range all {
		if cl := all[i].Clusters; cl != nil {
			fmt.Fprintf(c.out, "  %s: cluster a has %.0f %% of the requests, its breaker is %s, b's %s; %s hedges\n", all[i].Name, 100*cl.ShareA, cl.Sides[0].Breaker, cl.Sides[1].Breaker, thousands(cl.Hedges))
		}
	}
	fmt.Fprintln(c.out)
}
