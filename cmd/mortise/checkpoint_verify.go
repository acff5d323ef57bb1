package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// verifiedTask is what verify read of a task.
type verifiedTask struct {
	Task        string            `json:"task"`
	Checkpoints int               `json:"checkpoints"`
	Parts       int               `json:"parts"`
	Bytes       int64             `json:"bytes"`
	Faults      []checkpointFault `json:"faults"`
}

type checkpointFault struct {
	Checkpoints []string `json:"checkpoints"` // that are harmed
	Error       string   `json:"error"`
}

func newCheckpointVerify(c *console) *cobra.Command {
	var f checkpointFlags
	cmd := &cobra.Command{
		Use: "verify PLACE", Short: "Read checkpoints as a whole and check them", Args: exactly(1, onePlace),
		Long: `Read all that checkpoints consist of and check it against their checksums. What is
missing, cut off or altered is named, with the checkpoints that it harms, and the
exit code is 1. A restore passes over such checkpoints and takes an older one.`,
		Example: "  mortise checkpoint verify ./checkpoints --task mortise.feed-ctr/0",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.checkpointVerify(cmd.Context(), &f, args[0]) },
	}
	f.register(cmd)
	return cmd
}

func (c *console) checkpointVerify(ctx context.Context, f *checkpointFlags, arg string) error {
	p, err := f.open(ctx, c, arg)
	if err != nil {
		return err
	}
	defer p.close()
	all, faults := []verifiedTask{}, 0
	for _, task := range p.tasks {
		v, err := p.Verify(ctx, task)
		if err != nil {
			return fmt.Errorf("verifying task %q: %w", task, err)
		}
		vt := verifiedTask{Task: task, Checkpoints: v.Checkpoints, Parts: v.Parts, Bytes: v.Bytes, Faults: []checkpointFault{}}
		for _, fault := range v.Faults {
			vt.Faults = append(vt.Faults, checkpointFault{fault.Checkpoints, fault.Err.Error()})
		}
		faults += len(vt.Faults)
		all = append(all, vt)
		if !f.json {
			c.printVerified(&vt)
		}
	}
	if f.json {
		if err := c.printJSON(map[string]any{"place": p.bucket.String(), "tasks": all}); err != nil {
			return err
		}
	} else if len(all) == 0 {
		c.say("there are no checkpoints in %s", p.bucket)
	}
	if faults > 0 {
		return fmt.Errorf("%s found in %s", count(faults, "fault"), p.bucket)
	}
	return nil
}

func (c *console) printVerified(v *verifiedTask) {
	fmt.Fprintf(c.out, "%s: %s in %s, %s bytes", v.Task, count(v.Checkpoints, "checkpoint"), count(v.Parts, "part"), thousands(v.Bytes))
	if len(v.Faults) == 0 {
		fmt.Fprintln(c.out, ": whole")
		return
	}
	fmt.Fprintf(c.out, ": %s\n", count(len(v.Faults), "fault"))
	for _, fault := range v.Faults {
		fmt.Fprintf(c.out, "  %s\n    harms %s\n", fault.Error, strings.Join(fault.Checkpoints, ", "))
	}
}
