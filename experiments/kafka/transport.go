package kafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// Options makes a Transport. Group, Inputs and, for exactly-once delivery,
// TransactionalID are needed.
type Options struct {
	Connection
	// Group is the consumer group. The default is Connection.ConsumerGroup.
	Group string
	// Inputs are the topics that are read. They must exist and have the same
	// number of partitions: a partition number of all of them goes to the same
	// member.
	Inputs []string
	// Outputs are the topics that may be produced to. They must exist.
	Outputs []string
	// Placed are those of them whose records say which partition they go into; in
	// the others that is the one of their key.
	Placed []string
	// ExactlyOnce commits outputs and offsets in one transaction. Without it
	// outputs are flushed before offsets are committed: none is lost, and after
	// a failure some come twice.
	ExactlyOnce bool
	// TransactionalID names the transactions. Of two transports with one name
	// the later fences the earlier, so each worker needs its own, and should
	// keep it over restarts: what it left open is then aborted at once. An id of
	// the form Group.NAME, with no dot in NAME, lets the other members do so when
	// this worker is gone for good.
	TransactionalID string
	// TransactionalIDSuffix is appended to it. On the embedded broker, which
	// ends open transactions itself when it starts, give FreshSuffix().
	TransactionalIDSuffix string
	// TransactionTimeout is when the broker aborts a transaction that is not
	// ended; it must exceed the time between commits. The default is 30 s.
	TransactionTimeout time.Duration
	// SessionTimeout is when the group gives up a member that is silent, and so
	// how long its tasks lie idle after a kill. The default is 15 s.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the group waits for members to give up tasks,
	// those that join included; a worker that takes more than half of it loses
	// what it has not committed. The default is 60 s.
	RebalanceTimeout time.Duration
	// CommitTimeout bounds one Commit, flushing included. The default is 60 s.
	CommitTimeout time.Duration
	// OutageTimeout is how long brokers that do not answer are waited for, after
	// which the transport gives up. The default is 10 minutes.
	OutageTimeout time.Duration
	// MetadataEvery is how often the inputs are looked at for new partitions. The
	// default is 10 s.
	MetadataEvery time.Duration
	// HoldBytes is how much a paused partition may hold back before it is no
	// longer fetched. The default is 4 MiB.
	HoldBytes int
	// BufferBytes bounds what is produced and not yet acknowledged; a single
	// record may exceed it. The default is 8 MiB.
	BufferBytes int
	// Warm, where set, lists the partition numbers of which this worker has local
	// state: tasks that must move go to a member that has theirs, if they can.
	// It is called from the client's goroutines.
	Warm func() []int32
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Group == "" {
		o.Group = o.ConsumerGroup
	}
	setDefault(&o.TransactionTimeout, 30*time.Second)
	setDefault(&o.SessionTimeout, 15*time.Second)
	setDefault(&o.RebalanceTimeout, 60*time.Second)
	setDefault(&o.CommitTimeout, 60*time.Second)
	setDefault(&o.OutageTimeout, 10*time.Minute)
	setDefault(&o.MetadataEvery, 10*time.Second)
	setDefault(&o.HoldBytes, 4<<20)
	setDefault(&o.BufferBytes, 8<<20)
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Validate says what is missing.
func (o *Options) Validate() error {
	switch {
	case o.Group == "":
		return errors.New("no consumer group: set kafka.consumer_group or pass --group")
	case len(o.Inputs) == 0:
		return errors.New("no input topics")
	case o.ExactlyOnce && o.TransactionalID == "":
		return errors.New("exactly-once delivery needs a transactional id")
	}
	return nil
}

// transactionalID is the whole of it. The group knows the member by the same name.
func (o *Options) transactionalID() string {
	return cmp.Or(o.TransactionalID+o.TransactionalIDSuffix, "mortise")
}

// FreshSuffix returns a suffix that no other start has used.
func FreshSuffix() string { return "-" + rand.Text()[:10] }

// Transport is experiments.Transport over a Kafka consumer group. One goroutine
// uses it. Its parts have a client each, so that none waits for another: the
// membership in the group, the intake of the partitions that it gives, and the
// producer, which is made anew when a commit's result is not known.
type Transport struct {
	opts     Options
	admin    *Admin
	group    *membership
	in       *intake
	producer *producer
	topics   []topicID              // of the inputs
	limits   map[string]*topicLimit // by output topic
	implicit bool                   // the brokers' transactions are of version 2

	broken   bool        // what was produced is aborted, and the worker has yet to hear of it
	failures int         // commits that failed for the brokers' reasons, in a row
	fenced   []time.Time // when the transactional id was taken away, lately
	fatal    error       // what ended this transport for good
}

var _ experiments.Transport = (*Transport)(nil)

// Open connects, checks that the topics exist and fit together, ends what an
// earlier holder of the transactional id left open, and joins the group. Errors:
// *ConnectError, *MissingTopicError, *WidthError.
func Open(ctx context.Context, o Options) (_ *Transport, err error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t := &Transport{opts: o}
	if t.admin, err = OpenAdmin(ctx, o.Connection); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{t.learnTopics, t.openProducer, t.openIntake, t.join} {
		if err = step(ctx); err != nil {
			t.closeClients()
			return nil, err
		}
	}
	return t, nil
}

// learnTopics finds out what has to be known of topics and brokers.
func (t *Transport) learnTopics(ctx context.Context) (err error) {
	if t.topics, err = t.admin.inputs(ctx, t.opts.Inputs); err != nil {
		return err
	}
	if _, err = t.admin.describe(ctx, t.opts.Outputs); err != nil {
		return err
	}
	if t.limits, err = t.admin.limits(ctx, t.opts.Outputs); err != nil {
		return err
	}
	t.implicit, err = t.admin.transactionsV2(ctx)
	return err
}

func (t *Transport) openIntake(context.Context) error {
	client, err := t.opts.client()
	if err == nil {
		t.in = newIntake(client, t.admin, t.opts.HoldBytes)
	}
	return err
}

// join becomes a member of the group.
func (t *Transport) join(context.Context) (err error) {
	m := &membership{topics: t.opts.Inputs, releaseWithin: t.opts.RebalanceTimeout / 2, read: t.awaitCommitted,
		tasks: map[int32]*holding{}, changed: make(chan struct{})}
	if m.client, err = t.opts.client(m.options(&t.opts)...); err != nil {
		return err
	}
	t.group = m
	m.reading.Go(func() { m.watchWidths(t.admin, t.opts.MetadataEvery) })
	return nil
}

// Assigned implements experiments.Transport.
func (t *Transport) Assigned() (experiments.Assignment, error) {
	if err := t.usable(); err != nil {
		return experiments.Assignment{}, err
	}
	change, err := t.group.take()
	switch {
	case errors.Is(err, experiments.ErrRebalanced):
		return change, t.breakOff()
	case err != nil:
		return change, t.die(t.explain(fmt.Errorf("belonging to consumer group %s: %w", t.opts.Group, err)))
	}
	t.in.remove(change.Revoked)
	return change, nil
}

// Release implements experiments.Transport.
func (t *Transport) Release(parts []experiments.TopicPartition) error {
	if err := t.usable(); err != nil {
		return err
	}
	t.in.remove(parts)
	tasks := map[int32]bool{}
	for _, tp := range parts {
		tasks[tp.Partition] = true
	}
	t.group.release(tasks)
	return nil
}

// Ends implements experiments.Transport.
func (t *Transport) Ends(ctx context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	ends, err := t.admin.ends(ctx, parts)
	if err != nil {
		return nil, t.away(err)
	}
	t.in.learnEnds(ends)
	return ends, nil
}

// SetPaused implements experiments.Transport.
func (t *Transport) SetPaused(parts []experiments.TopicPartition) { t.in.setPaused(parts) }

// Abort implements experiments.Transport.
func (t *Transport) Abort(ctx context.Context) error {
	if t.fatal != nil {
		return t.fatal
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CommitTimeout)
	defer cancel()
	if err := t.producer.abort(ctx); err != nil {
		if err := t.renew(err); err != nil {
			return err
		}
	}
	t.in.removeAll()
	t.broken = false
	t.group.again()
	return nil
}

// closeTimeout bounds what Close waits for.
const closeTimeout = 10 * time.Second

// Close implements experiments.Transport. What is not committed is aborted; what
// is committed can be read when it returns.
func (t *Transport) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := t.producer.abort(ctx)
	if isFenced(err) {
		err = nil // somebody else has aborted it
	}
	if t.opts.ExactlyOnce && err == nil {
		_, _ = t.admin.awaitMarkers(ctx, t.opts.transactionalID()) // that they are committed is certain
	}
	t.closeClients()
	return err
}

func (t *Transport) closeClients() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout/2)
	defer cancel()
	if t.group != nil {
		t.group.close(ctx)
	}
	if t.in != nil {
		t.in.close()
	}
	if t.producer != nil {
		t.producer.close()
	}
	t.admin.Close()
}

// usable returns what keeps the transport from being used, until Abort or for good.
func (t *Transport) usable() error {
	switch {
	case t.fatal != nil:
		return t.fatal
	case t.broken:
		return experiments.ErrRebalanced
	}
	return nil
}

// breakOff has every call say ErrRebalanced, until Abort.
func (t *Transport) breakOff() error {
	t.broken = true
	return experiments.ErrRebalanced
}

// away turns an error that says that brokers cannot be reached now into
// ErrRebalanced: the worker begins again, and waits for them as it does so.
func (t *Transport) away(err error) error {
	if isAway(err) {
		return t.breakOff()
	}
	return err
}

// die remembers what ended the transport.
func (t *Transport) die(err error) error {
	if t.fatal == nil {
		t.fatal = err
	}
	return err
}

// client returns a client that connects when it is used.
func (c *Connection) client(more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := c.options(more...)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	return client, nil
}
