package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/serving"
	load "github.com/mortise-dev/mortise/loadtest/serving"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

type benchServeFlags struct {
	load        loadFlags
	inputs      []string
	stores      []string
	url         string
	rates       []int
	entities    []int
	features    int
	duration    time.Duration
	tasks       int
	impressions int64
	cbor, json  bool
}

func newBenchServe(c *console) *cobra.Command {
	var f benchServeFlags
	cmd := &cobra.Command{
		Use: "serve [FILE] [--input NAME=GLOB…]", Short: "Measure how fast online reads of features are answered, at rising rates",
		Long: `Fill a feature store from recorded files, serve it as mortise serve does, and ask
it over HTTP at rising rates, for the entities that the files hold. Requests are
sent whether answers come or not. No answer is taken from what was read before:
requests are as of a time behind the last event, where tiles may still change.

Without FILE it is an experiment of twenty features over generated traffic. With
--url a running server is asked; FILE and --input then tell for what.

The client runs in the same process, unless --url: it takes part of the processor
that the server has. Rates rise until the server does not keep up.`,
		Example: `  mortise bench serve --rates 100,500,1000 --entities 1,10,100
  mortise bench serve feed.yaml --input impressions=imps.jsonl --input clicks=clicks.jsonl --store pebble --store redis://127.0.0.1:6379`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error { return c.benchServe(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.inputs, "input", nil, "SOURCE=FILES: recorded files, by glob, folder or URL; may be repeated")
	fs.StringArrayVar(&f.stores, "store", []string{"pebble"}, "where tiles are kept: pebble, or redis://HOST:PORT; may be repeated")
	fs.StringVar(&f.url, "url", "", "ask this server instead, such as http://127.0.0.1:8080")
	fs.IntSliceVar(&f.rates, "rates", []int{100, 500, 1000}, "requests a second")
	fs.IntSliceVar(&f.entities, "entities", []int{1, 10, 100}, "entities of a request")
	fs.IntVar(&f.features, "features", 20, "features of a request: the first of the experiment; 0 is all")
	fs.DurationVar(&f.duration, "duration", 5*time.Second, "how long each rate is kept up")
	fs.IntVar(&f.tasks, "tasks", 1, "tasks that write the tiles: as many as the topics have partitions, where workers share a store")
	fs.Int64Var(&f.impressions, "impressions", 200_000, "without FILE, how many impressions are generated, over eight days")
	fs.BoolVar(&f.cbor, "cbor", false, "ask and be answered in CBOR instead of JSON")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// benchedServe is what was measured of one store, rate and number of entities.
type benchedServe struct {
	Store    string `json:"store"`
	Entities int    `json:"entities"`
	Features int    `json:"features"`
	load.Result
	// ProcessorMS is what a request took of the processor, the client's part
	// included; 0 where the server is another process.
	ProcessorMS float64 `json:"processor_ms,omitempty"`
}

// check finds what is wrong with the flags.
func (f *benchServeFlags) check(args []string) error {
	switch {
	case len(args) == 0 && len(f.inputs) > 0:
		return errors.New("--input needs the experiment file whose sources it names")
	case len(args) == 1 && len(f.inputs) == 0:
		return errors.New("bench serve needs --input SOURCE=FILES: what the features are over, and whom to ask for")
	case len(f.rates) == 0 || slices.Min(f.rates) < 1:
		return fmt.Errorf("--rates %v: write numbers of requests a second, such as 100,500", f.rates)
	case len(f.entities) == 0 || slices.Min(f.entities) < 1:
		return fmt.Errorf("--entities %v: write numbers of entities, such as 1,10", f.entities)
	case f.features < 0 || f.tasks < 1 || f.duration <= 0 || f.impressions < 1:
		return errors.New("--features, --tasks, --duration and --impressions take positive numbers")
	}
	for _, s := range f.stores {
		if s != "pebble" && !strings.HasPrefix(s, redisScheme) {
			return fmt.Errorf("--store %q: choose pebble or redis://HOST:PORT", s)
		}
	}
	return nil
}

func (c *console) benchServe(ctx context.Context, f *benchServeFlags, args []string) (err error) {
	if err := f.check(args); err != nil {
		return usageError{err}
	}
	dir, err := os.MkdirTemp("", "mortise-bench-*")
	if err != nil {
		return fmt.Errorf("making a folder for the bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if len(args) == 0 {
		if args, f.inputs, err = generatedForServe(ctx, dir, f.impressions); err != nil {
			return err
		}
	}
	named, err := parseInputs(f.inputs)
	if err != nil {
		return err
	}
	plan, err := c.mustLoad(&f.load, args)
	if err != nil {
		return err
	}
	population, err := readPopulation(ctx, plan, named)
	if err != nil {
		return err
	}
	slices.Sort(f.rates)
	var all []benchedServe
	if f.url != "" {
		all, err = c.benchServer(ctx, f, population, strings.TrimSuffix(f.url, "/"), f.url)
	} else {
		all, err = c.benchStores(ctx, f, plan, named, population, dir)
	}
	if err != nil {
		return err
	}
	return c.printBenchedServe(all, f.json)
}

//go:embed bench_serve.yaml
var benchServeExperiment []byte

// generatedForServe writes the built-in experiment and its traffic.
func generatedForServe(ctx context.Context, dir string, impressions int64) (args, inputs []string, err error) {
	opts := traffic.Options{Seed: 1, Impressions: impressions, Rate: float64(impressions) / (8 * 86_400)}
	g, err := traffic.New(opts)
	if err != nil {
		return nil, nil, usageError{err}
	}
	if _, err := g.WriteFiles(dir, "jsonl", func(*traffic.Summary) error { return ctx.Err() }); err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "bench-serve.yaml")
	if err := os.WriteFile(file, benchServeExperiment, 0o666); err != nil {
		return nil, nil, err
	}
	return []string{file}, []string{"impressions=" + filepath.Join(dir, "impressions.jsonl"), "clicks=" + filepath.Join(dir, "clicks.jsonl")}, nil
}

func (c *console) benchStores(ctx context.Context, f *benchServeFlags, plan *experiments.Plan, named []input, people *population, dir string) (all []benchedServe, err error) {
	for i, name := range f.stores {
		store, err := openBenchStore(ctx, name, filepath.Join(dir, fmt.Sprint("tiles-", i)))
		if err != nil {
			return nil, err
		}
		measured, err := c.benchStore(ctx, f, plan, named, people, store)
		if err := errors.Join(err, store.close()); err != nil {
			return nil, err
		}
		all = append(all, measured...)
	}
	return all, nil
}

// benchStore fills a store and serves it.
func (c *console) benchStore(ctx context.Context, f *benchServeFlags, plan *experiments.Plan, named []input, people *population, store *benchStore) (_ []benchedServe, err error) {
	gens, asOfMS, err := store.fill(ctx, plan, named, f.tasks)
	if err != nil {
		return nil, err
	}
	server, err := serving.New(plan, store, gens, serving.Options{Now: func() time.Time { return time.UnixMilli(asOfMS) }, Log: c.logger()})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	web := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	defer func() {
		if e := errors.Join(web.Close(), <-ended); !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	return c.benchServer(ctx, f, people, "http://"+listener.Addr().String(), store.name)
}

// benchServer asks a server at all rates, for all numbers of entities.
func (c *console) benchServer(ctx context.Context, f *benchServeFlags, people *population, url, name string) (all []benchedServe, err error) {
	names := people.names
	if f.features > 0 && f.features < len(names) {
		names = names[:f.features]
	}
	for _, n := range f.entities {
		kind, bodies, err := people.requests(names, n, f.cbor)
		if err != nil {
			return nil, err
		}
		attack := load.Attack{URL: url + "/v1/features", Header: http.Header{"Content-Type": {kind}}, Bodies: bodies, Rate: f.rates[0], Duration: time.Second}
		first, err := attack.Run(ctx) // warms up what is read from disk
		if err != nil {
			return nil, err
		}
		if first.Failed == first.Requests {
			return nil, fmt.Errorf("%s answers none of %d requests: %s", attack.URL, first.Requests, strings.Join(first.Errors, "; "))
		}
		attack.Duration = f.duration
		for _, rate := range f.rates {
			attack.Rate = rate
			before := processorTime()
			r, err := attack.Run(ctx)
			if err != nil {
				return nil, err
			}
			one := benchedServe{Store: name, Entities: n, Features: len(names), Result: *r}
			if f.url == "" {
				one.ProcessorMS = float64(processorTime()-before) / float64(time.Millisecond) / float64(max(r.Requests, 1))
			}
			all = append(all, one)
			c.logger().Info("measured", "store", name, "entities", n, "features", len(names), "rate", rate, "p99_ms", r.P99MS)
			if !r.KeepsUp() {
				break
			}
		}
	}
	return all, nil
}

func (c *console) printBenchedServe(all []benchedServe, asJSON bool) error {
	if asJSON {
		return c.printJSON(struct {
			Serve []benchedServe `json:"serve"`
		}{all})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "store\tentities\tfeatures\tasked/s\tanswered/s\tp50 ms\tp99 ms\tp99.9 ms\tmax ms\tfailed\tCPU ms\tanswer B\t")
	for i := range all {
		r := &all[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%.2f\t%.0f\t\n",
			r.Store, r.Entities, r.Features, r.Rate, r.Answered, r.P50MS, r.P99MS, r.P999MS, r.MaxMS, r.Failed, r.ProcessorMS, r.AnswerBytes)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range all {
		if r := &all[i]; len(r.Errors) > 0 {
			c.say("%s, %d entities at %d/s: %s", r.Store, r.Entities, r.Rate, strings.Join(r.Errors, "; "))
		}
	}
	return nil
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one experiment file; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}
