package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// restoredTask is what restore brought back.
type restoredTask struct {
	Task  string  `json:"task"`
	Name  string  `json:"checkpoint"`
	Files int     `json:"files"`
	Bytes int64   `json:"bytes"`
	TookS float64 `json:"took_s"`
}

func newCheckpointRestore(c *console) *cobra.Command {
	var f checkpointFlags
	var state, name string
	cmd := &cobra.Command{
		Use: "restore PLACE --state DIR", Short: "Restore checkpoints into a new state directory", Args: exactly(1, onePlace),
		Long: `Restore the newest whole checkpoint of each task, or of one, into a new state
directory, which run then goes on from. This is rarely needed: run restores by
itself what its state directory lacks.`,
		Example: `  mortise checkpoint restore s3://checkpoints/feed?region=eu-west-1 --state ./state
  mortise checkpoint restore ./checkpoints --state ./state --task mortise.feed-ctr/0 --checkpoint 000000000007.worker.0a1b2c3d4e5f`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.checkpointRestore(cmd.Context(), &f, args[0], state, name)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&state, "state", "", "directory to restore into; it must be empty or not exist")
	cmd.Flags().StringVar(&name, "checkpoint", "", "this one instead of the newest; needs --task")
	return cmd
}

func (c *console) checkpointRestore(ctx context.Context, f *checkpointFlags, arg, state, name string) (err error) {
	if state == "" {
		return usageError{errors.New("checkpoint restore needs --state DIR, an empty directory")}
	}
	if name != "" && f.task == "" {
		return usageError{errors.New("--checkpoint needs --task: names are a task's own")}
	}
	entries, err := os.ReadDir(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening --state: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: choose a new directory with --state", state)
	}
	p, err := f.open(ctx, c, arg)
	if err != nil {
		return err
	}
	defer p.close()
	if len(p.tasks) == 0 {
		return fmt.Errorf("there are no checkpoints in %s", p.bucket)
	}
	db, err := disk.OpenDB(state, disk.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all := []restoredTask{}
	for _, task := range p.tasks {
		done, err := p.restore(ctx, db, task, name)
		if err != nil {
			return err
		}
		all = append(all, *done)
		if !f.json {
			fmt.Fprintf(c.out, "%s: checkpoint %s, %s, %s bytes in %.1f s\n", done.Task, done.Name, count(done.Files, "file"), thousands(done.Bytes), done.TookS)
		}
	}
	if f.json {
		return c.printJSON(map[string]any{"place": p.bucket.String(), "state": state, "tasks": all})
	}
	return nil
}

// restore restores the newest checkpoint of a task, or the named one.
func (p *checkpointPlace) restore(ctx context.Context, db *disk.DB, task, name string) (*restoredTask, error) {
	began, refused := time.Now(), 0
	accept := func(meta []byte) bool {
		if !p.accepts(meta) {
			refused++
			return false
		}
		return true
	}
	var got *checkpoint.Restored
	var err error
	if name != "" {
		got, err = p.RestoreNamed(ctx, task, name, db, accept)
	} else {
		got, err = p.Restore(ctx, task, db, accept)
	}
	switch {
	case err != nil:
		return nil, err
	case got == nil && refused > 0:
		return nil, fmt.Errorf("task %q: its checkpoints are of another definition of the experiment than %s: restore with the file that they were made with, or by naming the place itself", task, p.file)
	case got == nil:
		return nil, fmt.Errorf("task %q: none of its checkpoints is whole: mortise checkpoint verify says what is wrong with each", task)
	}
	return &restoredTask{task, got.Name, got.Files, got.Bytes, time.Since(began).Seconds()}, nil
}
