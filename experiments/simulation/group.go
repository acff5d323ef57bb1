package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// group deals partition numbers, over all inputs, to its members: cooperatively,
// so that what one has is asked back, and goes to another once it is released.
type group struct {
	broker  *Broker
	members []*member
	owners  []*member // by partition; nil while it is nobody's
	targets []*member // who is to own it
	ticking bool
}

// member is one transport's membership, from joining to leaving or being expelled.
type member struct {
	transport *Transport
	instance  string
	heard     time.Time
	parts     map[int32]*part // that it owns
	gone      bool            // expelled, replaced or left
}

// part is where a member stands with a partition that it owns.
type part struct {
	told     bool      // reported as gained
	askedFor time.Time // since when the group wants it back; zero: it does not
	toldBack bool      // reported as revoked
}

func (g *group) init(b *Broker) {
	g.broker, g.owners, g.targets = b, make([]*member, b.opts.Partitions), make([]*member, b.opts.Partitions)
}

// join adds a member. One of the same instance takes over at once what the
// earlier one had, without a rebalance.
func (g *group) join(t *Transport, instance string) *member {
	m := &member{transport: t, instance: instance, heard: time.Now(), parts: map[int32]*part{}}
	for i, old := range g.members {
		if instance == "" || old.instance != instance {
			continue
		}
		g.broker.schedule.Tracef("%s takes its own place", t.process.Name)
		old.gone, g.members[i] = true, m
		for p := range g.owners {
			if g.targets[p] == old {
				g.targets[p] = m
			}
			if g.owners[p] == old {
				g.owners[p], m.parts[int32(p)] = m, &part{}
				if g.targets[p] != m {
					g.free(m, int32(p))
				}
			}
		}
		return m
	}
	g.members = append(g.members, m)
	g.rebalance()
	if !g.ticking {
		g.ticking = true
		g.tick()
	}
	return m
}

// remove takes a member out; what it owned is free.
func (g *group) remove(m *member, why string) {
	if m.gone {
		return
	}
	g.broker.schedule.Tracef("%s %s the group", m.transport.process.Name, why)
	m.gone = true
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	for p := range g.owners {
		if g.owners[p] == m {
			g.owners[p] = nil
		}
	}
	g.rebalance()
}

// rebalance decides anew who is to own what.
func (g *group) rebalance() {
	if len(g.members) == 0 {
		clear(g.targets)
		return
	}
	s := g.broker.schedule
	share := (len(g.owners) + len(g.members) - 1) / len(g.members)
	load := map[*member]int{}
	for p, owner := range g.owners {
		g.targets[p] = nil
		if g.broker.opts.Sticky && owner != nil && load[owner] < share {
			g.targets[p] = owner
			load[owner]++
		}
	}
	for p := range g.targets {
		if g.targets[p] != nil {
			continue
		}
		at := s.Rand.IntN(len(g.members))
		for load[g.members[at]] >= share {
			at = (at + 1) % len(g.members)
		}
		g.targets[p] = g.members[at]
		load[g.members[at]]++
	}
	for p := range g.owners {
		g.settle(int32(p))
	}
}

// settle asks an owner for a partition that is to be another's, and gives a free
// one to whom it is for.
func (g *group) settle(p int32) {
	owner, target := g.owners[p], g.targets[p]
	switch {
	case owner == nil && target != nil:
		g.owners[p], target.parts[p] = target, &part{}
		target.transport.changed = true
	case owner == nil:
	case owner == target:
		if at := owner.parts[p]; !at.toldBack {
			at.askedFor = time.Time{}
		}
	case !owner.parts[p].told:
		g.free(owner, p) // it has never heard of it
	case owner.parts[p].askedFor.IsZero():
		owner.parts[p].askedFor = time.Now()
		owner.transport.changed = true
	}
}

// free takes a partition from its owner; the next one gets it a moment later.
func (g *group) free(m *member, p int32) {
	delete(m.parts, p)
	g.owners[p] = nil
	g.broker.schedule.Plan(g.broker.schedule.Between(0, 20*time.Millisecond), "", func() {
		if g.owners[p] == nil {
			g.settle(p)
		}
	})
}

// tick looks for silent members, and for those that keep what they were asked for.
func (g *group) tick() {
	o := &g.broker.opts
	now := time.Now()
	for _, m := range slices.Clone(g.members) {
		if p := m.transport.process; !p.Dead() && !p.Stopped() {
			m.heard = now
		}
		if now.Sub(m.heard) > o.SessionTimeout {
			g.remove(m, "is expelled, silent, from")
			continue
		}
		for _, p := range slices.Sorted(maps.Keys(m.parts)) {
			if at := m.parts[p].askedFor; !at.IsZero() && now.Sub(at) > o.RebalanceTimeout {
				g.remove(m, "is expelled, not giving up what it should, from")
				break
			}
		}
	}
	if len(g.members) == 0 {
		g.ticking = false
		return
	}
	g.broker.schedule.Plan(o.SessionTimeout/4, "", g.tick)
}

// changes tells a member what is new to it. While offsets of what it gains are
// not decided it is told of no gain: they are fetched together.
func (g *group) changes(m *member) (a experiments.Assignment, complete bool) {
	b := g.broker
	complete = true
	for p, at := range m.parts {
		complete = complete && (at.told || b.isStable(p))
	}
	for _, p := range slices.Sorted(maps.Keys(m.parts)) {
		at := m.parts[p]
		switch {
		case !at.told && complete:
			at.told = true
			for _, topic := range b.opts.Inputs {
				tp := experiments.TopicPartition{Topic: topic, Partition: p}
				if a.Gained == nil {
					a.Gained = map[experiments.TopicPartition]experiments.CommittedOffset{}
				}
				a.Gained[tp] = b.CommittedOffset(tp)
			}
			b.schedule.Tracef("%s gains partition %d", m.transport.process.Name, p)
		case !at.askedFor.IsZero() && !at.toldBack:
			at.toldBack = true
			for _, topic := range b.opts.Inputs {
				a.Revoked = append(a.Revoked, experiments.TopicPartition{Topic: topic, Partition: p})
			}
			b.schedule.Tracef("%s is asked for partition %d", m.transport.process.Name, p)
		}
	}
	return a, complete
}

// forget makes all that a member owns new to it; what it was asked for it loses.
func (g *group) forget(m *member) {
	for _, p := range slices.Sorted(maps.Keys(m.parts)) {
		if m.parts[p].askedFor.IsZero() {
			m.parts[p] = &part{}
		} else {
			g.free(m, p)
		}
	}
	m.transport.changed = true
}
