package experiments

import "time"

// Takeover is how long it took until a task was at work again, each since it was
// assigned; 0 for what is yet to come.
type Takeover struct {
	Opened time.Duration `json:"opened_ns"` // its state was there: opened, or restored from a checkpoint
	Live   time.Duration `json:"live_ns"`   // what it read since was committed: nothing is being rebuilt
	Row    time.Duration `json:"row_ns"`    // a new final row was committed
}

// takeover follows a task from its assignment to its first row.
type takeover struct {
	Takeover
	assigned time.Time
	restored bool  // from a checkpoint
	rows     int64 // that were committed then
}

// rows is how many final rows the task has written.
func (r *runner) rows() (n int64) {
	for exp := range r.pipeline.Experiments {
		l := r.task.Ledger(exp)
		n += l.Instances
	}
	return n
}

// noteTakeover takes note of a commit in which the task is settled.
func (w *Worker) noteTakeover(r *runner) {
	t := &r.takeover
	if t.Row > 0 {
		return
	}
	since := w.opts.Now().Sub(t.assigned)
	rows := r.rows()
	if t.Live == 0 {
		t.Live = since
		w.opts.Log.Info("task is live", "group", w.name, "partition", r.partition, "after", t.Live, "opened", t.Opened, "restored", t.restored)
	}
	if rows > t.rows {
		t.Row = since
		w.opts.Log.Info("task has committed its first row", "group", w.name, "partition", r.partition, "after", t.Row)
	}
}
