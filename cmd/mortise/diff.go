package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances/compare"
)

type diffFlags struct {
	cluster    clusterFlags
	columns    []string
	ignore     []string
	tolerances []string
	limit      int
	finalOnly  bool
	memory     string
	temp       string
	json       bool
}

func newDiff(c *console) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use: "diff A B", Short: "Compare two sets of instances: added, removed, changed, and why", Args: exactly(2, "two sets of instances"),
		Long: `Compare two sets of instances by instance_id, revision and event time, in any
order and of any size. A and B are each

  a directory or an object store's URL   the Parquet files in it, else its JSON lines
  a file or a glob                       Parquet, or JSON lines (plain, gzip, zstd)
  topic:NAME                             the committed records of a topic
  -                                      JSON lines from standard input

and may end in @FROM..TO, a range of event time, as @2026-01-01..2026-01-02T12:00,
or, of a topic, of the offsets of each partition, as @0..5000. Either end may be
left out; TO is exclusive.

Every difference is put down to a cause, as far as the rows tell: a late impression,
a degraded dimension, another version, a provisional row, a duplicate, sampling.

Exit code: 0 no difference, 1 some difference or a failure, 2 usage.`,
		Example: `  mortise diff topic:instances.feed-ctr ./out/feed-ctr
  mortise diff s3://lake/feed-ctr ./backfill --ignore weight --tolerance 'item_ctr_*=1e-9'`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.diff(cmd.Context(), &f, args) },
	}
	f.cluster.registerReader(cmd)
	fs := cmd.Flags()
	fs.StringSliceVar(&f.columns, "columns", nil, "compare these columns only; patterns such as 'label_*'")
	fs.StringSliceVar(&f.ignore, "ignore", nil, "do not compare these columns; patterns")
	fs.StringSliceVar(&f.tolerances, "tolerance", nil, "COLUMN=N: numbers a and b are equal when |a-b| <= N*max(1,|a|,|b|); COLUMN may be a pattern")
	fs.IntVarP(&f.limit, "limit", "n", 3, "print this many differences of each kind and cause; 0 prints none")
	fs.BoolVar(&f.finalOnly, "final-only", false, "leave provisional rows out and compare final ones, of those that were corrected the newest, whatever their revision")
	fs.StringVar(&f.memory, "memory", "256MB", "what both sides together may hold in memory; the rest waits in files")
	fs.StringVar(&f.temp, "temp", "", "directory of these files (default: the system's)")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// differError says that the sets differ. How has been printed.
type differError struct{ rows int64 }

func (e differError) Error() string { return "the sets differ" }

func (f *diffFlags) options() (compare.Options, error) {
	o := compare.Options{Columns: f.columns, Ignore: f.ignore, FinalOnly: f.finalOnly, Samples: f.limit}
	if f.limit <= 0 {
		o.Samples = -1
	}
	for _, t := range f.tolerances {
		column, text, ok := strings.Cut(t, "=")
		within, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			return o, usageError{fmt.Errorf("--tolerance %q: write COLUMN=N, such as 'item_ctr_1d=1e-9'", t)}
		}
		o.Tolerances = append(o.Tolerances, compare.Tolerance{Columns: column, Within: within})
	}
	size, err := spec.ParseSize(f.memory)
	if err != nil {
		return o, usageError{fmt.Errorf("--memory: %w", err)}
	}
	o.MemoryBytes = size
	if err := o.Validate(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

func (c *console) diff(ctx context.Context, f *diffFlags, args []string) (err error) {
	opts, err := f.options()
	if err != nil {
		return err
	}
	var sides [2]*operand
	for i, arg := range args {
		if sides[i], err = parseOperand(arg); err != nil {
			return err
		}
	}
	if sides[0].place == stdin && sides[1].place == stdin {
		return usageError{errors.New("the standard input can be one side only")}
	}
	scratch := &scratchFiles{dir: f.temp}
	opts.Spill = scratch
	cl, err := f.openCluster(c, sides)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.close()) }()
	for _, side := range sides {
		if side.topic == "" {
			continue
		}
		if side.shown, err = cl.values(ctx, c, nil); err != nil {
			return err
		}
	}
	res, err := c.compareSides(ctx, opts, cl, sides)
	if err != nil {
		return err
	}
	if f.json {
		err = c.printJSON(struct {
			Same bool   `json:"same"`
			A    string `json:"a_name"`
			B    string `json:"b_name"`
			*compare.Result
		}{res.Same(), sides[0].text, sides[1].text, res})
	} else {
		c.printDiff(res, sides)
	}
	if err == nil && !res.Same() {
		err = differError{res.Differing()}
	}
	return err
}

// openCluster reaches the brokers, where a side is a topic.
func (f *diffFlags) openCluster(c *console, sides [2]*operand) (*cluster, error) {
	if sides[0].topic == "" && sides[1].topic == "" {
		return &cluster{}, nil
	}
	return f.cluster.open(c, nil)
}

// compareSides reads both sides at once, then compares them.
func (c *console) compareSides(ctx context.Context, opts compare.Options, cl *cluster, sides [2]*operand) (_ *compare.Result, err error) {
	var rows atomic.Int64
	bar := c.progress("reading", -1, inRecords)
	defer func() { bar.done() }()
	opts.Progress = func(n int64) error {
		bar.set(n)
		return ctx.Err()
	}
	cmp, err := compare.New(opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cmp.Close()) }()
	g, reading := errgroup.WithContext(ctx)
	for i, into := range []*compare.Side{cmp.A(), cmp.B()} {
		g.Go(func() error {
			err := sides[i].read(reading, cl, func(r compare.Row) error {
				if n := rows.Add(1); n&0xfff == 0 {
					bar.set(n)
				}
				return into.Add(r)
			})
			if err != nil {
				return fmt.Errorf("reading %s: %w", sides[i].text, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	bar.done()
	bar = c.progress("comparing", rows.Load(), inRecords)
	return cmp.Result()
}
