package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
)

// listedTask is a task's checkpoints as ls prints them, the newest first.
type listedTask struct {
	Task        string             `json:"task"`
	Checkpoints []listedCheckpoint `json:"checkpoints"`
}

type listedCheckpoint struct {
	Name        string  `json:"checkpoint"`
	Error       string  `json:"error,omitempty"` // then what follows is not known
	Owner       string  `json:"owner,omitempty"`
	CreatedMS   int64   `json:"created_ms"`
	Files       int     `json:"files"`
	Objects     int     `json:"objects"`
	Bytes       int64   `json:"bytes"`
	NewBytes    int64   `json:"new_bytes"`
	Plan        string  `json:"plan,omitempty"` // fingerprint of the definition
	Offsets     []int64 `json:"offsets,omitempty"`
	WatermarkMS *int64  `json:"watermark_ms,omitempty"`
	ClosedToMS  *int64  `json:"closed_to_ms,omitempty"`
	Pending     int64   `json:"pending"`

	err error
}

func newCheckpointLs(c *console) *cobra.Command {
	var f checkpointFlags
	cmd := &cobra.Command{
		Use: "ls PLACE", Short: "List tasks and their checkpoints", Args: exactly(1, onePlace),
		Long: `List tasks and their checkpoints, the newest first: age, size and how much of it
was copied anew, where the task stood (watermark, offsets per source, in the order
of the plan), and how many impressions were pending.`,
		Example: "  mortise checkpoint ls s3://checkpoints/feed?region=eu-west-1",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.checkpointLs(cmd.Context(), &f, args[0]) },
	}
	f.register(cmd)
	return cmd
}

func (c *console) checkpointLs(ctx context.Context, f *checkpointFlags, arg string) error {
	p, err := f.open(ctx, c, arg)
	if err != nil {
		return err
	}
	defer p.close()
	all := []listedTask{}
	for _, task := range p.tasks {
		found, err := p.List(ctx, task)
		if err != nil {
			return err
		}
		lt := listedTask{Task: task, Checkpoints: []listedCheckpoint{}}
		for i := range found {
			lt.Checkpoints = append(lt.Checkpoints, describeCheckpoint(&found[i]))
		}
		all = append(all, lt)
	}
	if f.json {
		return c.printJSON(map[string]any{"place": p.bucket.String(), "tasks": all})
	}
	if len(all) == 0 {
		c.say("there are no checkpoints in %s", p.bucket)
	}
	for i := range all {
		printCheckpoints(c.out, &all[i], time.Now())
	}
	return nil
}

func describeCheckpoint(l *checkpoint.Listed) listedCheckpoint {
	out := listedCheckpoint{Name: l.Name, err: l.Err}
	m := l.Manifest
	if m == nil {
		out.Error = l.Err.Error()
		return out
	}
	out.Owner, out.CreatedMS, out.Files, out.Objects, out.Bytes, out.NewBytes = m.Owner, m.CreatedMS, len(m.Files), len(m.Objects), m.TotalBytes(), m.NewBytes()
	s, err := joiner.ParseSnapshot(m.Meta)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Plan, out.Offsets = fmt.Sprintf("%016x", s.Plan), s.Offsets
	if s.WatermarkMS != joiner.NoTimeMS {
		out.WatermarkMS = &s.WatermarkMS
	}
	if s.Cursor.TimeMS != joiner.NoTimeMS {
		out.ClosedToMS = &s.Cursor.TimeMS
	}
	for i := range s.Ledgers {
		out.Pending = max(out.Pending, s.Ledgers[i].Impressions.Pending) // experiments share what is held
	}
	return out
}

func printCheckpoints(to io.Writer, t *listedTask, now time.Time) {
	fmt.Fprintf(to, "%s\n", t.Task)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  checkpoint\tage\tfiles\tbytes\tnew bytes\tpending\twatermark\toffsets")
	for i := range t.Checkpoints {
		l := &t.Checkpoints[i]
		if l.err != nil {
			fmt.Fprintf(w, "  %s\t%s\t\t\t\t\t\t\n", l.Name, whyUnreadable(l.err))
			continue
		}
		mark := ""
		if l.WatermarkMS != nil {
			mark = eventTime(*l.WatermarkMS)
		}
		fmt.Fprintf(w, "  %s\t%s\t%d\t%s\t%s\t%s\t%s\t%v\n", l.Name, now.Sub(time.UnixMilli(l.CreatedMS)).Round(time.Second), l.Files,
			thousands(l.Bytes), thousands(l.NewBytes), thousands(l.Pending), mark, l.Offsets)
	}
	_ = w.Flush() // to the console
	fmt.Fprintln(to)
}
