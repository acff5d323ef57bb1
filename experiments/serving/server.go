package serving

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
)

// Meter is told what a Server does. Its methods may be called concurrently.
type Meter interface {
	// Answered tells of one request: its HTTP status, how long it took, and the
	// entities and values that it asked for.
	Answered(status int, took time.Duration, entities, values int)
	// Skew tells of one answered value that is final now: whether it differs from
	// what was answered.
	Skew(experiment, feature string, differs bool)
}

// Options tune a Server. Zero fields take their defaults.
type Options struct {
	// Concurrent bounds the requests that are worked on at once; others wait within
	// their timeout. The default is 256.
	Concurrent int
	// SkewEvery is how many answers there are to one that is asked again when it is
	// final. The default is 100.
	SkewEvery int
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Meter, where set, is told what the server does.
	Meter Meter
	// Log is where the server tells what it does. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Concurrent == 0 {
		o.Concurrent = 256
	}
	if o.SkewEvery == 0 {
		o.SkewEvery = 100
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

type noMeter struct{}

func (noMeter) Answered(int, time.Duration, int, int) {}
func (noMeter) Skew(string, string, bool)             {}

// Server answers reads of features.
type Server struct {
	catalog  *catalog
	gens     []*tiling.Generation
	readers  []*tiling.Readers // per generation
	opts     Options
	skew     *skew
	slots    chan struct{}
	draining atomic.Bool
}

// New makes a server of the features that a plan's experiments declare.
func New(plan *experiments.Plan, store features.Store, gens []*tiling.Generation, opts Options) (*Server, error) {
	opts.EnsureDefaults()
	c, err := newCatalog(plan, gens)
	if err != nil {
		return nil, err
	}
	s := &Server{catalog: c, gens: gens, opts: opts, slots: make(chan struct{}, opts.Concurrent), skew: newSkew(opts.SkewEvery)}
	for _, g := range gens {
		s.readers = append(s.readers, tiling.NewReaders(store, g, true))
	}
	return s, nil
}

//go:embed openapi.json
var openAPI []byte

// Handler serves POST /v1/features, GET /v1/features (what can be asked for),
// /v1/openapi.json, and /ready, which says no while the server drains.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/features", s.features)
	mux.HandleFunc("GET /v1/features", s.list)
	mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		_, _ = w.Write(openAPI) // the client went away
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if s.draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	return mux
}

// Drain has /ready say no, so that load balancers send nothing more; requests are
// answered on.
func (s *Server) Drain() { s.draining.Store(true) }

func (s *Server) features(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	req, body, kind, err := s.serve(w, r)
	status := http.StatusOK
	if err != nil {
		status = s.refuse(w, err)
	} else {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // the client went away
	}
	entities, values := 0, 0
	if req != nil {
		entities, values = len(req.Entities), len(req.Entities)*len(req.Features)
	}
	s.opts.Meter.Answered(status, time.Since(began), entities, values)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) (req *Request, body []byte, kind string, err error) {
	if req, err = readRequest(w, r); err != nil {
		return nil, nil, "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), req.timeout())
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return req, nil, "", ctx.Err()
	}
	a, err := s.answer(ctx, req)
	if err != nil {
		return req, nil, "", err
	}
	kind = typeJSON
	if accept := r.Header.Get("Accept"); strings.Contains(accept, typeCBOR) || accept == "" && strings.HasPrefix(r.Header.Get("Content-Type"), typeCBOR) {
		kind = typeCBOR
	}
	body, err = a.encode(kind)
	return req, body, kind, err
}

// refuse answers with a problem document (RFC 9457).
func (s *Server) refuse(w http.ResponseWriter, err error) int {
	var f *fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, context.DeadlineExceeded):
		f = &fault{http.StatusGatewayTimeout, "out of time", "the features could not be read within timeout_ms; ask for fewer at once, or allow more time"}
	case errors.Is(err, context.Canceled):
		f = &fault{499, "the client went away", err.Error()}
	default:
		s.opts.Log.Error("features cannot be read", "err", err)
		f = &fault{http.StatusServiceUnavailable, "features cannot be read", err.Error()}
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": f.title, "status": f.status, "detail": f.detail})
	return f.status
}

// Listing is what GET /v1/features answers.
type Listing struct {
	Experiments []ListedExperiment `json:"experiments"`
}

// ListedExperiment is one experiment's features.
type ListedExperiment struct {
	Name     string          `json:"name"`
	Version  int             `json:"version"`
	Features []ListedFeature `json:"features"`
}

// ListedFeature says what a feature is and which fields an entity needs for it.
type ListedFeature struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Fields []string `json:"fields"` // of an entity
	Agg    string   `json:"agg,omitempty"`
	Window string   `json:"window,omitempty"`
	Expr   string   `json:"expr,omitempty"`
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	var out Listing
	for _, name := range s.catalog.names {
		exp := s.catalog.byName[name]
		e := ListedExperiment{Name: name, Version: exp.spec.Version}
		for i := range exp.spec.Features {
			def := &exp.spec.Features[i]
			f := ListedFeature{Name: def.Name, Type: def.Type.String(), Fields: []string{}}
			if v, err := exp.view([]string{def.Name}, s.gens); err == nil {
				for _, field := range v.fields {
					f.Fields = append(f.Fields, field.Name)
				}
			}
			if def.IsExpr() {
				f.Expr = def.Expr.Source()
			} else {
				f.Agg, f.Window = def.Aggregate.String(), mortise.FormatDuration(def.Window)
			}
			e.Features = append(e.Features, f)
		}
		out.Experiments = append(out.Experiments, e)
	}
	w.Header().Set("Content-Type", typeJSON)
	_ = json.NewEncoder(w).Encode(out) // the client went away
}
