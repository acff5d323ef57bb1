package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mortise-dev/mortise/experiments"
)

// Server answers on one address: /metrics, /healthz (the process lives), /ready
// (every task has its state and reads), /status (JSON) and /debug/pprof/.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// Serve starts a server on addr; statuses is asked on every request.
func Serve(addr string, statuses func() []experiments.Status) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for --http on %s: %w; choose another address", addr, err)
	}
	s := &Server{http: &http.Server{Handler: Handler(statuses), ReadHeaderTimeout: 5 * time.Second}, listener: l}
	go func() { _ = s.http.Serve(l) }() // ends with Close
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops the server, giving requests under way a moment.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Handler is what Serve serves; more is collected with it.
func Handler(statuses func() []experiments.Status, more ...prometheus.Collector) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(more...)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{statuses: statuses, now: time.Now})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { ready(w, statuses()) })
	mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(statuses()) // the client went away
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// ready says why a pipeline is not ready, naming it.
func ready(w http.ResponseWriter, all []experiments.Status) {
	for _, s := range all {
		switch {
		case s.Rounds == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "%s: waiting for partitions\n", s.Pipeline)
			return
		case s.Opening > 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "%s: the state of %d tasks is being opened\n", s.Pipeline, s.Opening)
			return
		case s.Rebuilding > 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "%s: %d tasks are rebuilding their state\n", s.Pipeline, s.Rebuilding)
			return
		}
	}
	if len(all) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "starting")
		return
	}
	fmt.Fprintln(w, "ready")
}
