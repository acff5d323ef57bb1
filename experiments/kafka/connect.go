package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// MaxRecordBytes is the largest record that this package reads or writes. A
// topic's own max.message.bytes may be smaller.
const MaxRecordBytes = 64 << 20

const (
	// A response may hold one batch of the largest size beside what
	// fetch_max_bytes asks for.
	maxReadBytes  = 256 << 20
	maxWriteBytes = 100 << 20 // Kafka's socket.request.max.bytes
	// defaultBatchBytes is Kafka's own default of max.message.bytes; it is
	// assumed where a topic does not tell.
	defaultBatchBytes = 1_000_012
)

// Connection says how brokers are reached. Only SeedBrokers is needed.
type Connection struct {
	spec.Kafka
	// ConnectTimeout bounds the first contact: brokers that are just starting
	// are waited for as long. The default is 10 s.
	ConnectTimeout time.Duration
	// Meter, when set, is told of every batch that is read or written.
	Meter Meter
}

// Meter counts traffic. It is called from the client's goroutines, a call for
// each batch; bytes are those on the wire, compressed.
type Meter interface {
	Read(topic string, partition int32, records, bytes int)
	Wrote(topic string, partition int32, records, bytes int)
}

// ConnectError says that no broker could be used, and what to check.
type ConnectError struct {
	Brokers []string
	Advice  string
	Err     error
}

// Error names the brokers, the cause and the advice.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("connecting to Kafka at %s: %v: %s", join(e.Brokers), e.Err, e.Advice)
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// options translates the configuration; more are appended.
func (c *Connection) options(more ...kgo.Opt) ([]kgo.Opt, error) {
	if len(c.SeedBrokers) == 0 {
		return nil, errors.New("no Kafka brokers: set kafka.seed_brokers, pass --brokers host:port, or run with --embedded")
	}
	opts := []kgo.Opt{
		kgo.ClientID("mortise"),
		kgo.SeedBrokers(c.SeedBrokers...),
		kgo.DialTimeout(5 * time.Second),
		// Answers younger than this are the client's own: with the default of
		// seconds a topic that has just been made stays unknown for as long.
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.BrokerMaxReadBytes(maxReadBytes),
		kgo.BrokerMaxWriteBytes(maxWriteBytes),
		// A gap in what is read would be a wrong answer, so no offset is ever
		// chosen silently.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxPartitionBytes(4 << 20),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
	if c.FetchMaxBytes > 0 {
		opts = append(opts, kgo.FetchMaxBytes(int32(min(c.FetchMaxBytes, maxReadBytes/2))))
	}
	if c.RackID != "" {
		opts = append(opts, kgo.Rack(c.RackID))
	}
	if c.Meter != nil {
		opts = append(opts, kgo.WithHooks(hooks{c.Meter}))
	}
	secure, err := c.security()
	if err != nil {
		return nil, err
	}
	return append(append(opts, secure...), more...), nil
}

// dial returns a client that has reached a broker.
func (c *Connection) dial(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := c.options(more...)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	if err := c.reach(ctx, client); err != nil {
		go client.Close() // which waits for a broker that is silent
		return nil, err
	}
	return client, nil
}

// reach asks the brokers for a sign of life until one answers, the error is one
// that waiting does not mend, or the time is up.
func (c *Connection) reach(ctx context.Context, client *kgo.Client) error {
	timeout := c.ConnectTimeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last := errors.New("the broker accepts connections and is silent")
	for {
		err := ping(ctx, client)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		advice, waiting := c.advise(last)
		if !waiting {
			return &ConnectError{Brokers: c.SeedBrokers, Advice: advice, Err: last}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &ConnectError{Brokers: c.SeedBrokers, Advice: advice, Err: fmt.Errorf("no answer within %s: %w", timeout, last)}
		case <-time.After(timeout / 40):
		}
	}
}

// ping is client.Ping that returns when ctx ends, even while a broker that
// accepted the connection is silent.
func ping(ctx context.Context, client *kgo.Client) error {
	result := make(chan error, 1)
	go func() { result <- client.Ping(ctx) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hooks adapts a Meter to the client's hooks.
type hooks struct{ meter Meter }

var (
	_ kgo.HookFetchBatchRead      = hooks{}
	_ kgo.HookProduceBatchWritten = hooks{}
)

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (h hooks) OnFetchBatchRead(_ kgo.BrokerMetadata, topic string, partition int32, m kgo.FetchBatchMetrics) {
	h.meter.Read(topic, partition, m.NumRecords, m.CompressedBytes)
}

// OnProduceBatchWritten implements kgo.HookProduceBatchWritten.
func (h hooks) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, partition int32, m kgo.ProduceBatchMetrics) {
	h.meter.Wrote(topic, partition, m.NumRecords, m.CompressedBytes)
}

// isAuth reports whether a broker refused for who the client is.
func isAuth(err error) bool {
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism) ||
		errors.Is(err, kerr.IllegalSaslState) || errors.Is(err, kerr.TopicAuthorizationFailed) ||
		errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) ||
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed)
}
