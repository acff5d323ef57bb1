package experiments_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// simPlan is what a seed draws for a run.
type simPlan struct {
	broker   simulation.Options
	workers  int
	static   bool // members keep their places over restarts
	synced   bool // commits of state are synced
	options  experiments.WorkerOptions
	slow     time.Duration
	troubles int           // how many
	every    time.Duration // on average
	publish  time.Duration // how long publishing takes, unless live

	checkpointEvery time.Duration // 0: there are none
	keep            int           // of a task's checkpoints
	bucketFaults    int           // one call in so many
	bucketSlow      time.Duration
}

// simRun is one simulation on its way.
type simRun struct {
	world     *simWorld
	schedule  *simulation.Schedule
	broker    *simulation.Broker
	bucket    *simulation.Bucket
	check     *simCheck
	plan      simPlan
	slots     []*simSlot
	published chan struct{} // closed when all input is there
	untilEnd  bool          // workers that start now stop at the end
	troubles  int           // left
	counts    simCounts
	damaged   bool // a disk may have lost what was relied on

	transport func(func() *experiments.Worker, experiments.Transport) experiments.Transport // wraps a worker's; nil: does not
	saved     func()                                                                        // a checkpoint was saved; nil: nobody cares
}

// simCounts are how often what happened.
type simCounts struct {
	steps, commits, kills, failedWrites, stops, drains, restarts, aborts, rebuilds, corrupt, saved, restored, enriched, lookedUp, parked, amended int
}

func (c *simCounts) add(o *simCounts) {
	c.steps, c.commits, c.kills, c.failedWrites = c.steps+o.steps, c.commits+o.commits, c.kills+o.kills, c.failedWrites+o.failedWrites
	c.stops, c.drains, c.restarts, c.aborts = c.stops+o.stops, c.drains+o.drains, c.restarts+o.restarts, c.aborts+o.aborts
	c.rebuilds, c.corrupt = c.rebuilds+o.rebuilds, c.corrupt+o.corrupt
	c.saved, c.restored, c.enriched, c.lookedUp = c.saved+o.saved, c.restored+o.restored, c.enriched+o.enriched, c.lookedUp+o.lookedUp
	c.parked, c.amended = c.parked+o.parked, c.amended+o.amended
}

// check says what never happened.
func (c *simCounts) check() error {
	for name, n := range map[string]int{"commits": c.commits, "kills": c.kills, "failed writes": c.failedWrites, "stops": c.stops, "drains": c.drains,
		"aborts": c.aborts, "rebuilds": c.rebuilds, "corrupt states": c.corrupt, "checkpoints": c.saved, "restores": c.restored, "enriched": c.enriched, "looked up": c.lookedUp, "rows that waited": c.parked, "corrections": c.amended} {
		if n == 0 {
			return fmt.Errorf("there were no %s: a simulation in which nothing happens proves nothing", name)
		}
	}
	return nil
}

// simSlot is one worker's place: its name and disk, and the process that is there now.
type simSlot struct {
	name    string
	disk    *simulation.Disk
	process *simulation.Process
	cancel  context.CancelFunc
	exit    chan error
	worker  *experiments.Worker
	starts  int
	asked   bool // its process is to end, whatever is left to do
	ended   bool // it has nothing more to do
}

// begin publishes, and starts the workers.
func (r *simRun) begin() {
	r.bucket = r.schedule.NewBucket()
	r.bucket.FailEvery, r.bucket.Slow = r.plan.bucketFaults, r.plan.bucketSlow
	r.schedulePublishing()
	for i := range r.plan.workers {
		slot := &simSlot{name: fmt.Sprintf("w%d", i), disk: r.newDisk()}
		r.slots = append(r.slots, slot)
		r.schedule.Plan(r.schedule.Between(0, 2*time.Second), "", func() { r.start(slot) })
	}
	r.planTrouble()
}

func (r *simRun) newDisk() *simulation.Disk { return simulation.NewDisk(r.schedule.Rand.Uint64()) }

// start starts a process in a slot.
func (r *simRun) start(slot *simSlot) {
	slot.starts++
	slot.exit = make(chan error, 1)
	slot.process = r.schedule.NewProcess(fmt.Sprintf("%s.%d", slot.name, slot.starts), slot.disk, r.plan.slow)
	ctx, cancel := context.WithCancel(context.Background())
	slot.cancel, slot.asked = cancel, false
	untilEnd := r.untilEnd || !r.world.kind.live
	go func(p *simulation.Process, exit chan error) { exit <- r.process(ctx, slot, p, untilEnd) }(slot.process, slot.exit)
}

// process is a worker's main function.
func (r *simRun) process(ctx context.Context, slot *simSlot, p *simulation.Process, untilEnd bool) error {
	if err := p.Turn("start", 0); err != nil {
		return err
	}
	db, err := r.openDisk(p)
	if err != nil {
		return err
	}
	err = r.work(ctx, slot, p, db, untilEnd)
	if cerr := db.Close(); err == nil && cerr != nil {
		err = cerr
	}
	return err
}

func (r *simRun) openDisk(p *simulation.Process) (*disk.DB, error) {
	opts := disk.Options{FS: p.Mount(), Sync: r.plan.synced, Quiet: true, Gone: p.Gone()}
	db, err := disk.OpenDB("/state", opts)
	if errors.Is(err, joiner.ErrCorrupt) {
		r.schedule.Tracef("%s wipes its state: %v", p.Name, err)
		r.counts.corrupt++
		if err := disk.Wipe("/state", opts); err != nil {
			return nil, err
		}
		db, err = disk.OpenDB("/state", opts)
	}
	return db, err
}

func (r *simRun) work(ctx context.Context, slot *simSlot, p *simulation.Process, db *disk.DB, untilEnd bool) error {
	if err := p.Turn("connect", 0); err != nil {
		return err
	}
	instance := ""
	if r.plan.static {
		instance = slot.name
	}
	tr := r.broker.Connect(p, slot.name, instance)
	var end experiments.Transport = tr
	if r.transport != nil {
		end = r.transport(func() *experiments.Worker { return slot.worker }, tr)
	}
	opts := r.plan.options
	opts.Partitions, opts.Parallel, opts.Now, opts.Go = int(r.plan.broker.Partitions), 1, simNow, p.Go
	if opts.UntilEnd = untilEnd; untilEnd {
		opts.InputDone = r.published
	}
	if r.plan.checkpointEvery > 0 {
		opts.Checkpoints, opts.CheckpointEvery = r.checkpoints(p, db), r.plan.checkpointEvery
	}
	if r.world.kind.featured {
		opts.Enrichment = &simEnrichment{process: p, run: r}
	}
	if r.world.kind.looking {
		opts.Dimensions = &simDimensions{process: p, run: r}
		if r.world.kind.delivery == "exactly_once" {
			opts.Parked = &simParked{process: p, broker: r.broker}
		}
	}
	if r.schedule.Trace != nil {
		opts.Trace = func(partition int32, t joiner.Trace) {
			r.schedule.Tracef("%s: %s of input %d, %d[%d]@%d, %v", p.Name, simFates[t.Fate], t.Event.Source, t.Event.TimeMS, partition, t.Event.Offset, t.Reason)
		}
	}
	opts.Log = slog.New(simLog{r})
	w, err := experiments.NewWorker(r.world.plan.Pipelines[0], end, simDiskStates{db}, "group", opts)
	if err != nil {
		return err
	}
	slot.worker = w
	if err := w.Run(ctx); err != nil {
		if !r.plan.static { // else it is to come back soon
			_ = tr.Close()
		}
		return err
	}
	return tr.Close()
}

var simFates = [...]string{joiner.TakenIn: "takes in", joiner.Dropped: "drops", joiner.Matched: "matches", joiner.Emitted: "emits",
	joiner.Unmatched: "leaves unmatched", joiner.LateLabel: "finds late"}

// simLog tells what workers log to the trace, and sees that local state never
// leads what the group has committed: it would be of no use.
type simLog struct{ run *simRun }

func (simLog) Enabled(context.Context, slog.Level) bool { return true }
func (l simLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l simLog) WithGroup(string) slog.Handler          { return l }
func (l simLog) Handle(_ context.Context, rec slog.Record) error {
	var b strings.Builder
	rec.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	switch {
	case strings.Contains(b.String(), "rebuilding=true"):
		l.run.counts.rebuilds++
	case strings.Contains(b.String(), joiner.ErrCorrupt.Error()):
		l.run.counts.corrupt++
	case rec.Message == "what was not committed is aborted, and tasks begin again from what is":
		l.run.counts.aborts++
	}
	if strings.Contains(b.String(), "it has seen what the group has not committed") {
		l.run.check.fault("local state leads what is committed")
	}
	l.run.schedule.Tracef("%s%s", rec.Message, b.String())
	return nil
}

// simDiskStates is experiments.States over a simulated disk.
type simDiskStates struct{ db *disk.DB }

func (s simDiskStates) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	store, err := s.db.OpenStore(task, opts)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func (s simDiskStates) Reset(task string) error { return s.db.Reset(task) }
func (s simDiskStates) Close() error            { return s.db.Close() }

// drain asks a slot's process to end.
func (r *simRun) drain(slot *simSlot) {
	r.schedule.Tracef("%s is asked to end", slot.process.Name)
	slot.asked = true
	slot.cancel()
}

// reap looks for processes that have ended, and starts them again.
func (r *simRun) reap() error {
	for _, slot := range r.slots {
		var err error
		select {
		case err = <-slot.exit:
		default:
			continue
		}
		slot.cancel()
		slot.exit = nil
		var path *fs.PathError
		switch {
		case slot.process.Dead():
			r.counts.kills++
			r.schedule.Tracef("%s is dead", slot.process.Name)
		case err == nil:
			r.schedule.Tracef("%s ends", slot.process.Name)
			slot.ended = r.untilEnd && !slot.asked
		case errors.As(err, &path), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EIO), errors.Is(err, joiner.ErrCorrupt):
			r.schedule.Tracef("%s fails: %v", slot.process.Name, err)
			r.counts.failedWrites++
			slot.process.Kill(simulation.LoseMemory) // what stood still has no effect any more
		default:
			return fmt.Errorf("%s: %w", slot.process.Name, err)
		}
		slot.process.End()
		slot.disk = slot.process.Disk
		if !slot.ended {
			r.counts.restarts++
			r.schedule.Plan(r.schedule.Between(100*time.Millisecond, 40*time.Second), "", func() { r.start(slot) })
		}
	}
	return nil
}

// maxSteps is more than any run takes that gets anywhere.
const maxSteps = 100_000

// run runs until every worker has nothing more to do.
func (r *simRun) run() error {
	r.begin()
	for {
		r.schedule.Step()
		if err := r.reap(); err != nil {
			return err
		}
		if r.done() {
			return nil
		}
		if r.counts.steps++; r.counts.steps > maxSteps {
			return errors.New("it does not come to an end")
		}
	}
}

func (r *simRun) done() bool {
	for _, slot := range r.slots {
		if !slot.ended {
			return false
		}
	}
	return true
}

// stopAll ends every process, so that none is left behind when a run has failed.
func (r *simRun) stopAll() {
	for _, slot := range r.slots {
		if slot.exit == nil {
			continue
		}
		slot.process.Kill(simulation.LoseDisk)
		slot.cancel()
		for n := 0; n < 10_000 && len(slot.exit) == 0; n++ {
			r.schedule.Step()
		}
	}
}

// alone has one worker take everything over, on a new disk or an old one, and
// returns what it says at its end. Workers that end when their own tasks are done
// leave the tasks of one that has died meanwhile to it.
func (r *simRun) alone(name string) (experiments.Status, error) {
	slot := &simSlot{name: name, disk: r.newDisk()}
	if r.schedule.Chance(2) {
		slot.disk = r.slots[0].disk
	}
	r.slots = []*simSlot{slot}
	for n := 0; !slot.ended || !r.broker.Idle(); n++ {
		if slot.starts == 0 && r.broker.Idle() {
			r.start(slot)
		}
		r.schedule.Step()
		if err := r.reap(); err != nil {
			return experiments.Status{}, err
		}
		if n > maxSteps {
			return experiments.Status{}, errors.New("the last worker does not come to an end")
		}
	}
	return slot.worker.Status(), nil
}

// audit has one worker finish what is left, and another take everything over
// then: it must find nothing to do, and account for all.
func (r *simRun) audit() error {
	if _, err := r.alone("last"); err != nil {
		return err
	}
	r.check.finish()
	outs, letters := len(r.broker.Output("out")), len(r.broker.Output("dead-letters.hostile"))
	status, err := r.alone("audit")
	for err == nil && len(status.Tasks) < int(r.plan.broker.Partitions) {
		// It was killed and came back while the group still gave it, as it was before,
		// a task: done with the others, it has ended.
		status, err = r.alone("audit of all")
	}
	if err != nil {
		return err
	}
	r.check.audit(status)
	if r.counts.corrupt > 0 && !r.damaged {
		r.check.fault("state does not verify, and nothing has damaged it")
	}
	if a, b := len(r.broker.Output("out")), len(r.broker.Output("dead-letters.hostile")); a != outs || b != letters {
		r.check.fault("a worker that starts when all is done puts out %d rows and %d dead letters", a-outs, b-letters)
	}
	return nil
}

func (r *simRun) report(t *testing.T, seed uint64, err error) {
	t.Helper()
	for _, f := range r.check.faults {
		t.Errorf("seed %d: %s", seed, f)
	}
	for _, b := range r.broker.Broken() {
		t.Errorf("seed %d: %v", seed, b)
	}
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}
