package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// session is one assignment of partitions: it begins when the client has read
// the group's offsets, waits for the worker to say where to start, and is over
// when the group takes the partitions back.
type session struct {
	member     string
	generation int32
	offsets    map[experiments.TopicPartition]experiments.CommittedOffset
	start      chan map[string]map[int32]kgo.Offset // takes one value
	reported   bool                                 // by Assigned
	wanted     map[experiments.TopicPartition]int64
	started    bool          // read and set by the worker only
	over       chan struct{} // closed by end
	end        func()        // the assignment ended; may be called again
}

func (s *session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// onOffsets begins a session with what the group has committed. The client
// calls it after every assignment that has partitions, before it reads any.
func (t *Transport) onOffsets(_ context.Context, client *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	s := &session{start: make(chan map[string]map[int32]kgo.Offset, 1), over: make(chan struct{}),
		offsets: map[experiments.TopicPartition]experiments.CommittedOffset{}}
	s.end = sync.OnceFunc(func() { close(s.over) })
	s.member, s.generation = client.GroupMetadata()
	for _, group := range resp.Groups {
		for _, topic := range group.Topics {
			name := topic.Topic
			if name == "" {
				name = t.names[topic.TopicID]
			}
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("reading the committed offset of %s/%d: %w", name, p.Partition, err)
				}
				c := experiments.CommittedOffset{Next: max(p.Offset, -1)}
				if p.Metadata != nil && p.Offset >= 0 {
					c.Metadata = *p.Metadata
				}
				s.offsets[experiments.TopicPartition{Topic: name, Partition: p.Partition}] = c
			}
		}
	}
	t.replace(s)
	return nil
}

// awaitStart holds the client until the worker says where to read from. The
// group lives on meanwhile: heartbeats are sent elsewhere, and a rebalance ends
// the wait.
func (t *Transport) awaitStart(ctx context.Context, _ map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s := t.latest()
	select {
	case offsets := <-s.start:
		return offsets, nil
	case <-ctx.Done():
		s.end()
		return nil, ctx.Err()
	}
}

// onLost ends the session: the client calls it before it gives partitions up,
// and when it finds that the group has given them to others.
func (t *Transport) onLost(context.Context, *kgo.Client, map[string][]int32) {
	if s := t.latest(); s != nil {
		s.end()
	}
}

func (t *Transport) replace(s *session) {
	if old := t.latest(); old != nil {
		old.end()
	}
	t.tell(func() { t.current, t.groupErr = s, nil })
}

// tell changes what the client's goroutines report and wakes Assignment.
func (t *Transport) tell(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Transport) latest() *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// live returns the session that the worker has started, or nil when it is over.
func (t *Transport) live() *session {
	if s := t.latest(); s != nil && s.started && !s.isOver() {
		return s
	}
	return nil
}

// Assignment implements experiments.Transport. Called within an assignment that
// was started, it has the group join anew, so that everything is read again
// from what is committed.
func (t *Transport) Assignment(ctx context.Context) (map[experiments.TopicPartition]experiments.CommittedOffset, error) {
	if t.fatal != nil {
		return nil, t.fatal
	}
	if err := t.abort(ctx); err != nil && !errors.Is(err, experiments.ErrRebalanced) {
		return nil, err
	}
	t.in.reset(nil)
	if s := t.live(); s != nil {
		t.restart(s)
	}
	for {
		t.mu.Lock()
		s, changed, groupErr := t.current, t.changed, t.groupErr
		t.mu.Unlock()
		if s != nil && !s.started && !s.isOver() && len(s.offsets) > 0 {
			// A rebalance during the wait is still on the transaction session's
			// record; what it ended is over, and this session begins clean.
			if err := t.abort(ctx); err != nil && !errors.Is(err, experiments.ErrRebalanced) {
				return nil, err
			}
			if !s.isOver() {
				return s.offsets, nil
			}
			continue
		}
		if isFinal(groupErr) {
			return nil, t.die(fmt.Errorf("joining consumer group %s: %w", t.opts.Group, groupErr))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), groupErr)
		}
	}
}

// Assigned implements experiments.Transport.
func (t *Transport) Assigned() (experiments.Assignment, error) {
	if t.fatal != nil {
		return experiments.Assignment{}, t.fatal
	}
	t.mu.Lock()
	s, groupErr := t.current, t.groupErr
	t.mu.Unlock()
	if s != nil && !s.started && !s.reported && !s.isOver() && len(s.offsets) > 0 {
		s.reported = true
		// A rebalance during the wait is still on the transaction session's record.
		if err := t.abort(context.Background()); err != nil {
			return experiments.Assignment{}, err
		}
		return experiments.Assignment{Gained: s.offsets}, nil
	}
	if isFinal(groupErr) {
		return experiments.Assignment{}, t.die(fmt.Errorf("joining consumer group %s: %w", t.opts.Group, groupErr))
	}
	return experiments.Assignment{}, nil
}

// Release implements experiments.Transport.
func (t *Transport) Release([]experiments.TopicPartition) error { return nil }

// Abort implements experiments.Transport.
func (t *Transport) Abort(ctx context.Context) error {
	if t.fatal != nil {
		return t.fatal
	}
	if err := t.abort(ctx); err != nil && !errors.Is(err, experiments.ErrRebalanced) {
		return err
	}
	t.in.reset(nil)
	if s := t.live(); s != nil {
		t.restart(s)
	} else if s := t.latest(); s != nil {
		s.reported, s.wanted = false, nil
	}
	return nil
}

// restart ends a session whose positions cannot be trusted any more and has the
// member join again, unless the group's own rebalance sees to it.
func (t *Transport) restart(s *session) {
	if !s.isOver() {
		s.end()
		t.client.ForceRebalance()
	}
}

// Start implements experiments.Transport. It returns nil when the assignment
// ended in the meantime; the next Poll tells.
func (t *Transport) Start(offsets map[experiments.TopicPartition]int64) error {
	s := t.latest()
	if s == nil || s.started {
		return errors.New("starting to read without an assignment: call Assignment first")
	}
	if s.wanted == nil {
		s.wanted = map[experiments.TopicPartition]int64{}
	}
	maps.Copy(s.wanted, offsets)
	if offsets = s.wanted; len(offsets) < len(s.offsets) {
		return nil // reading begins with the last of them
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.opts.CommitTimeout)
	defer cancel()
	lanes, err := t.admin.lanes(ctx, s.offsets, offsets)
	if err != nil {
		return err
	}
	t.in.reset(lanes)
	at := map[string]map[int32]kgo.Offset{}
	for _, l := range lanes {
		if at[l.tp.Topic] == nil {
			at[l.tp.Topic] = map[int32]kgo.Offset{}
		}
		at[l.tp.Topic][l.tp.Partition] = kgo.NewOffset().At(l.next)
	}
	s.started = true
	s.start <- at
	return nil
}

// groupErrors hears why a group session failed: without it a member that may
// not join would wait for ever.
type groupErrors struct{ t *Transport }

var _ kgo.HookGroupManageError = groupErrors{}

// OnGroupManageError implements kgo.HookGroupManageError.
func (g groupErrors) OnGroupManageError(err error) {
	g.t.tell(func() { g.t.groupErr = err })
}

// isFinal reports whether a group's error is one that trying again does not mend.
func isFinal(err error) bool {
	return isAuth(err) || errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.InvalidGroupID) ||
		errors.Is(err, kerr.InconsistentGroupProtocol) || errors.Is(err, kerr.GroupMaxSizeReached) ||
		errors.Is(err, kerr.InvalidSessionTimeout) || errors.Is(err, kgo.ErrClientClosed)
}

// die remembers what ended the transport.
func (t *Transport) die(err error) error {
	if t.fatal == nil {
		t.fatal = err
	}
	return err
}
