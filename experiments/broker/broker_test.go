package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const testTimeout = 20 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, dir string) *Broker {
	t.Helper()
	b, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func client(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(MaxRecordBytes + 1024)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, addr, topic string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(client(t, addr)).CreateTopic(t.Context(), partitions, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

// committed reads what a read_committed client sees of topic, from the start to
// its end, as "partition:value".
func committed(t *testing.T, addr, topic string) []string {
	t.Helper()
	ctx := testContext(t)
	cl := client(t, addr, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var seen []string
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("reading %s, still to read up to %v: %v", topic, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				seen = append(seen, fmt.Sprintf("%d:%s", r.Partition, r.Value))
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return seen
}

func TestServesOrdinaryClientsAndRestarts(t *testing.T) {
	dir := t.TempDir()
	b, err := Start(Options{Dir: dir, Listen: "localhost:0"})
	if err != nil {
		t.Fatal(err)
	}
	createTopic(t, b.Addr(), "old", 2)
	lastYear := time.Now().AddDate(-1, 0, 0)
	err = client(t, b.Addr()).ProduceSync(testContext(t), &kgo.Record{Topic: "old", Partition: 1, Value: []byte("v"), Timestamp: lastYear}).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	b.cluster.ApplyRetention() // what the broker does once an hour
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, start(t, dir).Addr(), "old"); len(got) != 1 || got[0] != "1:v" {
		t.Errorf("a year-old record after retention and a restart: got %q, want [1:v]", got)
	}
}

func TestUnknownTopicDoesNotAppear(t *testing.T) {
	b := start(t, t.TempDir())
	cl := client(t, b.Addr(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
	err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: "typo", Value: []byte("v")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("producing to a topic that nobody made: got %v, want UNKNOWN_TOPIC_OR_PARTITION", err)
	}
}

func TestLargeRecord(t *testing.T) {
	b := start(t, t.TempDir())
	createTopic(t, b.Addr(), "large", 1)
	value := make([]byte, MaxRecordBytes-1024)
	cl := client(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: "large", Value: value}).FirstErr(); err != nil {
		t.Errorf("a record of %d bytes: %v", len(value), err)
	}
}

func TestOneOwnerPerDirectory(t *testing.T) {
	dir := t.TempDir()
	if addr, running := Attach(dir); running {
		t.Fatalf("Attach before Start: running at %q", addr)
	}
	b := start(t, dir)
	if addr, running := Attach(dir); !running || addr != b.Addr() {
		t.Errorf("Attach: got %q, %t, want %q, true", addr, running, b.Addr())
	}
	_, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() || inUse.Addr != b.Addr() {
		t.Fatalf("a second Start: got %v, want InUseError naming process %d and %s", err, os.Getpid(), b.Addr())
	}
	if !strings.Contains(err.Error(), "--brokers "+b.Addr()) {
		t.Errorf("the error does not say how to go on: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if addr, running := Attach(dir); running {
		t.Errorf("Attach after Close: running at %q", addr)
	}
}

func TestPrivateBrokerIsNotFound(t *testing.T) {
	dir := t.TempDir()
	b, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0", Private: true})
	if err != nil {
		t.Fatal(err)
	}
	if addr, running := Attach(dir); running {
		t.Errorf("Attach: found %q, which is private", addr)
	}
	_, err = Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.Addr != "" || !strings.Contains(err.Error(), "wait") {
		t.Errorf("a second Start: got %v, want InUseError without an address, which says to wait", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStalePresenceIsNotRunning(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{presenceFile: `{"addr":"127.0.0.1:1","pid":1}`, lockFile: ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if addr, running := Attach(dir); running {
		t.Errorf("Attach to what a killed process left: running at %q", addr)
	}
	start(t, dir)
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for listen, want := range map[string]string{
		taken.Addr().String(): "choose another with --listen",
		"0.0.0.0:0":           "loopback only",
		":9092":               "loopback only",
		"192.0.2.1:9092":      "loopback only",
		"example.com:9092":    "loopback only",
		"127.0.0.1":           "want host:port",
	} {
		dir := t.TempDir()
		_, err := Start(Options{Dir: dir, Listen: listen})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), listen) {
			t.Errorf("listening on %q: got %v, want an error with %q and the address", listen, err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "log")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("listening on %q: the log was touched: %v", listen, err)
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{Dir: filepath.Join(file, "sub"), Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a directory under a file: got %v, want an error that names %s", err, file)
	}
}
