package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
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
	// ExactlyOnce commits outputs and offsets in one transaction. Without it
	// outputs are flushed before offsets are committed: none is lost, and after
	// a failure some come twice.
	ExactlyOnce bool
	// TransactionalID names the transactions. Of two transports with one name
	// the later fences the earlier, so each worker needs its own, and should
	// keep it over restarts: what it left open is then aborted at once.
	TransactionalID string
	// TransactionalIDSuffix is appended to it. On the embedded broker, which
	// ends open transactions itself when it starts, give FreshSuffix().
	TransactionalIDSuffix string
	// TransactionTimeout is when the broker aborts a transaction that is not
	// ended; it must exceed the time between commits. The default is 60 s.
	TransactionTimeout time.Duration
	// SessionTimeout is when the group gives up a member that is silent, and so
	// how long its partitions lie idle after a kill. The default is 15 s.
	SessionTimeout time.Duration
	// CommitTimeout bounds one Commit, flushing included. The default is 60 s.
	CommitTimeout time.Duration
	// HoldBytes is how much a paused partition may hold back before it is no
	// longer fetched. The default is 4 MiB.
	HoldBytes int
	// BufferBytes bounds what is produced and not yet acknowledged; a single
	// record may exceed it. The default is 8 MiB.
	BufferBytes int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Group == "" {
		o.Group = o.ConsumerGroup
	}
	setDefault(&o.TransactionTimeout, 60*time.Second)
	setDefault(&o.SessionTimeout, 15*time.Second)
	setDefault(&o.CommitTimeout, 60*time.Second)
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

// FreshSuffix returns a suffix that no other start has used.
func FreshSuffix() string { return "-" + rand.Text()[:10] }

// Transport is experiments.Transport over a Kafka consumer group. One goroutine
// uses it.
type Transport struct {
	opts   Options
	admin  *Admin
	client *kgo.Client
	txn    *kgo.GroupTransactSession // nil without ExactlyOnce
	in     *intake
	out    *outbox
	names  map[[16]byte]string // topic names by ID

	inTxn    bool
	marking  bool  // a transaction was ended, perhaps not yet in every partition
	failures int   // commits that failed without a rebalance to blame, in a row
	fatal    error // what ended this transport for good

	mu       sync.Mutex // guards what the client's goroutines tell
	current  *session
	changed  chan struct{} // closed and replaced when current changes
	groupErr error         // the last error of the group's own work
}

var _ experiments.Transport = (*Transport)(nil)

// Open connects, checks that the topics exist and fit together, and joins the
// group. Errors: *ConnectError, *MissingTopicError, and topics whose partition
// counts differ.
func Open(ctx context.Context, o Options) (*Transport, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	admin, err := OpenAdmin(ctx, o.Connection)
	if err != nil {
		return nil, err
	}
	t := &Transport{opts: o, admin: admin, changed: make(chan struct{}), names: map[[16]byte]string{}}
	if err := t.open(ctx); err != nil {
		admin.Close()
		return nil, err
	}
	return t, nil
}

// open makes the client, which joins the group.
func (t *Transport) open(ctx context.Context) error {
	limits, err := t.checkTopics(ctx)
	if err != nil {
		return err
	}
	opts, err := t.opts.options(t.clientOptions(limits)...)
	if err != nil {
		return err
	}
	if t.opts.ExactlyOnce {
		t.txn, err = kgo.NewGroupTransactSession(opts...)
	} else {
		t.client, err = kgo.NewClient(opts...)
	}
	if err != nil {
		return fmt.Errorf("configuring the Kafka client: %w", err)
	}
	if t.txn != nil {
		t.client = t.txn.Client()
		if err := t.endPredecessor(ctx); err != nil {
			return err
		}
	}
	t.in = newIntake(t.client, t.opts.HoldBytes)
	t.out = newOutbox(t.client, limits, t.opts.BufferBytes)
	return nil
}

// endPredecessor has the brokers end what an earlier holder of the transactional
// id left open. The client itself does so with the first output, until which a
// predecessor that was killed with offsets in an open transaction would have
// the group's offsets withheld for TransactionTimeout.
func (t *Transport) endPredecessor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.opts.CommitTimeout)
	defer cancel()
	if _, _, err := t.client.ProducerID(ctx); err != nil {
		t.client.Close()
		return t.explain(fmt.Errorf("taking over transactional id %s: %w", t.opts.TransactionalID+t.opts.TransactionalIDSuffix, err))
	}
	return nil
}

// checkTopics returns the largest batch that each output topic takes.
func (t *Transport) checkTopics(ctx context.Context) (map[string]int, error) {
	topics := append(append([]string{}, t.opts.Inputs...), t.opts.Outputs...)
	found, err := t.admin.describe(ctx, topics)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		t.names[d.ID] = d.Topic
	}
	first := t.opts.Inputs[0]
	for _, topic := range t.opts.Inputs[1:] {
		if a, b := len(found[first].Partitions), len(found[topic].Partitions); a != b {
			return nil, fmt.Errorf("topic %s has %d partitions and topic %s has %d: topics that are joined need the same number, "+
				"keyed alike, so that a key lies in the same partition of all; recreate one of them", first, a, topic, b)
		}
	}
	return t.admin.batchLimits(ctx, t.opts.Outputs)
}

func (t *Transport) clientOptions(limits map[string]int) []kgo.Opt {
	opts := append(producerOptions(limits),
		kgo.ConsumerGroup(t.opts.Group),
		kgo.ConsumeTopics(t.opts.Inputs...),
		// Range gives a member the same partition numbers of every topic, since
		// all members subscribe to the same topics of the same width.
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(t.opts.SessionTimeout),
		kgo.HeartbeatInterval(min(t.opts.SessionTimeout/10, 3*time.Second)),
		kgo.OnOffsetsFetched(t.onOffsets),
		kgo.AdjustFetchOffsetsFn(t.awaitStart),
		kgo.OnPartitionsRevoked(t.onLost),
		kgo.OnPartitionsLost(t.onLost),
		kgo.WithHooks(groupErrors{t}),
	)
	if t.opts.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(t.opts.InstanceID))
	}
	if t.opts.ExactlyOnce {
		opts = append(opts, kgo.TransactionalID(t.opts.TransactionalID+t.opts.TransactionalIDSuffix),
			kgo.TransactionTimeout(t.opts.TransactionTimeout))
	}
	return opts
}

// Ends implements experiments.Transport.
func (t *Transport) Ends(ctx context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends, err := t.admin.ends(ctx, parts)
	if err == nil {
		t.in.learnEnds(ends)
	}
	return ends, err
}

// SetPaused implements experiments.Transport.
func (t *Transport) SetPaused(parts []experiments.TopicPartition) { t.in.setPaused(parts) }

// Close implements experiments.Transport. What is not committed is aborted; what
// is committed can be read when it returns.
func (t *Transport) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	if t.txn != nil {
		err = t.abortTransaction(ctx)
		t.awaitMarkers(ctx)
	} else {
		err = t.abort(ctx)
	}
	t.client.Close()
	t.admin.Close()
	return err
}
