package experiments_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// outageTransport looks at what a worker does from poll to poll.
type outageTransport struct {
	experiments.Transport
	worker func() *experiments.Worker
	most   struct {
		rows    int   // put out between two polls
		records int   // of one poll
		pending int64 // over all tasks
		starved int   // polls in a row that brought nothing while the worker lagged
	}
	rows, starved int
	lag           int64
}

func (t *outageTransport) Produce(o *experiments.Output) error {
	t.rows++
	return t.Transport.Produce(o)
}

func (t *outageTransport) Poll(ctx context.Context, limit int, wait time.Duration) ([]experiments.Fetched, error) {
	t.look()
	got, err := t.Transport.Poll(ctx, limit, wait)
	n := 0
	for i := range got {
		n += len(got[i].Records)
	}
	t.most.records = max(t.most.records, n)
	if t.starved++; n > 0 || t.lag == 0 || err != nil {
		t.starved = 0
	}
	t.most.starved = max(t.most.starved, t.starved)
	return got, err
}

func (t *outageTransport) look() {
	t.most.rows, t.rows = max(t.most.rows, t.rows), 0
	status := t.worker().Status()
	pending := int64(0)
	t.lag = 0
	for _, task := range status.Tasks {
		pending += task.Pending
		for _, in := range task.Inputs {
			t.lag += in.High - in.Next
		}
	}
	t.most.pending = max(t.most.pending, pending)
}

// outage is a worker that is away for an hour, between two hours of traffic.
type outage struct {
	*simRun
	transports []*outageTransport
	records    []simRecord
	saves      []time.Time
}

const (
	outagePoll  = 150
	outageClose = 200
	outageEvery = time.Minute // checkpoints
	outageRate  = 2           // impressions a second
)

// TestOutageIsCaughtUp has a worker stopped, killed, or killed with its disk, for
// an hour of traffic. When it is back what it holds stays within what the window
// needs, not what has piled up; windows close at their pace while input goes on;
// and checkpoints keep to their interval.
func TestOutageIsCaughtUp(t *testing.T) {
	world := outageWorld(t)
	for name, away := range map[string]func(*simSlot, time.Duration){
		"stopped":              func(s *simSlot, d time.Duration) { s.process.Stop(d) },
		"killed":               func(s *simSlot, _ time.Duration) { s.process.Kill(simulation.LoseMemory) },
		"killed with its disk": func(s *simSlot, _ time.Duration) { s.process.Kill(simulation.LoseDisk) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(world)
				o.run(t, away)
			})
		})
	}
}

// outageWorld is three hours of clean traffic with windows of ten minutes.
func outageWorld(t *testing.T) *simWorld {
	text := strings.NewReplacer("out_of_orderness: 1h", "out_of_orderness: 1m", "within: 30m", "within: 5m", "within: 1h", "within: 10m",
		"within: 1m, before: 10m", "within: 1m, before: 2m").Replace(hostile)
	w := &simWorld{kind: simKind{live: true, slack: time.Minute, policy: "at_close", delivery: "exactly_once"}, rows: map[string]simRow{}}
	w.plan = newPlan(t, parse(t, "outage.yaml", text))
	w.generate(t, traffic.Options{Seed: 1, Rate: outageRate, DurationMS: 3 * 3_600_000, StartMS: simEpochMS, JitterMS: 20_000, CTR: 0.1, OrderShare: 0.2, QueryShare: 0.3, Items: 50, Users: 50, ClickMedianMS: 20_000})
	return w
}

func newOutage(world *simWorld) *outage {
	s := simulation.NewSchedule(1, synctest.Wait)
	r := &simRun{world: world, schedule: s, published: make(chan struct{}), check: newSimCheck(world, 2)}
	r.plan = simPlan{workers: 1, checkpointEvery: outageEvery, keep: 2, bucketSlow: 5 * time.Second,
		broker: simulation.Options{Partitions: 2, Inputs: []string{"imps", "clicks", "orders", "queries"}, ExactlyOnce: true, SessionTimeout: 15 * time.Second,
			RebalanceTimeout: time.Minute, TransactionTimeout: time.Minute, MarkerDelay: 50 * time.Millisecond},
		options: experiments.WorkerOptions{PollRecords: outagePoll, CloseRows: outageClose, PollWait: 10 * time.Second, CommitEvery: time.Second, ManifestEvery: 5 * time.Second}}
	r.broker, r.bucket = s.NewBroker(r.plan.broker), s.NewBucket()
	r.bucket.Slow = r.plan.bucketSlow
	o := &outage{simRun: r, records: world.records}
	r.transport = func(w func() *experiments.Worker, t experiments.Transport) experiments.Transport {
		ot := &outageTransport{Transport: t, worker: w}
		o.transports = append(o.transports, ot)
		return ot
	}
	r.saved = func() { o.saves = append(o.saves, time.Now()) }
	return o
}

// publishOn publishes what arrives within each five seconds.
func (o *outage) publishOn(at int) {
	for ; at < len(o.records) && time.UnixMilli(o.records[at].arrivalMS).Before(simNow()); at++ {
		o.publish(at)
	}
	if at < len(o.records) {
		o.schedule.Plan(5*time.Second, "", func() { o.publishOn(at) })
	}
}

func (o *outage) run(t *testing.T, away func(*simSlot, time.Duration)) {
	began := time.Now()
	slot := &simSlot{name: "w0", disk: o.newDisk()}
	o.slots = []*simSlot{slot}
	o.publishOn(0)
	o.start(slot)
	defer o.stopAll()
	o.until(t, func() bool { return time.Since(began) > time.Hour })
	before, process := o.transports[0].most, slot.process
	away(slot, time.Hour)
	o.until(t, func() bool { return time.Since(began) > 2*time.Hour })
	if process.Dead() {
		slot.disk = process.Disk
		o.start(slot)
	}
	back := time.Now()
	o.saves = o.saves[:0]
	caughtUp := func() bool {
		status := slot.worker.Status()
		for _, task := range status.Tasks {
			for _, in := range task.Inputs {
				if in.Next < o.broker.EndOf(experiments.TopicPartition{Topic: in.Topic, Partition: task.Partition}) {
					return false
				}
			}
		}
		return len(status.Tasks) == 2 && time.Since(back) > 500*time.Millisecond && status.Rebuilding == 0
	}
	o.until(t, caughtUp)
	took := time.Since(back)
	o.until(t, func() bool { return time.Since(back) > 10*time.Minute })
	after := o.transports[len(o.transports)-1].most
	t.Logf("before %+v, after %+v, caught up in %v, %d checkpoints in 10 minutes", before, after, took, len(o.saves))

	if took > 5*time.Minute || took < 500*time.Millisecond {
		t.Errorf("an hour is caught up in %v", took)
	}
	// What a window, the disorder and the alignment of the inputs hold, and a poll.
	if bound := int64(outageRate*(600+60+150)*5/4 + outagePoll); after.pending > bound || after.pending < bound/4 {
		t.Errorf("%d impressions were held at once, want at most %d", after.pending, bound)
	}
	if after.rows > outageClose || after.rows < outageClose/10 || after.records > outagePoll {
		t.Errorf("%d rows and %d records in one round, want at most %d and %d", after.rows, after.records, outageClose, outagePoll)
	}
	if after.starved > 10 {
		t.Errorf("%d polls in a row brought nothing while there was input", after.starved)
	}
	for i := 2; i < len(o.saves); i++ { // of two tasks
		if gap := o.saves[i].Sub(o.saves[i-2]); gap > outageEvery+30*time.Second {
			t.Errorf("%v between two checkpoints of a task", gap)
		}
	}
	if n := len(o.saves); n < 2*8 {
		t.Errorf("%d checkpoints of two tasks in 10 minutes", n)
	}
	if len(o.broker.Broken()) > 0 || len(o.check.faults) > 0 {
		t.Errorf("%v %v", o.broker.Broken(), o.check.faults)
	}
}

// until steps until done is true.
func (o *outage) until(t *testing.T, done func() bool) {
	for n := 0; !done(); n++ {
		o.schedule.Step()
		if n > 1_000_000 {
			t.Fatal("it does not come to an end")
		}
		for _, slot := range o.slots {
			if len(slot.exit) > 0 && !slot.process.Dead() {
				t.Fatalf("the worker ends: %v", <-slot.exit)
			}
		}
	}
}
