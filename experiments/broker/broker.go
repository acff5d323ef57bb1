package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// MaxRecordBytes is the largest record that the broker is sure to take. A batch
// may be a little larger, for its header and a large key.
const MaxRecordBytes = 64 << 20

const batchSlackBytes = 1 << 20

// Options says where a broker keeps its log and listens.
type Options struct {
	// Dir is where everything is kept. It is made when missing. Required.
	Dir string
	// Listen is host:port, on loopback; port 0 takes any free port. The default
	// is 127.0.0.1:9092.
	Listen string
	// DefaultPartitions is how many partitions a topic gets that is created
	// without saying so. The default is 4.
	DefaultPartitions int
	// Private keeps the address to this process: others do not find the broker,
	// and wait for the directory. For a process that only reads the log, and
	// must not have others depend on it.
	Private bool
	// Logger gets the broker's warnings. The default is silence.
	Logger *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:9092"
	}
	if o.DefaultPartitions <= 0 {
		o.DefaultPartitions = 4
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Broker is a running broker. Its methods are safe for concurrent use.
type Broker struct {
	addr    string
	owner   *ownership
	intents *intentLog
	cluster *kfake.Cluster
	once    sync.Once
	err     error
}

// Start opens the log in o.Dir, or begins a new one, and serves it until Close.
// Transactions that were open when the last owner of the directory was killed
// are completed first: those whose commit had begun are committed, the others
// aborted.
//
// Errors: *InUseError when another process runs a broker in the directory; a
// port that is taken, an address that is not loopback, and a directory that
// cannot be written are named in the error.
func Start(o Options) (*Broker, error) {
	o.EnsureDefaults()
	if o.Dir == "" {
		return nil, errors.New("the embedded broker needs a directory for its log")
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the embedded broker's directory %s: %w; choose another with --embedded", o.Dir, err)
	}
	owner, err := takeOwnership(o.Dir)
	if err != nil {
		return nil, err
	}
	b := &Broker{owner: owner}
	if err := b.open(&o); err != nil {
		return nil, errors.Join(err, owner.release())
	}
	return b, nil
}

// open binds the address first, so that a taken port is found before the log is
// touched, and lets clients wait in the socket's queue while the log is read.
func (b *Broker) open(o *Options) error {
	ln, err := listen(o.Listen)
	if err != nil {
		return err
	}
	b.addr = ln.Addr().String()
	logDir := filepath.Join(o.Dir, "log")
	if !o.Private {
		err = b.owner.announce(b.addr)
	}
	if err == nil {
		err = recoverLog(o.Dir, logDir, o.Logger)
	}
	if err == nil {
		b.intents, err = openIntentLog(o.Dir, logDir, o.Logger)
	}
	if err == nil {
		b.cluster, err = kfake.NewCluster(clusterOptions(o, ln, logDir)...)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("opening the embedded broker in %s: %w", o.Dir, err), b.intents.close(), ln.Close())
	}
	b.intents.watch(b.cluster)
	return nil
}

func clusterOptions(o *Options, ln net.Listener, logDir string) []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.ClusterID("mortise-embedded"),
		kfake.DataDir(logDir),
		kfake.DefaultNumPartitions(o.DefaultPartitions),
		kfake.WithLogger(logger{o.Logger}),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes": strconv.Itoa(MaxRecordBytes + batchSlackBytes),
			// Retention counts from a record's own timestamp, so a replay of
			// last year would be gone at the next sweep.
			"log.retention.ms": "-1",
			// Offsets must outlive a laptop's holiday: without them a group
			// would begin again and emit everything twice. 100 years, in minutes.
			"offsets.retention.minutes": "52560000",
			// A new member of a group waits this long for its partitions.
			"group.consumer.heartbeat.interval.ms": "100",
		}),
	}
}

// Addr returns host:port as clients should dial it.
func (b *Broker) Addr() string { return b.addr }

// Close stops serving, writes the log out and gives the directory up. It may be
// called more than once.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.cluster.Close()
		b.err = errors.Join(b.intents.close(), b.owner.release())
	})
	return b.err
}

// listen binds addr, which must be loopback: the broker asks nobody who they are.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("the embedded broker cannot listen on %q: want host:port, for example 127.0.0.1:9092: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("the embedded broker listens on loopback only, because it has no authentication; "+
			"%q is not loopback: use 127.0.0.1, or run a Kafka cluster and pass --brokers", addr)
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the embedded broker cannot listen on %s, the port is taken (another broker, or another embedded directory?): "+
			"choose another with --listen 127.0.0.1:PORT, or --listen 127.0.0.1:0 for any free one: %w", addr, err)
	case err != nil:
		return nil, fmt.Errorf("the embedded broker cannot listen on %s: %w", addr, err)
	}
	return ln, nil
}

// logger passes on what kfake warns about; what it tells besides is its own
// debugging, and so is that something took it some milliseconds.
type logger struct{ to *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.to.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		if strings.Contains(format, " slow ") {
			return
		}
		l.to.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	}
}
