package serving

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Attack is requests to one address. Zero fields take their defaults.
type Attack struct {
	// URL is posted to.
	URL string
	// Bodies are the requests, taken in turn, and Header is each one's.
	Bodies [][]byte
	Header http.Header
	// Rate is how many requests are sent a second, evenly.
	Rate int
	// Duration is how long they are sent.
	Duration time.Duration
	// Timeout is how long an answer is waited for. The default is 2 s.
	Timeout time.Duration
	// Connections bounds the requests that wait for an answer; where all do, fewer
	// are sent, and Result.Sent tells. The default is 1000.
	Connections int
}

// EnsureDefaults fills in zero fields.
func (a *Attack) EnsureDefaults() {
	if a.Timeout == 0 {
		a.Timeout = 2 * time.Second
	}
	if a.Connections == 0 {
		a.Connections = 1000
	}
}

// Validate returns all that is wrong with a, after EnsureDefaults.
func (a *Attack) Validate() error {
	var errs []error
	check := func(ok bool, text string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(text, args...))
		}
	}
	check(a.URL != "", "there is no URL to send requests to")
	check(len(a.Bodies) > 0, "there are no requests to send")
	check(a.Rate > 0, "the rate is %d requests a second: it must be positive", a.Rate)
	check(a.Duration > 0, "the duration is %s: it must be positive", a.Duration)
	check(a.Timeout > 0, "the timeout is %s: it must be positive", a.Timeout)
	check(a.Connections > 0, "%d connections: there must be some", a.Connections)
	return errors.Join(errs...)
}

// Result is what became of an attack. Latencies are of all requests, in
// milliseconds, from sending to the end of the answer; those that failed took
// Timeout at most.
type Result struct {
	Rate     int     `json:"rate"`     // asked for
	Sent     float64 `json:"sent"`     // requests a second that were sent
	Answered float64 `json:"answered"` // requests a second that were answered with 200
	Requests int64   `json:"requests"`
	Failed   int64   `json:"failed"`

	P50MS  float64 `json:"p50_ms"`
	P90MS  float64 `json:"p90_ms"`
	P99MS  float64 `json:"p99_ms"`
	P999MS float64 `json:"p999_ms"`
	MaxMS  float64 `json:"max_ms"`

	AnswerBytes float64  `json:"answer_bytes"`     // of one answer, on average
	Errors      []string `json:"errors,omitempty"` // distinct ones, a few
}

// KeepsUp reports whether nearly all requests could be sent, and were answered.
func (r *Result) KeepsUp() bool {
	return r.Sent >= 0.95*float64(r.Rate) && float64(r.Failed) <= 0.01*float64(r.Requests)
}

// maxErrors bounds the errors that a Result tells of.
const maxErrors = 5

// Run sends the requests and returns when the last has been answered. What it
// sends does not wait for answers, so that a server that stands still is seen by
// all requests that would have come meanwhile. Stopping it by ctx is an error.
func (a Attack) Run(ctx context.Context) (*Result, error) {
	a.EnsureDefaults()
	if err := a.Validate(); err != nil {
		return nil, fmt.Errorf("load on online features: %w", err)
	}
	var sent atomic.Uint64
	targets := func(t *vegeta.Target) error {
		t.Method, t.URL, t.Header = http.MethodPost, a.URL, a.Header
		t.Body = a.Bodies[(sent.Add(1)-1)%uint64(len(a.Bodies))]
		return nil
	}
	attacker := vegeta.NewAttacker(vegeta.Timeout(a.Timeout), vegeta.Workers(16), vegeta.MaxWorkers(uint64(a.Connections)),
		vegeta.Connections(a.Connections), vegeta.MaxConnections(a.Connections), vegeta.Redirects(vegeta.NoFollow))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	var took []time.Duration
	var metrics vegeta.Metrics
	for r := range attacker.Attack(targets, vegeta.ConstantPacer{Freq: a.Rate, Per: time.Second}, a.Duration, "") {
		metrics.Add(r)
		took = append(took, r.Latency)
	}
	metrics.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a.sum(&metrics, took), nil
}

func (a *Attack) sum(m *vegeta.Metrics, took []time.Duration) *Result {
	slices.Sort(took)
	ok := int64(m.StatusCodes["200"])
	out := &Result{Rate: a.Rate, Requests: int64(m.Requests), Failed: int64(m.Requests) - ok, AnswerBytes: m.BytesIn.Mean, Errors: m.Errors,
		P50MS: quantile(took, 0.5), P90MS: quantile(took, 0.9), P99MS: quantile(took, 0.99), P999MS: quantile(took, 0.999), MaxMS: quantile(took, 1)}
	// The rate is that of the attack as a whole: vegeta's own is from the first
	// request to the last, which is one interval less.
	out.Sent = float64(m.Requests) / max(a.Duration, m.Duration).Seconds()
	out.Answered = float64(ok) / max(a.Duration, m.Duration+m.Wait).Seconds()
	slices.Sort(out.Errors)
	if len(out.Errors) > maxErrors {
		out.Errors = out.Errors[:maxErrors]
	}
	return out
}

// quantile is the least of the sorted times that a share q of all are not above,
// in ms; 0 of none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return float64(sorted[max(at, 0)]) / float64(time.Millisecond)
}
