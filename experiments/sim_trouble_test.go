package experiments_test

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
)

// drawKind draws which world a seed lives in.
func drawKind(rng *rand.Rand) simKind {
	k := simKind{traffic: 1 + rng.Uint64N(16), live: rng.IntN(3) == 0, slack: []time.Duration{time.Hour, 10 * time.Minute}[rng.IntN(2)],
		policy: "at_close", delivery: "exactly_once"}
	switch rng.IntN(8) {
	case 0:
		k.policy = "early_positive"
	case 1:
		k.policy = "immediate_negative"
	case 2, 3:
		k.delivery = "at_least_once"
	}
	k.featured = k.policy == "at_close" && rng.IntN(3) == 0
	k.looking = rng.IntN(2) == 0
	k.parking = k.looking && k.policy == "at_close" && k.delivery == "exactly_once" && rng.IntN(4) > 0
	k.hasty = k.parking && rng.IntN(2) == 0
	k.amending = k.parking && rng.IntN(2) == 0
	return k
}

// drawPlan draws the rest.
func drawPlan(rng *rand.Rand, k simKind) simPlan {
	pick := func(all ...time.Duration) time.Duration { return all[rng.IntN(len(all))] }
	p := simPlan{
		workers: 1 + rng.IntN(3), static: rng.IntN(3) == 0, synced: rng.IntN(3) == 0, slow: pick(0, 0, 50*time.Millisecond, 3*time.Second),
		troubles: rng.IntN(8), every: pick(time.Second, 5*time.Second, 30*time.Second), publish: pick(0, 5*time.Second, 20*time.Second),
		broker: simulation.Options{Partitions: int32(1 + rng.IntN(4)), Inputs: []string{"imps", "clicks", "orders", "queries"},
			ExactlyOnce: k.delivery == "exactly_once", SessionTimeout: pick(6*time.Second, 15*time.Second), RebalanceTimeout: pick(10*time.Second, time.Minute),
			TransactionTimeout: pick(10*time.Second, time.Minute), MarkerDelay: pick(0, 100*time.Millisecond, 5*time.Second),
			FaultEvery: []int{0, 0, 400, 120}[rng.IntN(4)], Letters: []string{"dead-letters.hostile"}, LargestLetter: []int{0, 0, 700}[rng.IntN(3)],
			Sticky: rng.IntN(2) == 0},
		options: experiments.WorkerOptions{PollRecords: 6 + rng.IntN(60), CloseRows: 1 + rng.IntN(60), PollWait: pick(60*time.Millisecond, 300*time.Millisecond),
			CommitEvery: pick(5*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond), ManifestEvery: pick(time.Millisecond, 300*time.Millisecond, 3*time.Second)},
	}
	if rng.IntN(2) == 0 {
		p.checkpointEvery, p.keep = pick(100*time.Millisecond, time.Second, 10*time.Second), 1+rng.IntN(3)
		p.bucketFaults, p.bucketSlow = []int{0, 0, 50, 6}[rng.IntN(4)], pick(0, 300*time.Millisecond, 20*time.Second)
	}
	if k.live {
		p.checkpointEvery *= 600
		p.every *= 60
		p.options.PollWait *= 1000
		p.options.CommitEvery *= 120
		p.options.ManifestEvery *= 120
		p.broker.SessionTimeout *= 20
		p.broker.RebalanceTimeout *= 20
		p.broker.TransactionTimeout *= 60 // longer than from commit to commit, or it never gets on
	}
	return p
}

// schedulePublishing has the input arrive: all at once or over some time, in
// order, now and then in transactions that are open for a while or are aborted.
func (r *simRun) schedulePublishing() {
	var send func(i int)
	first := r.world.records[0].arrivalMS
	send = func(i int) {
		now := time.Duration(0)
		for n := 1 + r.schedule.Rand.IntN(20); i < len(r.world.records); i++ {
			if r.world.kind.live {
				if at := time.UnixMilli(r.world.records[i].arrivalMS).Sub(simNow()); at > 0 {
					now = at
					break
				}
			} else if n--; n < 0 && r.plan.publish > 0 {
				now = r.plan.publish * 20 / time.Duration(len(r.world.records))
				break
			}
			r.publish(i)
		}
		if i < len(r.world.records) {
			r.schedule.Plan(now, "", func() { send(i) })
			return
		}
		r.endPublishing()
	}
	if r.world.kind.live && first < simEpochMS {
		panic("a live world that begins before the simulation")
	}
	r.schedule.Plan(0, "publishing begins", func() { send(0) })
}

func (r *simRun) publish(i int) {
	rec := &r.world.records[i]
	n := r.plan.broker.Partitions
	p := int32(i) % n
	if rec.key != nil {
		p = int32(experiments.PartitionOf(rec.key, int(n)))
	}
	offset := r.broker.Publish(rec.topic, p, rec.value)
	r.check.published(experiments.TopicPartition{Topic: rec.topic, Partition: p}, offset, rec.timeMS)
	if r.schedule.Chance(4) {
		r.broker.Skip(rec.topic, p, int64(1+r.schedule.Rand.IntN(3)))
	}
	if r.schedule.Chance(3) { // in a transaction that goes on for a while
		r.schedule.Plan(r.schedule.Between(0, 3*time.Second), "", func() { r.broker.Show(rec.topic, p) })
	} else {
		r.broker.Show(rec.topic, p)
	}
}

// endPublishing shows all that was published, and lets workers end when they
// have done it. Of a live world they are all begun anew, once silence has closed
// what it can.
func (r *simRun) endPublishing() {
	r.schedule.Plan(3*time.Second+time.Millisecond, "publishing ends", func() {
		r.check.complete = true
		for _, topic := range r.plan.broker.Inputs {
			for p := range r.plan.broker.Partitions {
				r.broker.Show(topic, p)
			}
		}
		r.check.allIn = !r.world.kind.live
		if !r.world.kind.live {
			r.untilEnd = true
			close(r.published)
			return
		}
		r.schedule.Plan(r.schedule.Between(0, 3*time.Hour), "the end is told", func() {
			r.check.allIn, r.untilEnd = true, true
			close(r.published)
			for _, slot := range r.slots {
				if slot.exit != nil {
					r.drain(slot)
				}
			}
		})
	})
}

// planTrouble has something go wrong after a while, and so on.
func (r *simRun) planTrouble() {
	if r.troubles == 0 {
		return
	}
	r.troubles--
	r.schedule.Plan(r.schedule.Between(0, 2*r.plan.every), "", func() {
		slot := r.slots[r.schedule.Rand.IntN(len(r.slots))]
		if slot.exit != nil && !slot.process.Dead() {
			r.trouble(slot)
		}
		r.planTrouble()
	})
}

func (r *simRun) trouble(slot *simSlot) {
	rng := r.schedule.Rand
	switch rng.IntN(6) {
	case 0:
		loss := r.loss()
		r.damaged = r.damaged || r.damages(loss)
		slot.process.Kill(loss)
	case 1, 2: // at a write
		r.failWrite(slot, 1+rng.IntN(40))
	case 3:
		r.counts.stops++
		slot.process.Stop(r.schedule.Between(0, 4*r.plan.broker.SessionTimeout))
	case 4:
		r.counts.drains++
		r.drain(slot)
	case 5: // it comes back with nothing
		slot.process.Kill(simulation.LoseDisk)
	}
}

func (r *simRun) loss() simulation.Loss {
	return []simulation.Loss{simulation.LoseMemory, simulation.LoseMemory, simulation.LosePower, simulation.LosePower, simulation.LoseSectors, simulation.LoseDisk}[r.schedule.Rand.IntN(6)]
}

// damages reports whether a loss may cost state what it relies on.
func (r *simRun) damages(loss simulation.Loss) bool {
	return loss == simulation.LoseSectors || loss == simulation.LosePower && !r.plan.synced
}

// failWrite makes one of the next changes to a disk the last thing the process
// does, or fails some of them.
func (r *simRun) failWrite(slot *simSlot, in int) {
	d := slot.process.Disk
	at, loss := d.Writes()+in, r.loss()
	until, why := 0, error(syscall.ENOSPC)
	if r.schedule.Chance(2) {
		loss, until = simulation.NoLoss, at+1+r.schedule.Rand.IntN(20)
		if r.schedule.Chance(2) {
			why = syscall.EIO
		}
	}
	r.damaged = r.damaged || r.damages(loss)
	d.OnWrite = func(n int, path string) simulation.Verdict {
		switch {
		case n == at && loss != simulation.NoLoss:
			return simulation.Verdict{Kill: loss}
		case n >= at && n < until:
			return simulation.Verdict{Err: why}
		}
		return simulation.Verdict{}
	}
}
