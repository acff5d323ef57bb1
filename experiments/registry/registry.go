// Package registry is a client of schema registries with Confluent's interface.
// It stands beside stage 6, experiments: sources ask it for the schemas that
// records were written with, and the schemas of instances are registered in it.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/singleflight"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// Options make a Registry.
type Options struct {
	spec.SchemaRegistry
	// OutageTimeout is how long a registry that does not answer is waited for,
	// after which what needs it fails. The default is 10 minutes.
	OutageTimeout time.Duration
	// ForgetUnknownAfter is how long an id that the registry did not know is not
	// asked for again. The default is a minute.
	ForgetUnknownAfter time.Duration
	// Log is where an outage is told. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.OutageTimeout == 0 {
		o.OutageTimeout = 10 * time.Minute
	}
	if o.ForgetUnknownAfter == 0 {
		o.ForgetUnknownAfter = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Registry finds and registers schemas. It remembers what it has found: a schema
// never changes under its id. It may be used from several goroutines.
type Registry struct {
	opts   Options
	ctx    context.Context //nolint:containedctx // the registry's own, for requests that several callers wait for
	client *sr.Client
	flight singleflight.Group

	mu      sync.RWMutex
	schemas map[mortise.SchemaID]*mortise.WriterSchema
	unknown map[mortise.SchemaID]time.Time // when they were asked for
	waiting Waiting
}

// Waiting says that a registry does not answer.
type Waiting struct {
	Since time.Time // zero when it does
	Err   string    // the last error
}

// maxUnknown bounds how many unknown ids are remembered: broken records can hold
// any.
const maxUnknown = 10_000

// Open makes a Registry, whose Schema gives up when ctx ends. Nothing is asked
// yet.
func Open(ctx context.Context, o Options) (*Registry, error) {
	o.EnsureDefaults()
	if len(o.URLs) == 0 {
		return nil, errors.New("no schema registry, which records or instances name their schemas in: pass --registry http://HOST:8081, or set kafka.schema_registry (the embedded broker does not use the file's); " +
			"without a registry, sources take schema_file and output.topic takes schema_id: none")
	}
	opts := []sr.ClientOpt{sr.URLs(o.URLs...), sr.UserAgent("mortise")}
	dialer := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ResponseHeaderTimeout: 20 * time.Second, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second}
	if o.TLS.Enabled {
		conf, err := o.TLS.Config()
		if err != nil {
			return nil, fmt.Errorf("schema_registry: %w", err)
		}
		dialer.TLSClientConfig = conf
	}
	opts = append(opts, sr.HTTPClient(&http.Client{Transport: dialer, Timeout: 30 * time.Second}))
	switch {
	case o.Token != "":
		opts = append(opts, sr.BearerToken(o.Token))
	case o.Username != "":
		opts = append(opts, sr.BasicAuth(o.Username, o.Password))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the client of the schema registry: %w", err)
	}
	return &Registry{opts: o, ctx: ctx, client: client, schemas: map[mortise.SchemaID]*mortise.WriterSchema{}, unknown: map[mortise.SchemaID]time.Time{}}, nil
}

// Schema returns the schema that id names. A registry that does not answer is
// waited for. The error is a *mortise.RecordError when nothing is registered
// under the id, and an *Error when the registry cannot be asked.
func (r *Registry) Schema(id mortise.SchemaID) (*mortise.WriterSchema, error) {
	if ws, err, known := r.remembered(id); known {
		return ws, err
	}
	_, err, _ := r.flight.Do(id.String(), func() (any, error) { return nil, r.find(id) })
	if err != nil {
		return nil, err
	}
	ws, err, _ := r.remembered(id)
	return ws, err
}

// remembered returns what is known of an id.
func (r *Registry) remembered(id mortise.SchemaID) (_ *mortise.WriterSchema, err error, known bool) { //nolint:revive // the error is what is remembered
	r.mu.RLock()
	defer r.mu.RUnlock()
	if ws := r.schemas[id]; ws != nil {
		return ws, nil, true
	}
	if at, ok := r.unknown[id]; ok && time.Since(at) < r.opts.ForgetUnknownAfter {
		return nil, unknownID(id), true
	}
	return nil, nil, false
}

// Knows reports whether Schema would answer for the id at once.
func (r *Registry) Knows(id mortise.SchemaID) bool {
	_, _, known := r.remembered(id)
	return known
}

func unknownID(id mortise.SchemaID) error {
	return &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: fmt.Sprintf("the schema registry knows no schema %s", id)}
}

// find asks for an id and remembers the answer.
func (r *Registry) find(id mortise.SchemaID) error {
	var ws *mortise.WriterSchema
	err := r.retry(r.ctx, "finding schema "+id.String(), func(ctx context.Context) (err error) {
		ws, err = r.fetch(ctx, id)
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case isUnknown(err):
		if len(r.unknown) >= maxUnknown {
			clear(r.unknown)
		}
		r.unknown[id] = time.Now()
		return nil
	case err != nil:
		return err
	}
	r.schemas[id] = ws
	delete(r.unknown, id)
	return nil
}

// fetch asks for a schema and for what it refers to.
func (r *Registry) fetch(ctx context.Context, id mortise.SchemaID) (*mortise.WriterSchema, error) {
	var s sr.Schema
	if n, ok := id.Number(); ok {
		found, err := r.client.SchemaByID(ctx, int(n))
		if err != nil {
			return nil, err
		}
		s = found
	} else {
		found, err := r.client.SchemaByGUID(ctx, id.String())
		if err != nil {
			return nil, err
		}
		s = found.Schema
	}
	return r.resolve(ctx, &s)
}

// resolve fetches what a schema refers to, each after what it refers to itself.
func (r *Registry) resolve(ctx context.Context, s *sr.Schema) (*mortise.WriterSchema, error) {
	ws := &mortise.WriterSchema{Type: s.Type.String(), Text: s.Schema}
	seen := map[string]bool{}
	var add func(refs []sr.SchemaReference) error
	add = func(refs []sr.SchemaReference) error {
		for _, ref := range refs {
			if seen[ref.Name] {
				continue
			}
			seen[ref.Name] = true
			found, err := r.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
			if err != nil {
				return fmt.Errorf("finding %s, version %d of subject %s: %w", ref.Name, ref.Version, ref.Subject, err)
			}
			if err := add(found.References); err != nil {
				return err
			}
			ws.References = append(ws.References, mortise.SchemaReference{Name: ref.Name, Text: found.Schema.Schema})
		}
		return nil
	}
	return ws, add(s.References)
}

// Waiting tells whether the registry is being waited for.
func (r *Registry) Waiting() Waiting {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.waiting
}
