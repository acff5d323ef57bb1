package archive_test

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/parquet"
	"github.com/mortise-dev/mortise/joiner"
)

const (
	rowsTopic = "rows"
	startMS   = int64(1_700_000_000_000)
	hourMS    = int64(3_600_000)
)

// world is the join of a simulation, which writes rows in transactions and commits
// how far it has come, and what is seen of the dataset.
type world struct {
	run     *run
	archive *experiments.Archive
	encoder *instances.JSONEncoder
	first   *instances.JSONEncoder // of version 1, which had fewer columns
	tasks   []task
	over    bool // all rows are written
	nowMS   int64
	version int // of the experiment, which changes on the way

	rows   map[string]*row // by id
	seen   map[string]bool // objects that have been looked at
	done   map[string]bool // folders that have _SUCCESS
	parts  map[string]bool
	faults []string
}

// row is one that was written.
type row struct {
	text   string
	folder string
	late   bool
	config string // of the file that made it
	tp     experiments.TopicPartition
	offset int64
	file   string // of the dataset
}

// task is one of the join's: which impressions are closed, and what it has committed.
type task struct {
	closedMS  int64
	pending   int64
	committed *joiner.Snapshot
}

func newWorld(r *run) *world {
	selected := mortise.Schema{{Name: "score", Type: mortise.Type{Kind: mortise.Float}}, {Name: "tag", Type: mortise.Type{Kind: mortise.String}}}
	columns, err := instances.NewColumns([]string{"click"}, selected)
	if err != nil {
		r.t.Fatal(err)
	}
	fewer, err := instances.NewColumns([]string{"click"}, selected[:1])
	if err != nil {
		r.t.Fatal(err)
	}
	e := &spec.Experiment{Name: "sim", Version: 1, Sources: []spec.Source{{Name: "imps", IdleAfter: 5 * time.Second}}, Join: spec.Join{Main: "imps"},
		Output: spec.Output{Parquet: true, ParquetOut: spec.ParquetOut{RollSizeBytes: r.plan.rollBytes, RollEvery: r.plan.rollEvery, Partition: r.plan.partition}}}
	w := &world{run: r, archive: &experiments.Archive{Experiment: e, Columns: columns, Topic: rowsTopic, Group: "g.parquet"}, encoder: instances.NewJSONEncoder(columns), first: instances.NewJSONEncoder(fewer),
		nowMS: startMS, version: 1, rows: map[string]*row{}, seen: map[string]bool{}, done: map[string]bool{}, parts: map[string]bool{}}
	for range r.plan.tasks {
		w.tasks = append(w.tasks, task{closedMS: startMS})
	}
	return w
}

func (w *world) fault(format string, args ...any) {
	if len(w.faults) < 8 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// begin has the join write for a while.
func (w *world) begin() {
	s := w.run.schedule
	var turn func()
	rounds := 20 + s.Rand.IntN(40)
	left := rounds
	turn = func() {
		w.nowMS += s.Rand.Int64N(2*w.run.plan.span.Milliseconds()/int64(rounds) + 1)
		for i := range w.tasks {
			if s.Chance(3) || left == 1 {
				w.commit(i, w.run.plan.rows/rounds+1, left == 1)
			}
		}
		if s.Chance(25) {
			w.version++
		}
		if left--; left > 0 {
			s.Plan(s.Between(0, 2*w.run.plan.over/time.Duration(rounds)), "", turn)
			return
		}
		w.end()
	}
	if w.run.plan.leave && w.run.plan.workers > 1 { // of one worker all tasks are done before
		s.Plan(s.Between(0, w.run.plan.over), "", func() { w.run.endJoin(w.run.slots[0]) })
	}
	s.Plan(0, "the join begins", turn)
}

// commit is one transaction of a task: rows of the impressions between what was
// closed and now, late ones, and markers; or it is aborted.
func (w *world) commit(i, about int, last bool) {
	s, t := w.run.schedule, &w.tasks[i]
	if !last && s.Chance(5) { // aborted: offsets that hold nothing
		p := s.Rand.Int32N(w.run.plan.broker.Partitions)
		w.run.broker.Skip(rowsTopic, p, 1+s.Rand.Int64N(4))
		w.show(p)
		return
	}
	touched := map[int32]bool{}
	for range s.Rand.IntN(2*about + 1) {
		timeMS, late := t.closedMS+s.Rand.Int64N(max(w.nowMS-t.closedMS, 1)), false
		if s.Chance(12) && t.closedMS > startMS {
			timeMS, late = startMS+s.Rand.Int64N(t.closedMS-startMS), true
			w.run.counts.late++
		}
		touched[w.write(i, timeMS, late)] = true
	}
	if w.run.plan.shared && s.Chance(2) {
		p := s.Rand.Int32N(w.run.plan.broker.Partitions)
		w.run.broker.Publish(rowsTopic, p, []byte("what is it"), header(experiments.ExperimentHeader, "another"))
		touched[p] = true
		w.run.counts.foreign++
	}
	for p := range w.run.plan.broker.Partitions {
		if touched[p] {
			w.run.broker.Skip(rowsTopic, p, 1) // the marker
			w.show(p)
		}
	}
	t.closedMS = max(t.closedMS, w.nowMS)
	t.pending = s.Rand.Int64N(5)
	if last {
		t.pending = 0
	}
	l := mortise.Ledger{}
	l.Impressions.In, l.Impressions.Pending = t.pending, t.pending
	t.committed = &joiner.Snapshot{Offsets: []int64{t.closedMS}, Cursor: joiner.Cursor{TimeMS: t.closedMS}, Ledgers: []mortise.Ledger{l}}
}

// write writes one row.
func (w *world) write(i int, timeMS int64, late bool) int32 {
	s := w.run.schedule
	tp := experiments.TopicPartition{Topic: rowsTopic, Partition: s.Rand.Int32N(w.run.plan.broker.Partitions)}
	id := fmt.Sprintf("%d-%d", i, len(w.rows))
	in := instances.Instance{ID: []byte(id), TimeMS: timeMS, Labels: []instances.LabelValue{{}}, Late: late, Final: true, Weight: 1,
		Selected: mortise.Row{mortise.FloatValue(float64(s.Rand.IntN(1000)) / 8), mortise.StringValue(strings.Repeat("x", s.Rand.IntN(40)))}}
	if s.Chance(3) {
		in.Labels[0] = instances.LabelValue{Value: 1, FirstMS: timeMS + 5, Count: 1}
	}
	value := w.encoder.Append(nil, &in)
	text := string(value)
	if w.version == 1 {
		value = w.first.Append(nil, &in)
		in.Selected[1] = mortise.NullValue()
		text = string(w.encoder.Append(nil, &in))
	}
	offset := w.run.broker.Publish(rowsTopic, tp.Partition, value, header(experiments.ExperimentHeader, "sim"), header(experiments.VersionHeader, fmt.Sprint(w.version)), header(experiments.ConfigHeader, w.config()))
	at := &row{config: w.config(), text: text, folder: w.folder(timeMS), late: late, tp: tp, offset: offset}
	w.rows[id] = at
	w.run.counts.rows++
	if w.done[at.folder] && !late && len(w.run.plan.partition) > 0 {
		w.fault("row %s of %s comes in time, and the folder has _SUCCESS", id, at.folder)
	}
	return tp.Partition
}

func (w *world) config() string { return fmt.Sprint("hash of ", w.version) }

func header(key, value string) mortise.Header { return mortise.Header{Key: key, Value: []byte(value)} }

// folder is where rows of an event time belong.
func (w *world) folder(timeMS int64) string {
	at := time.UnixMilli(timeMS).UTC()
	return [...]string{"", at.Format("dt=2006-01-02/"), at.Format("dt=2006-01-02/hour=15/")}[len(w.run.plan.partition)]
}

// show lets readers see what was written to a partition, at once or later.
func (w *world) show(p int32) {
	s := w.run.schedule
	if s.Chance(2) {
		w.run.broker.Show(rowsTopic, p)
		return
	}
	s.Plan(s.Between(0, 3*time.Second), "", func() { w.run.broker.Show(rowsTopic, p) })
}

// end says that all rows are written.
func (w *world) end() {
	w.run.schedule.Tracef("the join ends")
	w.over = true
	for _, sl := range w.run.slots {
		w.run.endJoin(sl)
	}
}

// snapshots are what the join has committed.
func (w *world) snapshots() []archive.Task {
	var all []archive.Task
	for i := range w.tasks {
		all = append(all, archive.Task{Partition: int32(i), Committed: w.tasks[i].committed, Behind: !w.over})
	}
	return all
}

// look looks at what is new in the dataset.
func (w *world) look() {
	if w.run.bucket.Objects() == len(w.seen) {
		return
	}
	w.run.bucket.Each(func(key string, data []byte) {
		if w.seen[key] {
			return
		}
		w.seen[key] = true
		folder, name := path.Split(key)
		switch {
		case strings.HasSuffix(key, ".parquet") && !strings.HasPrefix(key, "_"):
			w.file(key, folder, data)
		case name == "_SUCCESS":
			w.success(folder)
		}
	})
}

// file checks a file of the dataset: its rows are committed, whole, in their
// folder, and in no other file.
func (w *world) file(key, folder string, data []byte) {
	w.run.counts.files++
	r, err := parquet.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		w.fault("%s: %v", key, err)
		return
	}
	defer r.Close()
	meta := r.Metadata()
	got := make([]instances.Instance, r.Rows())
	if n, err := r.Read(got); err != nil || n != len(got) {
		w.fault("%s: %d of %d rows, %v", key, n, len(got), err)
		return
	}
	for i := range got {
		at := w.rows[string(got[i].ID)]
		text := string(w.encoder.Append(nil, &got[i]))
		switch {
		case at == nil || at.text != text:
			w.fault("%s holds a row that was not written: %s", key, text)
		case at.file != "":
			w.fault("row %s lies in %s and in %s", got[i].ID, at.file, key)
		case w.run.broker.EndOf(at.tp) <= at.offset:
			w.fault("%s holds row %s, which is not committed", key, got[i].ID)
		case at.folder != folder:
			w.fault("row %s, of %s, lies in %s", got[i].ID, at.folder, key)
		case meta.Config != at.config || fmt.Sprint("hash of ", meta.Version) != at.config:
			w.fault("%s says that version %d, %s made it, and row %s is of %s", key, meta.Version, meta.Config, got[i].ID, at.config)
		case meta.Origin != fmt.Sprintf("p%05d", at.tp.Partition) || at.offset < meta.From || at.offset >= meta.To:
			w.fault("%s says that it holds %s from %d to %d, and holds row %s of %v@%d", key, meta.Origin, meta.From, meta.To, got[i].ID, at.tp, at.offset)
		default:
			at.file = key
		}
	}
}

// success checks that a folder which has _SUCCESS has all rows that are in time.
func (w *world) success(folder string) {
	w.run.counts.success++
	if !w.over {
		w.run.counts.early++
	}
	w.done[folder] = true
	for id, at := range w.rows {
		if at.folder == folder && at.file == "" && !at.late {
			w.fault("%s has _SUCCESS without row %s", folder, id)
		}
	}
}

// whole checks that the dataset has all rows, and _SUCCESS everywhere.
func (w *world) whole() {
	for id, at := range w.rows {
		if at.file == "" {
			w.fault("at the end row %s of %v@%d is not in the dataset", id, at.tp, at.offset)
		}
		if !w.done[at.folder] {
			w.fault("at the end %s has no _SUCCESS", at.folder)
		}
	}
}
