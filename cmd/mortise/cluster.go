package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// clusterFlags say which brokers to use, the same for every verb that talks to some.
type clusterFlags struct {
	brokers    []string
	embedded   string
	listen     string
	registry   []string
	partitions int
	set        bool // --embedded was given
	listenSet  bool // --listen was given
	readOnly   bool // the verb makes nothing, neither a broker's directory nor topics
}

// register adds the flags of a verb that makes topics; registerReader those of
// one that looks only.
func (f *clusterFlags) register(cmd *cobra.Command) {
	f.add(cmd, "127.0.0.1:9092", "loopback address on which the embedded broker serves ordinary Kafka clients; port 0 takes a free one")
	cmd.Flags().IntVar(&f.partitions, "partitions", 4, "partitions of the topics that are made")
}

func (f *clusterFlags) registerReader(cmd *cobra.Command) {
	f.readOnly, f.partitions = true, 1
	f.add(cmd, "127.0.0.1:0", "where the embedded broker listens meanwhile, when no run serves it")
}

func (f *clusterFlags) add(cmd *cobra.Command, listen, listenUsage string) {
	fs := cmd.Flags()
	fs.StringSliceVar(&f.brokers, "brokers", nil, "Kafka seed brokers, host:port; may be repeated")
	fs.StringVar(&f.embedded, "embedded", defaultEmbedded, "directory of the embedded broker, which is used when there are no --brokers")
	fs.StringVar(&f.listen, "listen", listen, listenUsage)
	fs.StringSliceVar(&f.registry, "registry", nil, "schema registry, http://HOST:8081; may be repeated")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		f.set, f.listenSet = fs.Changed("embedded"), fs.Changed("listen")
		switch {
		case f.set && len(f.brokers) > 0:
			return usageError{errors.New("--brokers and --embedded: choose one of them")}
		case f.partitions < 1:
			return usageError{fmt.Errorf("--partitions %d: a topic has at least one", f.partitions)}
		}
		return nil
	}
}

const defaultEmbedded = "./mortise-data"

// cluster is the brokers in use: real ones, or the embedded one of a directory,
// which runs in this process or in another that has it open.
type cluster struct {
	kafka.Connection
	embedded   string           // directory; empty for real brokers
	broker     *broker.Broker   // nil when it runs elsewhere
	partitions map[string]int32 // of the inputs, once they are prepared
}

// embeddedRebalance is how long a group on the embedded broker waits for members to
// join. Apache Kafka does not wait for one that has died meanwhile beyond its session;
// the embedded broker does.
const embeddedRebalance = 20 * time.Second

// join opens a transport of a group's member.
func (cl *cluster) join(ctx context.Context, opts kafka.Options) (*kafka.Transport, error) {
	opts.Connection = cl.Connection
	if cl.embedded != "" {
		opts.RebalanceTimeout = embeddedRebalance
	}
	return kafka.Open(ctx, opts)
}

// open reaches the brokers that the flags name, else those of the file, else
// the embedded one.
func (f *clusterFlags) open(c *console, from *spec.Kafka) (*cluster, error) {
	cl := &cluster{}
	if from != nil {
		cl.Kafka = *from
	}
	if len(f.registry) > 0 {
		cl.SchemaRegistry.URLs = f.registry
	}
	if len(f.brokers) > 0 {
		cl.SeedBrokers = f.brokers
		return cl, nil
	}
	if len(cl.SeedBrokers) > 0 && !f.set {
		return cl, nil
	}
	dir := filepath.Clean(f.embedded)
	if f.readOnly {
		if err := mustHold(dir); err != nil {
			return nil, err
		}
	}
	cl.Kafka = spec.Kafka{ConsumerGroup: cl.ConsumerGroup, StartOffset: cl.StartOffset, SchemaRegistry: spec.SchemaRegistry{URLs: f.registry}}
	cl.embedded = dir
	b, err := f.start(c, dir)
	var inUse *broker.InUseError
	// An owner without an address is starting, or reads the log for itself.
	for wait := ownerPatience; errors.As(err, &inUse) && inUse.Addr == "" && wait > 0; wait -= ownerPatience / 50 {
		time.Sleep(ownerPatience / 50)
		b, err = f.start(c, dir)
	}
	switch {
	case errors.As(err, &inUse) && inUse.Addr != "":
		cl.SeedBrokers = []string{inUse.Addr}
		return cl, nil
	case err != nil:
		return nil, err
	}
	cl.broker, cl.SeedBrokers = b, []string{b.Addr()}
	return cl, nil
}

// ownerPatience is how long an embedded broker's directory is waited for.
const ownerPatience = 5 * time.Second

// start starts the embedded broker. When its default port is taken, as by
// another run, it takes a free one: only an address that was asked for is worth
// failing for.
func (f *clusterFlags) start(c *console, dir string) (*broker.Broker, error) {
	opts := broker.Options{Dir: dir, Listen: f.listen, DefaultPartitions: f.partitions, Logger: c.logger(), Private: f.readOnly}
	b, err := broker.Start(opts)
	if errors.Is(err, syscall.EADDRINUSE) && !f.listenSet {
		opts.Listen = "127.0.0.1:0"
		if b, err = broker.Start(opts); err == nil {
			c.say("%s is taken, so the embedded broker listens on %s", f.listen, b.Addr())
		}
	}
	return b, err
}

// mustHold makes sure that there is a broker's log in dir: a verb that looks only
// does not begin one.
func mustHold(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "log"))
	if err == nil {
		return nil
	}
	if _, running := broker.Attach(dir); running {
		return nil // and about to make its log
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("there is no embedded broker in %s: name the directory of a run with --embedded, or brokers with --brokers", dir)
	}
	return fmt.Errorf("looking for the embedded broker in %s: %w", dir, err)
}

// leaveLast ends a crew's part in its groups. At the end of input the process that
// has the embedded broker stays until all others have ended, too.
func (cl *cluster) leaveLast(cr *crew, complete bool) {
	cr.close()
	if cl.broker == nil || !complete {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), othersEndWithin)
	defer cancel()
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return // nobody can reach it
	}
	defer admin.Close()
	for _, name := range cr.groups {
		for ctx.Err() == nil {
			if g, err := admin.Group(ctx, name); err != nil || g.Members == 0 {
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// othersEndWithin is how long the embedded broker stays for workers that have come
// to the end too. One that was killed looks as if it were still there.
const othersEndWithin = 10 * time.Second

func (cl *cluster) close() error {
	if cl.broker == nil {
		return nil
	}
	return cl.broker.Close()
}

// address is how a user's own client reaches the brokers.
func (cl *cluster) address() string { return strings.Join(cl.SeedBrokers, ",") }

// flags are the flags with which another command reaches the same brokers.
func (cl *cluster) flags() string {
	switch {
	case cl.embedded == "":
		return " --brokers " + cl.address()
	case cl.embedded == filepath.Clean(defaultEmbedded):
		return ""
	}
	return " --embedded " + cl.embedded
}

// maxReplayAge is how old the records of a topic that mortise makes on a real
// broker may be when they are written: its retention reaches back that far.
const maxReplayAge = 10 * 365 * 24 * time.Hour

// topic describes a topic that mortise makes: its retention fits records that
// carry event times of long ago, its size limit the largest record.
func (cl *cluster) topic(name string, partitions int32) kafka.TopicSpec {
	configs := map[string]string{"retention.ms": kafka.Retention(maxReplayAge)}
	if cl.embedded != "" {
		configs["retention.ms"] = kafka.RetentionForever
		configs["max.message.bytes"] = fmt.Sprint(kafka.MaxRecordBytes + 1<<20)
	}
	return kafka.TopicSpec{Name: name, Partitions: partitions, Configs: configs}
}

// prepare makes the topics that are missing: outputs always, inputs on the
// embedded broker or when they are about to be published.
func (cl *cluster) prepare(ctx context.Context, plan *experiments.Plan, partitions int, makeInputs bool) error {
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	inputs, _ := planTopics(plan)
	if makeInputs || cl.embedded != "" {
		var specs []kafka.TopicSpec
		for _, name := range inputs {
			specs = append(specs, cl.topic(name, int32(partitions)))
		}
		if _, err := admin.EnsureTopics(ctx, specs); err != nil {
			return err
		}
	}
	counts, err := admin.Partitions(ctx, inputs...)
	if err != nil {
		return err
	}
	cl.partitions = counts
	var specs []kafka.TopicSpec
	for _, p := range plan.Pipelines {
		for _, name := range p.Outputs() {
			specs = append(specs, cl.topic(name, counts[p.Sources[0].Topic]))
		}
	}
	_, err = admin.EnsureTopics(ctx, specs)
	return err
}

// prepareFeatures makes the topics of features that are missing on the embedded broker.
func (cl *cluster) prepareFeatures(ctx context.Context, plan *experiments.Plan, partitions int) error {
	if cl.embedded == "" {
		return nil
	}
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	var specs []kafka.TopicSpec
	known := map[string]bool{}
	for _, f := range plan.Features() {
		if topic := f.Source.Topic; !known[topic] {
			known[topic] = true
			specs = append(specs, cl.topic(topic, int32(partitions)))
		}
	}
	_, err = admin.EnsureTopics(ctx, specs)
	return err
}

// planTopics lists what all pipelines read and write, each once.
func planTopics(plan *experiments.Plan) (inputs, outputs []string) {
	seen := map[string]bool{}
	add := func(list *[]string, names []string) {
		for _, n := range names {
			if !seen[n] {
				seen[n] = true
				*list = append(*list, n)
			}
		}
	}
	for _, p := range plan.Pipelines {
		add(&inputs, p.Inputs())
		add(&outputs, p.Outputs())
	}
	for _, feature := range plan.Features() { // those that nobody joins, too
		add(&inputs, []string{feature.Source.Topic})
	}
	add(&inputs, dimensions.ChangeTopics(plan))
	return inputs, outputs
}
