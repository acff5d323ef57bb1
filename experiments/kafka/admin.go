package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// Admin asks brokers about topics and groups, and creates topics. Its methods
// are safe for concurrent use.
type Admin struct {
	client *kgo.Client
	adm    *kadm.Client
}

// OpenAdmin connects. Errors: *ConnectError.
func OpenAdmin(ctx context.Context, c Connection) (*Admin, error) {
	client, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &Admin{client: client, adm: kadm.NewClient(client)}, nil
}

// Close disconnects.
func (a *Admin) Close() { a.client.Close() }

// TopicSpec is a topic to be made.
type TopicSpec struct {
	Name       string
	Partitions int32             // -1: the broker's default
	Configs    map[string]string // retention.ms and the like
}

// RetentionForever keeps records however old their timestamps are: for topics
// on the embedded broker.
const RetentionForever = "-1"

// Retention is a retention.ms for records whose timestamps are up to maxAge old
// when they are written. Kafka counts from a record's own timestamp, so replayed
// records need their age on top of the week that is kept for readers.
func Retention(maxAge time.Duration) string {
	const week = 7 * 24 * time.Hour
	return strconv.FormatInt((max(maxAge, 0) + week).Milliseconds(), 10)
}

// EnsureTopics creates those topics that do not exist, waits until they can be
// used, and returns the partition counts of all. A topic that exists is left as
// it is.
func (a *Admin) EnsureTopics(ctx context.Context, topics []TopicSpec) (map[string]int32, error) {
	names := make([]string, 0, len(topics))
	for i := range topics {
		names = append(names, topics[i].Name)
	}
	found, err := a.adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	for i := range topics {
		if d := found[topics[i].Name]; errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			if err := a.create(ctx, &topics[i]); err != nil {
				return nil, err
			}
		}
	}
	return a.awaitTopics(ctx, names)
}

func (a *Admin) create(ctx context.Context, topic *TopicSpec) error {
	configs := make(map[string]*string, len(topic.Configs))
	for name, value := range topic.Configs {
		configs[name] = &value
	}
	_, err := a.adm.CreateTopic(ctx, topic.Partitions, -1, configs, topic.Name)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return nil // somebody was faster
	case errors.Is(err, kerr.InvalidTopicException):
		return fmt.Errorf("creating topic %s: the name is not allowed, or differs from another topic's only in '.' and '_': %w", topic.Name, err)
	case err != nil:
		return fmt.Errorf("creating topic %s with %d partitions: %w", topic.Name, topic.Partitions, err)
	}
	return nil
}

// awaitTopics waits until every partition has a leader: on a cluster a new topic
// reaches the brokers one after another.
func (a *Admin) awaitTopics(ctx context.Context, names []string) (map[string]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		counts, err := a.ready(ctx, names)
		if err == nil {
			return counts, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for topics to be usable: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (a *Admin) ready(ctx context.Context, names []string) (map[string]int32, error) {
	found, err := a.describe(ctx, names)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int32, len(found))
	for name, d := range found {
		counts[name] = int32(len(d.Partitions))
		for _, p := range d.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return nil, fmt.Errorf("topic %s: partition %d has no leader: %w", name, p.Partition, cmp.Or(p.Err, error(kerr.LeaderNotAvailable)))
			}
		}
	}
	return counts, nil
}

// Topics returns the partition count of every topic that is not internal.
func (a *Admin) Topics(ctx context.Context) (map[string]int32, error) {
	found, err := a.adm.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	counts := make(map[string]int32, len(found))
	for name, d := range found {
		counts[name] = int32(len(d.Partitions))
	}
	return counts, nil
}

// Partitions returns the partition counts of topics. Errors: *MissingTopicError.
func (a *Admin) Partitions(ctx context.Context, topics ...string) (map[string]int32, error) {
	found, err := a.describe(ctx, topics)
	counts := make(map[string]int32, len(found))
	for name, d := range found {
		counts[name] = int32(len(d.Partitions))
	}
	return counts, err
}

// TopicID returns the id of a topic, which no other topic has, not one of the same
// name that is made later; empty where brokers are too old to give them. Errors:
// *MissingTopicError.
func (a *Admin) TopicID(ctx context.Context, topic string) (string, error) {
	found, err := a.describe(ctx, []string{topic})
	if err != nil {
		return "", err
	}
	if id := found[topic].ID; id != (kadm.TopicID{}) {
		return id.String(), nil
	}
	return "", nil
}

// describe returns details of topics that must exist.
func (a *Admin) describe(ctx context.Context, topics []string) (map[string]kadm.TopicDetail, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	found, err := a.adm.ListTopics(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	for _, name := range topics {
		d, ok := found[name]
		switch {
		case !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			return nil, a.missing(ctx, name)
		case d.Err != nil:
			return nil, fmt.Errorf("topic %s: %w", name, d.Err)
		}
	}
	return found, nil
}

func (a *Admin) missing(ctx context.Context, topic string) error {
	all, err := a.adm.ListTopics(ctx)
	if err != nil {
		return &MissingTopicError{Topic: topic} // it is missing, whatever others there are
	}
	return &MissingTopicError{Topic: topic, Existing: all.Names()}
}

// Ends returns the end offsets (last stable) of all partitions of topics.
func (a *Admin) Ends(ctx context.Context, topics ...string) (map[experiments.TopicPartition]int64, error) {
	return list(ctx, a.adm.ListCommittedOffsets, topics)
}

// ends returns the end offsets of parts.
func (a *Admin) ends(ctx context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends, err := listParts(ctx, a.adm.ListCommittedOffsets, parts)
	if err != nil {
		return nil, fmt.Errorf("asking where topics end: %w", err)
	}
	return ends, nil
}

// retryFor outlasts the election of a leader.
const retryFor = 30 * time.Second

// retry calls fn again while its error is one that brokers give in passing.
func retry(ctx context.Context, fn func() error) error {
	giveUp := time.Now().Add(retryFor)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := fn()
		if err == nil || !kerr.IsRetriable(err) || errors.Is(err, kerr.UnknownTopicOrPartition) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}
