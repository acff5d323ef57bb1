package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// childDir, in the environment, makes the test binary the process that is killed.
const childDir = "MORTISE_BROKER_CHILD_DIR"

const (
	group      = "g"
	partitions = 3
)

// TestMain runs the tests, or is the process that dies: it commits one
// transaction (a record in each partition of topic "out", offset 7 with metadata
// in each partition of "in"), leaves a second one open, and kills itself.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := dieMidTransaction(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dieMidTransaction(dir string) error {
	ctx := context.Background()
	b, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	s, err := session(b.Addr())
	if err != nil {
		return err
	}
	if _, err := kadm.NewClient(s.Client()).CreateTopics(ctx, partitions, -1, nil, "in", "out"); err != nil {
		return err
	}
	if err := produce(ctx, s, "first"); err != nil {
		return err
	}
	if done, err := s.End(withOffsets(ctx, 7, "cursor"), kgo.TryCommit); err != nil || !done {
		return fmt.Errorf("committing: %t, %w", done, err)
	}
	if err := produce(ctx, s, "open"); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// session is a transactional producer with the same id in every process.
func session(addr string) (*kgo.GroupTransactSession, error) {
	return kgo.NewGroupTransactSession(kgo.SeedBrokers(addr), kgo.TransactionalID("same-id"), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics("in"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

func produce(ctx context.Context, s *kgo.GroupTransactSession, value string) error {
	if err := s.Begin(); err != nil {
		return err
	}
	for p := range int32(partitions) {
		if err := s.Client().ProduceSync(ctx, &kgo.Record{Topic: "out", Partition: p, Value: []byte(value)}).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// withOffsets makes End commit offset in all partitions of "in", as an
// administrator would, without being a member of the group.
func withOffsets(ctx context.Context, offset int64, metadata string) context.Context {
	return kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		req.Generation, req.MemberID = -1, ""
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = "in"
		for p := range int32(partitions) {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.Metadata = p, offset, &metadata
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics[:0], t)
		return nil
	})
}

// killed returns a directory whose broker was killed with SIGKILL.
func killed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
	return dir
}

func wantCommitted(t *testing.T, addr string, values ...string) {
	t.Helper()
	var want []string
	for p := range partitions {
		for _, v := range values {
			want = append(want, fmt.Sprintf("%d:%s", p, v))
		}
	}
	got := committed(t, addr, "out")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("read_committed sees %q, want %q", got, want)
	}
}

func wantOffsets(t *testing.T, addr string, offset int64, metadata string) {
	t.Helper()
	offsets, err := kadm.NewClient(client(t, addr)).FetchOffsets(testContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(partitions) {
		if o, ok := offsets.Lookup("in", p); !ok || o.At != offset || o.Metadata != metadata {
			t.Errorf("committed offset of in/%d: got %d %q (%t), want %d %q", p, o.At, o.Metadata, ok, offset, metadata)
		}
	}
}

func TestKillWithTransactionOpen(t *testing.T) {
	dir := killed(t)
	if addr, running := Attach(dir); running {
		t.Errorf("Attach after the kill: running at %s", addr)
	}
	b := start(t, dir)
	wantCommitted(t, b.Addr(), "first")
	wantOffsets(t, b.Addr(), 7, "cursor")

	// The same producer goes on: what it commits now must be seen.
	s, err := session(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := produce(testContext(t), s, "second"); err != nil {
		t.Fatal(err)
	}
	if done, err := s.End(withOffsets(testContext(t), 9, "later"), kgo.TryCommit); err != nil || !done {
		t.Fatalf("committing after the restart: %t, %v", done, err)
	}
	wantCommitted(t, b.Addr(), "first", "second")
	wantOffsets(t, b.Addr(), 9, "later")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	wantCommitted(t, again.Addr(), "first", "second")
	wantOffsets(t, again.Addr(), 9, "later")
}

// TestKillWithinCommit cuts the files back to every point that a kill during
// the commit can have left, and expects all of the commit or nothing of it.
func TestKillWithinCommit(t *testing.T) {
	image := killed(t)
	for cut := range 2*partitions + partitions + 2 {
		t.Run(fmt.Sprint("after write ", cut), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(image)); err != nil {
				t.Fatal(err)
			}
			cutWithinCommit(t, dir, cut)
			b := start(t, dir)
			if cut == 0 { // nothing of the commit was written: it had not begun
				wantCommitted(t, b.Addr())
				return
			}
			wantCommitted(t, b.Addr(), "first")
			wantOffsets(t, b.Addr(), 7, "cursor")
		})
	}
}

// cutWithinCommit undoes all but the first kept of the writes of the first
// commit, and all that came after it. The writes: a marker and its index entry
// for each partition, an offset for each partition, the note of the end.
func cutWithinCommit(t *testing.T, dir string, kept int) {
	t.Helper()
	logDir := filepath.Join(dir, "log")
	in, err := readIntent(dir)
	if err != nil || in == nil {
		t.Fatalf("reading the intent: %v, %v", in, err)
	}
	for p := range partitions {
		batches := min(max(kept-2*p+1, 1), 2) // the record; the marker when write 2p happened
		entries := min(max(kept-2*p, 1), 2)
		dat := filepath.Join(logDir, "partitions", fmt.Sprintf("out-%d", p), "0.dat")
		truncate(t, dat, batchesEnd(t, dat, batches))
		truncate(t, strings.TrimSuffix(dat, ".dat")+".idx", int64(entries)*indexEntryBytes)
	}
	groups := filepath.Join(logDir, groupsLog)
	truncate(t, groups, entriesEnd(t, groups, in.GroupsBytes, max(kept-2*partitions, 0)))
	pids := filepath.Join(logDir, pidsLog)
	truncate(t, pids, entriesEnd(t, pids, in.PIDsBytes, max(kept-3*partitions, 0)))
}

func truncate(t *testing.T, path string, sizeBytes int64) {
	t.Helper()
	if err := os.Truncate(path, sizeBytes); err != nil {
		t.Fatal(err)
	}
}

func batchesEnd(t *testing.T, path string, n int) int64 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pos int64
	for range n {
		pos += 12 + int64(binary.BigEndian.Uint32(raw[pos+8:]))
	}
	return pos
}

// entriesEnd returns where n framed entries after from end.
func entriesEnd(t *testing.T, path string, from int64, n int) int64 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if from >= int64(len(raw)) {
			break
		}
		from += 8 + int64(binary.LittleEndian.Uint32(raw[from:]))
	}
	return from
}
