package main

import (
	"fmt"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/backfill"
)

// backfillSummary is what a backfill has come to.
type backfillSummary struct {
	Complete    bool                     `json:"complete"` // all shards are done, and the hours are marked so
	Impressions mortise.ImpressionLedger `json:"impressions"`
	Labels      mortise.LabelLedger      `json:"labels"`
	Instances   int64                    `json:"instances"`
	Positives   int64                    `json:"positives"`
	Provisional int64                    `json:"provisional"`
	DeadLetters int64                    `json:"dead_letters"`
	Rows        int64                    `json:"rows"`
	Hours       int                      `json:"hours"`
	Files       int                      `json:"files"`
	Bytes       int64                    `json:"bytes"`
	Splits      int                      `json:"splits"`
	Finished    int                      `json:"finished"`
	Warnings    []string                 `json:"warnings"`
	Out         string                   `json:"out"`
	ElapsedS    float64                  `json:"elapsed_s"`
}

func (c *console) printBackfill(r *backfill.Report, f *backfillFlags, took time.Duration) error {
	l := &r.Ledger
	sum := backfillSummary{Complete: r.Complete, Impressions: l.Impressions, Labels: l.Labels, Instances: l.Instances, Positives: l.Positives, Provisional: l.Provisional,
		DeadLetters: r.Letters, Rows: r.Rows, Hours: r.Hours, Files: r.Files, Bytes: r.Bytes, Splits: r.Splits, Finished: r.Finished,
		Warnings: r.Warnings, Out: r.Out, ElapsedS: took.Seconds()}
	if sum.Warnings == nil {
		sum.Warnings = []string{}
	}
	if f.json {
		return c.printJSON(sum)
	}
	fmt.Fprintf(c.out, "%s v%d: %s impressions became %s instances, %s of them positive%s\n\n", r.Experiment, r.Version,
		thousands(l.Impressions.In), thousands(l.Instances), thousands(l.Positives), share(l.Positives, l.Instances))
	c.printLedger(l)
	fmt.Fprintf(c.out, "\n  dataset       %s: %s rows, %s in %s, %s\n", r.Out, thousands(r.Rows), size(r.Bytes), count(r.Files, "file"), count(r.Hours, "hour"))
	fmt.Fprintf(c.out, "  dead letters  %s\n", letters(r, f))
	fmt.Fprintf(c.out, "  took          %s\n\n", took.Round(time.Millisecond*100))
	switch {
	case !r.Complete:
		fmt.Fprintf(c.out, "%d of %d splits are finished: the other shards have still to do theirs, and the last marks the hours with _SUCCESS\n", r.Finished, r.Splits)
	case r.Done == 0:
		fmt.Fprintln(c.out, "nothing was left to do: --overwrite begins anew")
	}
	return nil
}

func letters(r *backfill.Report, f *backfillFlags) string {
	if r.Letters == 0 {
		return "none"
	}
	if f.letters != "" {
		return fmt.Sprintf("%s in %s", thousands(r.Letters), f.letters)
	}
	return fmt.Sprintf("%s in %s/_mortise/backfill/letters", thousands(r.Letters), r.Out)
}

// size writes bytes with a unit.
func size(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB", "PB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[u])
}

// watchBackfill draws the progress until the function it returns is called.
func (c *console) watchBackfill(job *backfill.Job) (stop func()) {
	bar := c.progress("reading", 1, inRecords)
	if bar.bar == nil {
		return func() {}
	}
	return c.every(200*time.Millisecond, func() {
		p := job.Progress
		joined, total, joining := p.Joined()
		if joining {
			bar.bar.ChangeMax64(max(total, 1))
			bar.describe(fmt.Sprintf("joining, %s rows", thousands(p.Written())))
			bar.set(joined)
			return
		}
		read, there := int64(0), int64(0)
		for _, in := range job.Inputs {
			r, t := in.Progress()
			read, there = read+r, there+max(t, 0)
		}
		bar.bar.ChangeMax64(max(there, 1))
		bar.describe(fmt.Sprintf("reading, %s records", thousands(p.Read())))
		bar.set(read)
	}, bar.done)
}

// every calls f again and again until the function it returns is called, and then end.
func (c *console) every(wait time.Duration, f, end func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(wait)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		end()
	}
}
