package joiner_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// builderEnv asks the test binary to build state and to be killed: what a
// benchmark opens is then what kill -9 leaves.
const builderEnv = "MORTISE_BUILD_PENDING"

func TestMain(m *testing.M) {
	if text := os.Getenv(builderEnv); text != "" {
		if err := buildPending(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(m.Run())
}

// pendingSpec is a state to build: impressions of 1 KB pending in all tasks
// together, 13 % of them clicked within the hour, and two hours gone before.
type pendingSpec struct {
	dir            string
	pending, tasks int
	early          bool
}

func (s pendingSpec) String() string {
	return fmt.Sprintf("%s %d %d %t", s.dir, s.pending, s.tasks, s.early)
}

func (s pendingSpec) options() joiner.Options {
	o := joiner.Options{
		DelayMS: 3_600_000, Dedup: true, Early: s.early,
		Sources: []joiner.Source{{KeySets: []int{0}}, {KeySets: []int{0}}},
		Windows: []joiner.Window{{Source: 1, KeySet: 0, WithinMS: 3_600_000}},
	}
	o.EnsureDefaults()
	return o
}

func (s pendingSpec) open() (*disk.DB, []*joiner.Task, error) {
	db, err := disk.OpenDB(s.dir, disk.Options{})
	if err != nil {
		return nil, nil, err
	}
	var tasks []*joiner.Task
	for i := range s.tasks {
		opts := s.options()
		store, err := db.OpenStore(fmt.Sprint("t/", i), opts.StoreOptions())
		if err != nil {
			return nil, nil, err
		}
		task, err := joiner.New(opts, store, &countProgram{})
		if err != nil {
			return nil, nil, err
		}
		tasks = append(tasks, task)
	}
	return db, tasks, nil
}

// countProgram reads an impression's key off the head of its value.
type countProgram struct {
	key  []byte
	rows int
}

const countKeyBytes = 16

func (p *countProgram) Open(e *joiner.Entry) uint32 {
	p.key = e.Value[:countKeyBytes]
	return e.Accept
}
func (p *countProgram) Fault(int) *mortise.RecordError { return nil }

func (p *countProgram) Key(int) []byte { return p.key }

func (p *countProgram) Match(_ int, _ *joiner.Entry, accept uint32) (counts, broken uint32, why *mortise.RecordError) {
	return accept, 0, nil
}

func (p *countProgram) Reject(*joiner.Entry, uint32, *mortise.RecordError) error { return nil }

func (p *countProgram) Emit(em joiner.Emission) (joiner.Outcome, error) {
	p.rows++
	return joiner.Outcome{Written: em.Accept}, nil
}

// pendingFeed is the input of one task.
type pendingFeed struct {
	task   *joiner.Task
	n      int64
	clicks map[int64][][]byte // keys, by the thousand of impressions at which they come
	next   [2]int64
	value  []byte
}

func (f *pendingFeed) add(source int, timeMS int64, key, value []byte) error {
	ev := joiner.Event{Source: source, TimeMS: timeMS, Offset: f.next[source], Accept: 1, Keys: [][]byte{key}, Value: value}
	f.next[source]++
	return f.task.Add(&ev)
}

// step takes a thousand impressions in, and the clicks that come meanwhile.
func (f *pendingFeed) step(pending int) error {
	const startMS = 1_700_000_000_000
	tick := f.n / 1000
	for range 1000 {
		timeMS := startMS + f.n*3_600_000/int64(pending)
		z := mix(uint64(f.n))
		key := fmt.Appendf(f.value[:0], "%016x", z)
		if err := f.add(0, timeMS, key, f.value[:1000]); err != nil {
			return err
		}
		if z%100 < 13 {
			at := tick + 1 + int64(z>>32)%max(int64(pending)/1000-1, 1)
			f.clicks[at] = append(f.clicks[at], append([]byte(nil), key...))
		}
		f.n++
	}
	for _, key := range f.clicks[tick] {
		if err := f.add(1, startMS+f.n*3_600_000/int64(pending)-1, key, f.value[:120]); err != nil {
			return err
		}
	}
	delete(f.clicks, tick)
	f.task.Advance(startMS + f.n*3_600_000/int64(pending) - 2000)
	if err := drain(f.task.Close); err != nil || tick%20 != 0 {
		return err
	}
	return f.commit()
}

func (f *pendingFeed) commit() error { return f.task.Commit(f.task.Snapshot(7, f.next[:])) }

func mix(z uint64) uint64 {
	z = (z + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func buildPending(text string) error {
	var s pendingSpec
	if _, err := fmt.Sscan(text, &s.dir, &s.pending, &s.tasks, &s.early); err != nil {
		return err
	}
	_, tasks, err := s.open()
	if err != nil {
		return err
	}
	value := make([]byte, 0, 2000)
	for k := 0; len(value) < 1000; k++ {
		value = fmt.Appendf(value, `,"feature_number_%d":0.%d`, k, mix(uint64(k))%10000)
	}
	for _, task := range tasks {
		f := pendingFeed{task: task, clicks: map[int64][][]byte{}, value: append([]byte(nil), value...)}
		for f.n < int64(3*s.pending/s.tasks) {
			if err := f.step(s.pending / s.tasks); err != nil {
				return err
			}
		}
		if err := f.commit(); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkReopen opens the state of tasks that were killed with many
// impressions pending, up to the moment from which they take events in.
// -short opens the smallest only.
func BenchmarkReopen(b *testing.B) {
	for _, s := range []pendingSpec{{pending: 100_000, tasks: 1}, {pending: 1_000_000, tasks: 1}, {pending: 1_000_000, tasks: 1, early: true}, {pending: 5_000_000, tasks: 1}, {pending: 5_000_000, tasks: 1, early: true}, {pending: 5_000_000, tasks: 4}, {pending: 20_000_000, tasks: 1}} {
		if testing.Short() && s.pending > 100_000 {
			continue
		}
		b.Run(fmt.Sprintf("pending=%d/tasks=%d/early=%t", s.pending, s.tasks, s.early), func(b *testing.B) {
			s.dir = b.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), builderEnv+"="+s.String())
			if out, err := cmd.CombinedOutput(); err == nil || len(out) > 0 {
				b.Fatalf("building state: %v\n%s", err, out)
			}
			b.ReportAllocs()
			var opening, cpu time.Duration
			for b.Loop() {
				start, cpuStart := time.Now(), cpuTime(b)
				db, tasks, err := s.open()
				if err != nil {
					b.Fatal(err)
				}
				opening, cpu = opening+time.Since(start), cpu+cpuTime(b)-cpuStart
				b.StopTimer()
				held := int64(0)
				for _, t := range tasks {
					held += t.Ledger(0).Impressions.Pending
				}
				if held < int64(s.pending) {
					b.Fatalf("%d impressions are pending, want %d", held, s.pending)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				b.StartTimer()
			}
			b.ReportMetric(float64(opening.Milliseconds())/float64(b.N), "open-ms")
			b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms")
			b.ReportMetric(float64(opening.Nanoseconds())/float64(b.N)/float64(s.pending), "ns/pending")
		})
	}
}

// cpuTime is what the process has spent: unlike time on the clock, it does not
// count what others did on the machine meanwhile.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
