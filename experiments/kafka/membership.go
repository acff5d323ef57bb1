package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// membership is a worker's place in the consumer group: which tasks the group
// has given it. Its client reads no records and commits nothing; it joins,
// keeps the member alive, and tells here what comes and goes. Tasks that stay
// are not touched by a rebalance.
type membership struct {
	client        *kgo.Client
	topics        []string
	releaseWithin time.Duration
	// read finds what the group has committed for tasks and calls found for each,
	// once that is final. It runs beside everything else and ends with ctx.
	read func(ctx context.Context, tasks []int32, found func(task int32, committed offsets)) error

	mu      sync.Mutex
	tasks   map[int32]*holding
	lost    bool          // something that the worker knew of was taken without asking
	err     error         // the last error of the group's own work
	closed  bool          // nothing is waited for any more
	changed chan struct{} // closed and replaced when any of this changes
	reading sync.WaitGroup
}

// offsets is what a group has committed, by partition.
type offsets = map[experiments.TopicPartition]experiments.CommittedOffset

// holding is one task that the group has given to this member.
type holding struct {
	// member is the id under which it was given. A member that the group threw
	// out comes back under another, and others may have worked on the task meanwhile.
	member    string
	committed offsets            // nil while it is being read
	told      bool               // the worker knows of it
	revoked   bool               // the group wants it back
	asked     bool               // and the worker knows
	stop      context.CancelFunc // ends the reading
}

// options of the membership's client. Every record is somebody else's to read.
func (m *membership) options(o *Options) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ClientID(o.transactionalID()), // by which others know whose transactions are alive
		kgo.ConsumerGroup(o.Group),
		kgo.ConsumeTopics(o.Inputs...),
		kgo.Balancers(&balancer{warm: o.Warm}),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(o.SessionTimeout),
		kgo.RebalanceTimeout(o.RebalanceTimeout),
		kgo.HeartbeatInterval(min(o.SessionTimeout/10, time.Second)),
		kgo.MetadataMaxAge(o.MetadataEvery),
		kgo.MetadataMinAge(min(o.MetadataEvery, 100*time.Millisecond)),
		kgo.AdjustFetchOffsetsFn(func(context.Context, map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			return nil, nil
		}),
		kgo.OnPartitionsAssigned(m.onAssigned),
		kgo.OnPartitionsRevoked(m.onRevoked),
		kgo.OnPartitionsLost(m.onLost),
		kgo.WithHooks(groupErrors{m}),
	}
	if o.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(o.InstanceID))
	}
	return opts
}

// tell changes what is known and wakes those who wait for it.
func (m *membership) tell(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// onAssigned is called once in every generation, when what was revoked in it has
// been given up.
func (m *membership) onAssigned(_ context.Context, client *kgo.Client, added map[string][]int32) {
	member, _ := client.GroupMetadata()
	m.tell(func() {
		m.err = nil
		for _, h := range m.tasks {
			if h.member != member { // the group had thrown this member out
				h.member, m.lost = member, m.lost || h.told
				m.forget(h)
			}
		}
		for task := range tasksOf(added) {
			m.tasks[task] = &holding{member: member}
		}
		m.readAll(client)
	})
}

// onRevoked waits until the worker has released the tasks. The group goes on
// without this member when that takes longer than the rebalance timeout, so the
// wait ends well before.
func (m *membership) onRevoked(ctx context.Context, client *kgo.Client, revoked map[string][]int32) {
	member, _ := client.GroupMetadata()
	waiting := map[int32]*holding{}
	m.tell(func() {
		for task := range tasksOf(revoked) {
			h := m.tasks[task]
			switch {
			case h == nil:
			case h.told && h.member == member && !m.closed:
				h.revoked, waiting[task] = true, h
			default:
				m.lost = m.lost || h.told
				m.drop(task)
			}
		}
	})
	deadline := time.NewTimer(m.releaseWithin)
	defer deadline.Stop()
	for {
		m.mu.Lock()
		maps.DeleteFunc(waiting, func(task int32, h *holding) bool { return m.tasks[task] != h })
		changed, closed := m.changed, m.closed
		m.mu.Unlock()
		if len(waiting) == 0 || closed {
			return
		}
		select {
		case <-changed:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		}
		m.tell(func() { // the group must not wait longer: what is not committed is lost
			for task := range waiting {
				m.lost = true
				m.drop(task)
			}
		})
		return
	}
}

// onLost is called when the group has given this member's tasks to others.
func (m *membership) onLost(context.Context, *kgo.Client, map[string][]int32) {
	m.tell(func() {
		for task, h := range m.tasks {
			m.lost = m.lost || h.told
			m.drop(task)
		}
	})
}

// drop and forget are called under the lock.
func (m *membership) drop(task int32) {
	m.forget(m.tasks[task])
	delete(m.tasks, task)
}

// forget makes a task one whose offsets are not known.
func (m *membership) forget(h *holding) {
	if h.stop != nil {
		h.stop()
	}
	h.committed, h.told, h.stop = nil, false, nil
}

// readAll begins to read the offsets of tasks for which that is not being done.
// One that was given under an earlier member id waits for onAssigned, which says
// whether it is still this member's. Called under the lock.
func (m *membership) readAll(client *kgo.Client) {
	member, _ := client.GroupMetadata()
	var tasks []int32
	ctx, stop := context.WithCancel(client.Context())
	for task, h := range m.tasks {
		if h.committed == nil && h.stop == nil && h.member == member && !h.revoked {
			tasks = append(tasks, task)
		}
	}
	if len(tasks) == 0 || m.closed {
		stop()
		return
	}
	slices.Sort(tasks)
	left, reads := len(tasks), map[int32]*holding{}
	for _, task := range tasks {
		reads[task] = m.tasks[task]
		reads[task].stop = sync.OnceFunc(func() { // the reading ends with its last task
			if left--; left == 0 {
				stop()
			}
		})
	}
	m.reading.Go(func() {
		defer stop()
		err := m.read(ctx, tasks, func(task int32, committed offsets) {
			m.tell(func() {
				if h := reads[task]; m.tasks[task] == h && h.stop != nil && h.committed == nil {
					h.committed = committed
				}
			})
		})
		if err != nil && ctx.Err() == nil {
			m.tell(func() { m.err = err })
		}
	})
}

// news returns a channel that is closed at the next change, and whether there is
// something to tell the worker already.
func (m *membership) news() (changed <-chan struct{}, some bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.tasks {
		some = some || h.committed != nil && !h.told && !h.revoked || h.revoked && !h.asked
	}
	return m.changed, some || m.lost || isFinal(m.err)
}

// take returns what has changed since the last call.
func (m *membership) take() (change experiments.Assignment, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if isFinal(m.err) {
		return change, m.err
	}
	if m.lost {
		return change, experiments.ErrRebalanced
	}
	for task, h := range m.tasks {
		switch {
		case h.revoked && !h.asked:
			h.asked = true
			change.Revoked = append(change.Revoked, m.parts(task)...)
		case h.committed != nil && !h.told && !h.revoked:
			h.told = true
			if change.Gained == nil {
				change.Gained = offsets{}
			}
			maps.Copy(change.Gained, h.committed)
		}
	}
	slices.SortFunc(change.Revoked, compareParts)
	return change, nil
}

// isLost reports whether something was taken that the worker has not given up.
func (m *membership) isLost() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// release gives tasks back to the group, those that it did not ask for too.
func (m *membership) release(tasks map[int32]bool) {
	m.tell(func() {
		for task := range tasks {
			if m.tasks[task] != nil {
				m.drop(task)
			}
		}
	})
}

// again begins anew with every task: the worker holds none. What the group wants
// back it gets.
func (m *membership) again() {
	m.tell(func() {
		m.lost = false
		for task, h := range m.tasks {
			if h.revoked {
				m.drop(task)
			} else {
				m.forget(h)
			}
		}
		m.readAll(m.client)
	})
}

// identity returns who commits for tasks; false when one of them is not this
// member's any more.
func (m *membership) identity(tasks map[int32]bool) (member string, generation int32, ok bool) {
	// First the generation, then whether the tasks are held: one that is, is so in
	// that generation or a later one.
	member, generation = m.client.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	for task := range tasks {
		if h := m.tasks[task]; h == nil || !h.told || h.member != member {
			return "", 0, false
		}
	}
	return member, generation, !m.lost
}

// close leaves the group, or as a static member does not, and waits for nothing
// but the broker's answer, at most as long as ctx.
func (m *membership) close(ctx context.Context) {
	m.tell(func() {
		m.closed = true
		for task := range m.tasks {
			m.drop(task)
		}
	})
	_ = m.client.LeaveGroupContext(ctx) // the session timeout does the same
	m.client.Close()
	m.reading.Wait()
}

func (m *membership) parts(task int32) (parts []experiments.TopicPartition) {
	for _, topic := range m.topics {
		parts = append(parts, experiments.TopicPartition{Topic: topic, Partition: task})
	}
	return parts
}

// tasksOf are the partition numbers of an assignment, which the balancer gives
// to one member over all topics.
func tasksOf(assigned map[string][]int32) map[int32]bool {
	tasks := map[int32]bool{}
	for _, partitions := range assigned {
		for _, p := range partitions {
			tasks[p] = true
		}
	}
	return tasks
}

// groupErrors hears why the group's work failed: without it a member that may
// not join would wait for ever.
type groupErrors struct{ m *membership }

var _ kgo.HookGroupManageError = groupErrors{}

// OnGroupManageError implements kgo.HookGroupManageError.
func (g groupErrors) OnGroupManageError(err error) { g.m.tell(func() { g.m.err = err }) }

// isFinal reports whether a group's error is one that trying again does not mend.
func isFinal(err error) bool {
	return isAuth(err) || errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.InvalidGroupID) ||
		errors.Is(err, kerr.InconsistentGroupProtocol) || errors.Is(err, kerr.GroupMaxSizeReached) ||
		errors.Is(err, kerr.InvalidSessionTimeout) || errors.Is(err, kgo.ErrClientClosed) || errors.As(err, new(*WidthError))
}
