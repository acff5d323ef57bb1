package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/serving"
	"github.com/mortise-dev/mortise/experiments/telemetry"
)

type serveFlags struct {
	load    loadFlags
	cluster clusterFlags

	http        string
	state       string
	commitEvery time.Duration
	concurrent  int
	skewEvery   int
	drain       time.Duration
	acceptGap   bool
}

func newServe(c *console) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve FILE…", Short: "Serve online reads of features over HTTP", Args: someFiles,
		Long: `Serve the features of experiments to rankers: POST /v1/features answers for many
entities at once, in JSON or CBOR, as of now or any other time. What is read as of a
time is what training rows of that time read, from the same tiles; the answer says
up to when its events are all in.

It reads the features' topics by itself and keeps their tiles in --state, so any
number of copies can stand behind a load balancer. GET /v1/features lists what can
be asked for, /v1/openapi.json describes it; /metrics has the feature skew. On
SIGTERM /ready says no, and requests are answered for --drain more.`,
		Example: `  mortise serve feed.yaml --brokers kafka-1:9092 --http :8080 --state /var/lib/mortise-serve
  curl -s localhost:8080/v1/features -d '{"entities": [{"item_id": "item-1", "user_segment": "seg-0"}]}'`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.serve(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	f.cluster.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.http, "http", "127.0.0.1:8080", "address to serve on")
	fs.StringVar(&f.state, "state", "", "directory of the tiles (default: serve in the embedded broker's, else ./mortise-serve)")
	fs.DurationVar(&f.commitEvery, "commit-every", 500*time.Millisecond, "how often what was read becomes visible")
	fs.IntVar(&f.concurrent, "concurrent", 256, "requests that are worked on at once; others wait within their timeout")
	fs.IntVar(&f.skewEvery, "skew-every", 100, "compare one of so many answers with what training rows read, once that is known")
	fs.DurationVar(&f.drain, "drain", 5*time.Second, "how long requests are answered after SIGTERM, for load balancers to look elsewhere")
	fs.BoolVar(&f.acceptGap, "accept-gap", false, "go on where a topic no longer holds what must be read")
	return cmd
}

// skewChecks is how often answers are looked at again.
const skewChecks = 10 * time.Second

func (c *console) serve(ctx context.Context, f *serveFlags, args []string) (err error) {
	plan, err := c.mustLoad(&f.load, args)
	if err != nil {
		return err
	}
	if len(plan.Features()) == 0 {
		return fmt.Errorf("%s: no experiment declares features: there is nothing to serve", strings.Join(args, ", "))
	}
	cl, err := f.cluster.open(c, &plan.Pipelines[0].Experiments[0].Kafka)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.close()) }()
	if err := cl.prepareFeatures(ctx, plan, f.cluster.partitions); err != nil {
		return err
	}
	if err := cl.useRegistry(ctx, c, plan); err != nil {
		return err
	}
	dir := f.state
	switch {
	case dir == "" && cl.embedded != "":
		dir = filepath.Join(cl.embedded, "serve")
	case dir == "":
		dir = "mortise-serve"
	}
	ft, err := c.features(ctx, featureOptions{dir: dir, worker: kafka.FreshSuffix(), commitEvery: f.commitEvery, acceptGap: f.acceptGap, groupOf: func(*experiments.Pipeline) string { return "" }}, plan, cl, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ft.close()) }()
	ft.needs = nil // whatever the topics hold can be asked for
	online := telemetry.NewOnline()
	server, err := serving.New(plan, ft.store, ft.gens, serving.Options{Concurrent: f.concurrent, SkewEvery: f.skewEvery, Meter: online, Log: c.logger()})
	if err != nil {
		return err
	}
	statuses := func() []experiments.Status {
		return []experiments.Status{{Rounds: 1, Features: ft.statuses(), Shuffles: ft.shuffleStatuses()}}
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", server.Handler())
	mux.Handle("/ready", server.Handler())
	mux.Handle("/", telemetry.Handler(statuses, online))
	listener, err := net.Listen("tcp", f.http)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; choose another address with --http", f.http, err)
	}
	c.say("features on http://%s/v1/features", listener.Addr())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, running := errgroup.WithContext(working)
	ft.tile(running, g)
	g.Go(func() error { server.WatchSkew(running, skewChecks); return nil })
	g.Go(func() error {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
			server.Drain()
			select {
			case <-time.After(f.drain):
			case <-running.Done():
			}
		case <-running.Done():
		}
		last, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := web.Shutdown(last)
		stop()
		return err
	})
	return g.Wait()
}
