package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/instances/parquet"
)

// batchDescription is what backfill does with one experiment.
type batchDescription struct {
	Experiment string       `json:"experiment"`
	SplitBy    []string     `json:"split_by"`
	Splits     []splitsOf   `json:"splits"`
	Reads      []batchReads `json:"reads"`
	Layout     string       `json:"layout"`
	RollBytes  int64        `json:"roll_bytes"`
	Parquet    []string     `json:"parquet"` // how each column is stored, in the order of the instance's columns
}

// splitsOf is how many splits so many bytes of input make.
type splitsOf struct {
	InputBytes int64 `json:"input_bytes"`
	Splits     int   `json:"splits"`
}

// batchReads is how far beyond --from and --to one stream is read.
type batchReads struct {
	Sources []string `json:"sources"`
	For     string   `json:"for"` // impressions, labels or features
	Before  string   `json:"before"`
	After   string   `json:"after"`
}

// describeBatch describes a backfill of every experiment of the plan.
func describeBatch(plan *experiments.Plan) (all []batchDescription, err error) {
	for _, p := range plan.Pipelines {
		for i, e := range p.Experiments {
			alone := p
			if len(p.Experiments) > 1 { // a backfill runs one experiment
				own, err := experiments.NewPlan(p.Experiments[i : i+1])
				if err != nil {
					return nil, err
				}
				alone = own.Pipelines[0]
			}
			d := batchDescription{Experiment: e.Name, SplitBy: e.Join.PartitionBy, RollBytes: backfill.DefaultRollBytes,
				Layout: layoutOf([]string{"dt", "hour"}), Parquet: parquet.Types(alone.Columns(0))}
			for _, bytes := range []int64{1e9, 1e11, 1e13} {
				d.Splits = append(d.Splits, splitsOf{bytes, backfill.Splits(bytes)})
			}
			if e.Output.Parquet {
				d.Layout, d.RollBytes = layoutOf(e.Output.ParquetOut.Partition), e.Output.ParquetOut.RollSizeBytes
			}
			for _, n := range backfill.Needs(alone) {
				d.Reads = append(d.Reads, batchReads{n.Sources, n.For, span(n.BeforeMS), span(n.AfterMS)})
			}
			all = append(all, d)
		}
	}
	return all, nil
}

func layoutOf(partition []string) string {
	folders := ""
	for _, by := range partition {
		folders += map[string]string{"dt": "dt=YYYY-MM-DD/", "hour": "hour=HH/"}[by]
	}
	return folders + "part-sNNNN-of-NNNN-FROM-TO.parquet"
}

func span(ms int64) string { return mortise.FormatDuration(time.Duration(ms) * time.Millisecond) }

// explainBatch prints what backfill would do.
func (c *console) explainBatch(d *batchDescription) {
	fmt.Fprintf(c.out, "\n  batch %s: mortise backfill --input … --out DIR [--from T] [--to T]\n", d.Experiment)
	var splits []string
	for _, s := range d.Splits {
		splits = append(splits, fmt.Sprintf("%s for %s", thousands(int64(s.Splits)), size(s.InputBytes)))
	}
	fmt.Fprintf(c.out, "    records are divided by %s into splits (%s of inputs), sorted by event time there, and joined as a task's are\n", strings.Join(d.SplitBy, ", "), strings.Join(splits, ", "))
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, r := range d.Reads {
		fmt.Fprintf(w, "    %s\t%s\tread from %s--from to %s--to\n", strings.Join(r.Sources, ", "), r.For, beyond(r.Before, "before"), beyond(r.After, "after"))
	}
	w.Flush()
	fmt.Fprintf(c.out, "    written to DIR/%s, files of about %s, zstd; _SUCCESS beside them at the end\n", d.Layout, size(d.RollBytes))
}

func beyond(span, side string) string {
	if span == "0s" {
		return ""
	}
	return span + " " + side + " "
}
