package archive_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/instances/dataset"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "the one seed to simulate")
	seedsFlag = flag.Int("seeds", 80, "how many seeds the simulation runs")
	traceFlag = flag.Bool("trace", false, "print what happens in the simulation of -seed")
)

// TestSimulation runs archivers over a topic, a consumer group, an object store
// and a clock that are simulated, each seed in another world and with other
// troubles: processes that are killed, stopped and asked to end, brokers that
// forget members, a store that fails with what was asked done or not, transactions
// that stay open. Whatever can be seen of the dataset is looked at as it appears.
func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		bubble(t, func(t *testing.T) { simulate(t, *seedFlag) })
		return
	}
	var total counts
	bubble(t, func(t *testing.T) {
		for seed := uint64(1); seed <= uint64(*seedsFlag) && !t.Failed(); seed++ {
			_, c := simulate(t, seed)
			total.add(&c)
		}
	})
	t.Logf("%+v", total)
	if err := total.check(); err != nil && *seedsFlag >= 80 && !t.Failed() {
		t.Error(err)
	}
}

// TestSimulationRepeats runs seeds twice.
func TestSimulationRepeats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for seed := uint64(1); seed <= 5; seed++ {
			first, _ := simulate(t, seed)
			if again, _ := simulate(t, seed); again != first {
				t.Errorf("seed %d goes two ways: %x and %x", seed, first, again)
			}
		}
	})
}

// bubble runs f on the simulation's clock. Compressors that are kept for reuse
// have channels, which outside of the bubble may not be touched: nothing of them
// may be left.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, f)
	runtime.GC()
	runtime.GC() // a sync.Pool is empty after two
}

// counts are how often what happened.
type counts struct {
	steps, parts, files, rows, late, foreign, success, early, kills, stops, drains, redone, failures, rebalances int
}

func (c *counts) add(o *counts) {
	c.steps, c.parts, c.files, c.rows, c.late, c.foreign = c.steps+o.steps, c.parts+o.parts, c.files+o.files, c.rows+o.rows, c.late+o.late, c.foreign+o.foreign
	c.success, c.early, c.kills, c.stops, c.drains = c.success+o.success, c.early+o.early, c.kills+o.kills, c.stops+o.stops, c.drains+o.drains
	c.redone, c.failures, c.rebalances = c.redone+o.redone, c.failures+o.failures, c.rebalances+o.rebalances
}

// check says what never happened.
func (c *counts) check() error {
	for name, n := range map[string]int{"files": c.files, "late rows": c.late, "foreign records": c.foreign, "folders with _SUCCESS while rows still came": c.early,
		"kills": c.kills, "stops": c.stops, "drains": c.drains, "parts that another began": c.redone, "failures of the store": c.failures, "rebalances": c.rebalances} {
		if n == 0 {
			return fmt.Errorf("there were no %s: a simulation in which nothing happens proves nothing", name)
		}
	}
	return nil
}

// plan is what a seed draws for a run.
type plan struct {
	broker       simulation.Options
	workers      int
	static       bool
	slow         time.Duration
	troubles     int
	every        time.Duration // between troubles, on average
	bucketFaults int
	bucketSlow   time.Duration
	tasks        int32
	rows         int           // about how many
	over         time.Duration // of wall time
	span         time.Duration // of event time
	partition    []string
	shared       bool // another experiment writes to the topic too
	leave        bool // one worker's join ends before the others'
	options      archive.Options
	rollBytes    int64
	rollEvery    time.Duration
}

func drawPlan(rng *rand.Rand) plan {
	pick := func(all ...time.Duration) time.Duration { return all[rng.IntN(len(all))] }
	p := plan{workers: 1 + rng.IntN(3), static: rng.IntN(3) == 0, slow: pick(0, 0, 50*time.Millisecond, 2*time.Second), troubles: rng.IntN(7),
		every: pick(time.Second, 5*time.Second, 20*time.Second), bucketFaults: []int{0, 0, 40, 12, 7}[rng.IntN(5)], bucketSlow: pick(0, 300*time.Millisecond, 20*time.Second),
		tasks: 1 + rng.Int32N(3), rows: 20 + rng.IntN(250), over: pick(5*time.Second, 30*time.Second, 3*time.Minute), span: pick(time.Hour, 6*time.Hour, 50*time.Hour),
		partition: [][]string{{"dt", "hour"}, {"dt", "hour"}, {"dt"}, {}}[rng.IntN(4)], shared: rng.IntN(4) == 0, leave: rng.IntN(3) == 0,
		rollBytes: []int64{1 << 30, 20_000, 1_500}[rng.IntN(3)], rollEvery: pick(500*time.Millisecond, 5*time.Second, 10*time.Minute),
		broker: simulation.Options{Partitions: int32(1 + rng.IntN(4)), Inputs: []string{rowsTopic}, SessionTimeout: pick(6*time.Second, 15*time.Second),
			RebalanceTimeout: pick(10*time.Second, time.Minute), MarkerDelay: pick(0, 100*time.Millisecond), FaultEvery: []int{0, 0, 300, 60}[rng.IntN(4)], Sticky: rng.IntN(2) == 0},
	}
	if p.span > 10*time.Hour && p.bucketFaults > 0 { // dozens of files a part: one of them would always fail
		p.bucketFaults = 40
	}
	p.options = archive.Options{CommitEvery: pick(100*time.Millisecond, time.Second), CompleteEvery: pick(200*time.Millisecond, 2*time.Second), RetryEvery: pick(10*time.Millisecond, time.Second),
		Patience: 24 * time.Hour, StopWithin: pick(time.Millisecond, 2*time.Second), PollRecords: 3 + rng.IntN(60), PollWait: pick(60*time.Millisecond, 300*time.Millisecond), Parallel: 1}
	return p
}

// simulate runs one seed and returns what it went through.
func simulate(t *testing.T, seed uint64) (hash uint64, c counts) {
	rng := rand.New(rand.NewPCG(seed, 2))
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v", seed, p)
		}
	}()
	p := drawPlan(rng)
	s := simulation.NewSchedule(seed, synctest.Wait)
	var trace simTrace
	if *traceFlag {
		s.Trace = trace.add
		s.Tracef("%+v", p)
	}
	r := &run{t: t, schedule: s, plan: p, broker: s.NewBroker(p.broker), bucket: s.NewBucket(), dir: t.TempDir(), troubles: p.troubles}
	r.world = newWorld(r)
	err := r.run()
	if err == nil {
		r.world.whole()
	}
	r.stopAll()
	for _, f := range r.world.faults {
		t.Errorf("seed %d: %s", seed, f)
	}
	for _, b := range r.broker.Broken() {
		t.Errorf("seed %d: %v", seed, b)
	}
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if *traceFlag {
		t.Log(trace.lines.String())
	}
	return s.Hash(), r.counts
}

// simTrace collects what happens.
type simTrace struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (t *simTrace) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines.WriteString(line + "\n")
}

// run is one simulation on its way.
type run struct {
	t        *testing.T
	schedule *simulation.Schedule
	plan     plan
	broker   *simulation.Broker
	bucket   *simulation.Bucket
	world    *world
	dir      string
	slots    []*slot
	troubles int
	counts   counts
}

// slot is one worker's place, and the process that is there now.
type slot struct {
	name    string
	process *simulation.Process
	cancel  context.CancelFunc
	joined  chan struct{} // closed when its join has ended
	closed  bool
	exit    chan error
	starts  int
	asked   bool
	ended   bool
}

func (r *run) start(sl *slot) {
	sl.starts++
	sl.exit, sl.joined, sl.closed, sl.asked = make(chan error, 1), make(chan struct{}), false, false
	sl.process = r.schedule.NewProcess(fmt.Sprintf("%s.%d", sl.name, sl.starts), simulation.NewDisk(1), r.plan.slow)
	ctx, cancel := context.WithCancel(context.Background())
	sl.cancel = cancel
	if r.world.over {
		r.endJoin(sl)
	}
	// The file may be that of a later version than those that wrote what is archived.
	version := max(r.world.version, 2+r.schedule.Rand.IntN(2))
	go func(p *simulation.Process, exit chan error, joined chan struct{}) {
		exit <- r.process(ctx, sl, p, joined, version)
	}(sl.process, sl.exit, sl.joined)
}

// endJoin says that the join has ended in a worker's process.
func (r *run) endJoin(sl *slot) {
	if sl.exit != nil && !sl.closed {
		sl.closed = true
		close(sl.joined)
	}
}

// process is a worker's main function.
func (r *run) process(ctx context.Context, sl *slot, p *simulation.Process, joined chan struct{}, version int) error {
	if err := p.Turn("start", 0); err != nil {
		return err
	}
	instance := ""
	if r.plan.static {
		instance = sl.name
	}
	o := r.plan.options
	ds, err := dataset.Open(ctx, r.bucket.For(p), dataset.Options{Columns: r.world.archive.Columns, Experiment: r.world.archive.Experiment.Name, Version: version, Config: fmt.Sprint("hash of ", version),
		Partition: r.plan.partition, TempDir: r.dir, MemoryBytes: 4 << 10})
	if err != nil {
		return err
	}
	tr := r.broker.Connect(p, sl.name, instance)
	o.Archive, o.Dataset, o.Join, o.Ended, o.Log = r.world.archive, ds, &join{r.world, p}, joined, slog.New(simLog{r, p})
	a, err := archive.New(tr, o)
	if err != nil {
		return err
	}
	err = a.Run(ctx)
	if cerr := ds.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		if !r.plan.static {
			_ = tr.Close()
		}
		return err
	}
	return tr.Close()
}

// simLog tells what archivers log to the trace, and counts.
type simLog struct {
	run     *run
	process *simulation.Process
}

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
	case strings.HasPrefix(rec.Message, "archiving fails"):
		l.run.counts.failures++
	case strings.HasPrefix(rec.Message, "archiving begins again"):
		l.run.counts.rebalances++
	case strings.HasPrefix(rec.Message, "another worker"), rec.Message == "a part that was begun is published anew":
		l.run.counts.redone++
	case rec.Message == "published":
		l.run.counts.parts++
	}
	l.run.schedule.Tracef("%s: %s%s", l.process.Name, rec.Message, b.String())
	return nil
}

const maxSteps = 200_000

// run runs until every worker has come to its end.
func (r *run) run() error {
	r.bucket.FailEvery, r.bucket.Slow = r.plan.bucketFaults, r.plan.bucketSlow
	r.world.begin()
	for i := range r.plan.workers {
		sl := &slot{name: fmt.Sprintf("w%d", i)}
		r.slots = append(r.slots, sl)
		r.schedule.Plan(r.schedule.Between(0, 2*time.Second), "", func() { r.start(sl) })
	}
	r.planTrouble()
	for {
		r.schedule.Step()
		r.world.look()
		if err := r.reap(); err != nil {
			return err
		}
		if !slices.ContainsFunc(r.slots, func(sl *slot) bool { return !sl.ended }) {
			return nil
		}
		if r.counts.steps++; r.counts.steps > maxSteps {
			return errors.New("it does not come to an end")
		}
	}
}

// reap looks for processes that have ended, and starts them again.
func (r *run) reap() error {
	for _, sl := range r.slots {
		var err error
		select {
		case err = <-sl.exit:
		default:
			continue
		}
		sl.cancel()
		sl.exit = nil
		switch {
		case sl.process.Dead():
			r.counts.kills++
		case err == nil:
			r.schedule.Tracef("%s ends", sl.process.Name)
			sl.ended = sl.closed && !sl.asked && r.world.over
			if sl.ended && r.plan.workers == 1 {
				r.world.whole()
			}
		case sl.asked && errors.Is(err, context.Canceled): // before it had begun
		case r.plan.bucketFaults > 0 && strings.Contains(err.Error(), "503"): // while the dataset was opened
			r.schedule.Tracef("%s fails: %v", sl.process.Name, err)
		default:
			return fmt.Errorf("%s: %w", sl.process.Name, err)
		}
		sl.process.End()
		if !sl.ended {
			r.schedule.Plan(r.schedule.Between(100*time.Millisecond, 20*time.Second), "", func() { r.start(sl) })
		}
	}
	return nil
}

// planTrouble has something go wrong after a while, and again.
func (r *run) planTrouble() {
	if r.troubles == 0 {
		return
	}
	r.troubles--
	r.schedule.Plan(r.schedule.Between(0, 2*r.plan.every), "", func() {
		sl := r.slots[r.schedule.Rand.IntN(len(r.slots))]
		if sl.exit != nil && !sl.ended {
			switch r.schedule.Rand.IntN(4) {
			case 0, 1:
				sl.process.Kill(simulation.LoseDisk)
			case 2:
				r.counts.stops++
				sl.process.Stop(r.schedule.Between(time.Second, 40*time.Second))
			case 3:
				r.counts.drains++
				r.schedule.Tracef("%s is asked to end", sl.process.Name)
				sl.asked = true
				sl.cancel()
			}
		}
		r.planTrouble()
	})
}

// stopAll ends every process, so that none is left behind when a run has failed.
func (r *run) stopAll() {
	for _, sl := range r.slots {
		if sl.exit == nil {
			continue
		}
		sl.process.Kill(simulation.LoseDisk)
		sl.cancel()
		for n := 0; n < 10_000 && len(sl.exit) == 0; n++ {
			r.schedule.Step()
		}
	}
}

var _ archive.Join = (*join)(nil)

// join is what a process can learn of the join.
type join struct {
	world   *world
	process *simulation.Process
}

var errAway = errors.New("the brokers are away")

func (j *join) ask(what string) error {
	if err := j.process.Request(what); err != nil {
		return err
	}
	if r := j.world.run; r.schedule.Chance(r.plan.broker.FaultEvery) {
		return errAway
	}
	return nil
}

func (j *join) Tasks(context.Context) ([]archive.Task, error) {
	if err := j.ask("tasks"); err != nil {
		return nil, err
	}
	return j.world.snapshots(), nil
}

func (j *join) Written(context.Context) (map[int32]int64, error) {
	if err := j.ask("written"); err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	for p := range j.world.run.plan.broker.Partitions {
		ends[p] = j.world.run.broker.WrittenEnd(experiments.TopicPartition{Topic: rowsTopic, Partition: p})
	}
	return ends, nil
}

func (j *join) NextRow(_ context.Context, p int32, from int64) (int64, error) {
	if err := j.ask(fmt.Sprintf("next row of %d", p)); err != nil {
		return 0, err
	}
	return j.world.run.broker.NextRecord(experiments.TopicPartition{Topic: rowsTopic, Partition: p}, from), nil
}
