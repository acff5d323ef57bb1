package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

type generateFlags struct {
	out, format, profile, start, duration, jitter string
	json                                          bool
	opts                                          traffic.Options
}

func newGenerate(c *console) *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use: "generate", Short: "Write seeded synthetic traffic with realistic skew and click delays", Args: exactly(0, "no arguments"),
		Long: `Write impressions, clicks, orders and queries as JSON lines, a file a stream. The
same seed gives the same bytes on every machine.`,
		Example: "  mortise generate --out traffic --impressions 100000 --profile realistic",
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.generate(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.out, "out", "traffic", "directory to write to; it is made when missing")
	fs.StringVar(&f.format, "format", "jsonl", "jsonl, jsonl.gz or jsonl.zst")
	fs.StringVar(&f.profile, "profile", "realistic", "clean: ordered and sound; realistic: a well-kept site's logs; hostile: all that can go wrong, often")
	fs.Uint64Var(&f.opts.Seed, "seed", 1, "decides everything that is drawn")
	fs.Int64Var(&f.opts.Impressions, "impressions", 100_000, "how many impressions")
	fs.StringVar(&f.duration, "duration", "", "how much event time, at --rate; instead of --impressions")
	fs.Float64Var(&f.opts.Rate, "rate", 20, "impressions a second of event time")
	fs.StringVar(&f.start, "start", "", "event time of the first request, RFC 3339 (default 2026-01-01T00:00:00Z)")
	fs.Float64Var(&f.opts.CTR, "ctr", 0.05, "share of impressions that are clicked")
	fs.IntVar(&f.opts.Items, "items", 10_000, "how many items")
	fs.IntVar(&f.opts.Users, "users", 100_000, "how many users")
	fs.IntVar(&f.opts.PayloadBytes, "payload", 0, "pad each impression to this many bytes")
	fs.StringVar(&f.jitter, "jitter", "", "how much later than its event time a record may arrive (default: the profile's)")
	fs.BoolVar(&f.json, "json", false, "print the summary as JSON")
	return cmd
}

func (c *console) generate(cmd *cobra.Command, f *generateFlags) error {
	opts, err := f.options(cmd)
	if err != nil {
		return usageError{err}
	}
	g, err := traffic.New(opts)
	if err != nil {
		return usageError{err}
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return fmt.Errorf("making %s: %w; choose another folder with --out", f.out, err)
	}
	bar := c.progress("generating", opts.Impressions, inRecords)
	sum, err := g.WriteFiles(f.out, f.format, func(s *traffic.Summary) error {
		bar.set(s.Impressions.Lines)
		return cmd.Context().Err()
	})
	bar.done()
	if err != nil {
		return err
	}
	if f.json {
		return c.printJSON(sum)
	}
	fmt.Fprintf(c.out, "%s: seed %d\n", f.out, opts.Seed)
	for s := traffic.Impressions; s <= traffic.Queries; s++ {
		if n := sum.Stream(s).Lines; n > 0 {
			fmt.Fprintf(c.out, "  %-24s %10d records\n", s.String()+"."+f.format, n)
		}
	}
	return nil
}

// options lays the flags that were given over the profile.
func (f *generateFlags) options(cmd *cobra.Command) (traffic.Options, error) {
	var o traffic.Options
	switch f.profile {
	case "clean":
	case "realistic":
		o = traffic.Realistic()
	case "hostile":
		o = traffic.Hostile()
	default:
		return o, fmt.Errorf("--profile %q: choose clean, realistic or hostile", f.profile)
	}
	o.Seed, o.Impressions, o.Rate, o.Items, o.Users, o.PayloadBytes = f.opts.Seed, f.opts.Impressions, f.opts.Rate, f.opts.Items, f.opts.Users, f.opts.PayloadBytes
	if cmd.Flags().Changed("ctr") || o.CTR == 0 {
		o.CTR = f.opts.CTR
	}
	for _, d := range []struct {
		text string
		into *int64
	}{{f.duration, &o.DurationMS}, {f.jitter, &o.JitterMS}} {
		if d.text == "" {
			continue
		}
		v, err := mortise.ParseDuration(d.text)
		if err != nil {
			return o, err
		}
		*d.into = v.Milliseconds()
	}
	if f.duration != "" {
		o.Impressions = 0
	}
	if f.start != "" {
		at, err := time.Parse(time.RFC3339, f.start)
		if err != nil {
			return o, fmt.Errorf("--start %q: write a time such as 2026-01-01T00:00:00Z", f.start)
		}
		o.StartMS = at.UnixMilli()
	}
	return o, nil
}
