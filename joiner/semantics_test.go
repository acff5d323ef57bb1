package joiner_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// TestSemantics runs testdata/join, a file per behaviour. A file's commands:
//
//	task delay=60s label=(click,within:60s) …   makes a task; see (*bench).configure
//	run                                         a line per operation:
//	  imp KEY[,KEY…] TIME [accept=MASK]         an impression, its keys per key set
//	  LABEL KEY[,KEY…] TIME [value=N]           a label of that source
//	  watermark TIME                            advance and close all that is due
//	  close LIMIT | finish                      close some; end the input
//	  commit | crash                            make durable; reopen at the last commit
//	  save | rebuild | live                     remember a position; rebuild up to it; go live
//	  ledger | pending                          print the accounts; what state holds
//
// -rewrite renews the expected output.
func TestSemantics(t *testing.T) {
	datadriven.Walk(t, "testdata/join", func(t *testing.T, path string) {
		var b *bench
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "task":
				b = newBench(t, d)
				return ""
			case "run":
				var out []string
				for line := range strings.Lines(d.Input) {
					out = append(out, b.do(t, strings.Fields(line))...)
				}
				b.checkLedgers(t, d)
				return strings.Join(out, "\n")
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

// bench is one task under test with the store that survives its crashes.
type bench struct {
	opts    joiner.Options
	sources []string // names, main first
	disk    *memory.Disk
	store   joiner.Store
	prog    *textProgram
	task    *joiner.Task
	offsets []int64 // next per source
	stamp   []int64 // offsets at the last commit
	saved   *joiner.Snapshot
}

func newBench(t *testing.T, d *datadriven.TestData) *bench {
	b := &bench{prog: &textProgram{policy: "at_close"}, disk: memory.New(), sources: []string{"imp"}}
	b.opts.Sources = []joiner.Source{{KeySets: []int{0}}}
	for _, arg := range d.CmdArgs {
		b.configure(t, d, arg)
	}
	b.prog.experiments = b.opts.Experiments
	b.offsets = make([]int64, len(b.sources))
	b.open(t)
	return b
}

// configure applies one argument of task: delay, dedup, from, to, late, early, sample,
// experiments, bucket, and label=(name,within:…,before:…,set:…,source:…).
func (b *bench) configure(t *testing.T, d *datadriven.TestData, arg datadriven.CmdArg) {
	switch arg.Key {
	case "delay":
		b.opts.DelayMS = duration(t, arg.Vals[0])
	case "bucket":
		b.opts.BucketMS = duration(t, arg.Vals[0])
	case "dedup":
		b.opts.Dedup = true
	case "from":
		b.opts.FromMS = duration(t, arg.Vals[0])
	case "to":
		b.opts.ToMS = duration(t, arg.Vals[0])
	case "late":
		b.opts.Late = map[string]joiner.Late{"emit": joiner.LateEmit, "dead_letter": joiner.LateDeadLetter, "drop": joiner.LateDrop}[arg.Vals[0]]
	case "early":
		b.opts.Early, b.prog.policy = true, arg.Vals[0]
	case "sample":
		b.prog.sample = true
	case "experiments":
		b.opts.Experiments, _ = strconv.Atoi(arg.Vals[0])
	case "label":
		b.addLabel(t, arg.Vals)
	default:
		d.Fatalf(t, "unknown argument %s", arg.Key)
	}
}

func (b *bench) addLabel(t *testing.T, vals []string) {
	name := vals[0]
	w := joiner.Window{}
	src := name
	for _, v := range vals[1:] {
		k, v, _ := strings.Cut(v, ":")
		switch k {
		case "within":
			w.WithinMS = duration(t, v)
		case "before":
			w.BeforeMS = duration(t, v)
		case "set":
			w.KeySet, _ = strconv.Atoi(v)
		case "source":
			src = v
		}
	}
	if w.Source = slices.Index(b.sources, src); w.Source < 0 {
		w.Source = len(b.sources)
		b.sources = append(b.sources, src)
		b.opts.Sources = append(b.opts.Sources, joiner.Source{})
	}
	for _, s := range []int{0, w.Source} {
		if sets := &b.opts.Sources[s].KeySets; !slices.Contains(*sets, w.KeySet) {
			*sets = append(*sets, w.KeySet)
		}
	}
	b.opts.Windows = append(b.opts.Windows, w)
	b.prog.windows = append(b.prog.windows, name)
}

func (b *bench) open(t *testing.T) {
	opts := b.opts
	opts.EnsureDefaults()
	store, err := b.disk.Open(opts.StoreOptions())
	if err != nil {
		t.Fatal(err)
	}
	b.store = store
	if b.task, err = joiner.New(opts, store, b.prog); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) do(t *testing.T, f []string) []string {
	if len(f) == 0 || f[0] == "#" {
		return nil
	}
	var err error
	switch f[0] {
	case "watermark":
		b.task.Advance(duration(t, f[1]))
		err = drain(b.task.Close)
	case "advance":
		b.task.Advance(duration(t, f[1]))
	case "close":
		limit, _ := strconv.Atoi(f[1])
		_, err = b.task.Close(limit)
	case "finish":
		err = drain(b.task.Finish)
	case "commit":
		b.stamp = slices.Clone(b.offsets)
		err = b.task.Commit(b.task.Snapshot(1, b.offsets))
	case "crash":
		b.store.Close()
		b.offsets = append(make([]int64, 0), b.stamp...)
		if b.stamp == nil {
			b.offsets = make([]int64, len(b.sources))
		}
		b.open(t)
	case "save":
		b.saved = b.task.Snapshot(1, b.offsets)
	case "rebuild":
		b.task.BeginRebuild()
	case "live":
		if !slices.Equal(b.offsets, b.saved.Offsets) {
			t.Fatalf("live at offsets %v, saved at %v", b.offsets, b.saved.Offsets)
		}
		err = b.task.FinishRebuild(b.saved, false)
	case "ledger":
		return append(b.prog.take(), b.ledgers()...)
	case "pending":
		return append(b.prog.take(), b.pending(t))
	default:
		err = b.event(t, f)
	}
	if err != nil {
		return append(b.prog.take(), "error: "+err.Error())
	}
	return b.prog.take()
}

func drain(step func(int) (bool, error)) error {
	for {
		if done, err := step(3); done || err != nil {
			return err
		}
	}
}

func (b *bench) event(t *testing.T, f []string) error {
	src := slices.Index(b.sources, f[0])
	if src < 0 {
		t.Fatalf("unknown operation or source %q", f[0])
	}
	ev := joiner.Event{Source: src, TimeMS: duration(t, f[2]), Offset: b.offsets[src], Accept: ^uint32(0), Value: []byte("1")}
	b.offsets[src]++
	for _, k := range strings.Split(f[1], ",") {
		ev.Keys = append(ev.Keys, []byte(k))
	}
	if src == 0 {
		ev.Value = []byte(f[1])
	}
	for _, opt := range f[3:] {
		k, v, _ := strings.Cut(opt, "=")
		switch k {
		case "value":
			ev.Value = []byte(v)
		case "accept":
			mask, _ := strconv.Atoi(v)
			ev.Accept = uint32(mask)
		}
	}
	return b.task.Add(&ev)
}

func (b *bench) ledgers() (out []string) {
	for exp := range max(b.opts.Experiments, 1) {
		l := b.task.Ledger(exp)
		i, g := &l.Impressions, &l.Labels
		drops, _ := i.Dropped.MarshalJSON()
		ldrops, _ := g.Dropped.MarshalJSON()
		out = append(out, fmt.Sprintf("impressions in=%d emitted=%d pending=%d dropped=%s", i.In, i.Emitted, i.Pending, drops),
			fmt.Sprintf("labels in=%d attached=%d unmatched=%d late=%d pending=%d dropped=%s", g.In, g.Attached, g.Unmatched, g.Late, g.Pending, ldrops))
	}
	return out
}

// pending counts what state holds: entries of the logs, packs of the last two.
func (b *bench) pending(t *testing.T) string {
	if err := b.task.Commit(b.task.Snapshot(0, b.offsets)); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for kind, name := range []string{"impressions", "labels", "seen", "index"} {
		parts = append(parts, fmt.Sprintf("%s=%d", name, b.store.Log(joiner.LogKind(kind)).Stats().Entries))
	}
	return strings.Join(parts, " ")
}

func (b *bench) checkLedgers(t *testing.T, d *datadriven.TestData) {
	for exp := range max(b.opts.Experiments, 1) {
		l := b.task.Ledger(exp)
		if err := l.Check(); err != nil {
			t.Errorf("%s: %v", d.Pos, err)
		}
	}
}

func duration(t *testing.T, s string) int64 {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d.Milliseconds()
}
