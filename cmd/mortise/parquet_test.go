package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
)

// archived is once with its rows as Parquet too.
func archived(place, more string) string {
	return strings.Replace(once, "topic: {name: f.instances, format: json}\n", "topic: {name: f.instances, format: json}\n  parquet: {path: \""+place+"\""+more+"}\n", 1)
}

// parquetRows is what a reader who globs *.parquet finds in a dataset.
type parquetRows struct {
	rows     []string // as JSON lines, sorted
	files    int
	complete []string // folders with files and _SUCCESS
	open     []string // folders with files and without
}

// parquetIn reads a dataset as its readers do.
func parquetIn(t *testing.T, place string) (p parquetRows) {
	t.Helper()
	ctx := context.Background()
	b, err := objectstore.Open(ctx, place)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	folders, done := map[string]bool{}, map[string]bool{}
	err = b.List(ctx, "", func(key string, _ int64, _ time.Time) error {
		if strings.HasSuffix(key, "_SUCCESS") {
			done[path.Dir(key)] = true
		}
		return nil
	})
	if err == nil {
		err = dataset.Objects(ctx, b, func(o dataset.Object) error {
			p.files++
			folders[path.Dir(o.Key)] = true
			rows, err := rowsOf(ctx, b, o.Key)
			p.rows = append(p.rows, rows...)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(p.rows)
	for folder := range folders {
		if done[folder] {
			p.complete = append(p.complete, folder)
		} else {
			p.open = append(p.open, folder)
		}
	}
	slices.Sort(p.complete)
	slices.Sort(p.open)
	return p
}

func rowsOf(ctx context.Context, b *objectstore.Bucket, key string) (rows []string, err error) {
	f, err := dataset.OpenFile(ctx, b, key, "")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	encoder := instances.NewJSONEncoder(f.Columns())
	batch := make([]instances.Instance, 512)
	for {
		n, err := f.Read(batch)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		for i := range batch[:n] {
			if hour := time.UnixMilli(batch[i].TimeMS).UTC().Format("dt=2006-01-02/hour=15"); path.Dir(key) != hour {
				return nil, fmt.Errorf("a row of %s lies in %s", hour, key)
			}
			rows = append(rows, string(encoder.Append(nil, &batch[i])))
		}
	}
}

// within checks that rows, sorted, are among all, and that none is there twice.
func within(t *testing.T, what string, rows, all []string) {
	t.Helper()
	for i, row := range rows {
		if i > 0 && rows[i-1] == row {
			t.Fatalf("%s: the dataset has a row twice: %s", what, row)
		}
		if _, ok := slices.BinarySearch(all, row); !ok {
			t.Fatalf("%s: the dataset has a row that is not committed: %s", what, row)
		}
	}
}

// TestParquet runs to the end with a topic and a dataset, which have the same rows,
// and looks at what the verbs say of it.
func TestParquet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, data := filepath.Join(dir, "out"), filepath.Join(dir, "data")
	file := write(t, filepath.Join(dir, "feed.yaml"), archived(out, ""))
	args := append(record(t, dir, 3000), file, "--embedded", data)
	summary := succeed(t, toEnd(args...)...)
	atEnd(t, summary)
	type parquetReport struct {
		Experiments []struct {
			Parquet struct {
				Path                         string
				Rows, Bytes, Parts, Complete int64
			}
		}
	}
	told := decode[parquetReport](t, summary).Experiments[0].Parquet
	want, got := tailed(t, "f.instances", "--embedded", data), parquetIn(t, out)
	same(t, "the dataset", got.rows, want)
	if len(got.open) > 0 || len(got.complete) == 0 || told.Rows != 3000 || told.Path != out || told.Bytes == 0 || told.Parts == 0 || told.Complete != int64(len(got.complete)) {
		t.Errorf("complete %v, open %v, told %+v", got.complete, got.open, told)
	}
	st := decode[struct {
		Pipelines []struct {
			Archives []struct {
				Experiment, Path, Topic, Group string
				Partitions                     []struct {
					Next, End, Lag int64
					MaxMS          int64 `json:"max_ms"`
				}
			}
		}
	}](t, succeed(t, "status", "--json", file, "--embedded", data))
	a := st.Pipelines[0].Archives
	if len(a) != 1 || a[0].Group != "mortise.feed.parquet" || a[0].Topic != "f.instances" || a[0].Path != out || len(a[0].Partitions) != 4 {
		t.Fatalf("status: %+v", st)
	}
	for _, p := range a[0].Partitions {
		if p.Lag != 0 || p.Next == 0 || p.MaxMS < t0 {
			t.Errorf("status: %+v", p)
		}
	}
	text := succeed(t, "status", file, "--embedded", data)
	if !strings.Contains(text, "feed is archived in "+out+": group mortise.feed.parquet") {
		t.Errorf("status:\n%s", text)
	}
	if all := succeed(t, "status", "--embedded", data); strings.Contains(all, "mortise.feed.parquet: group") {
		t.Errorf("status without files shows the archive's group as a pipeline:\n%s", all)
	}
	before := sizeOf(out)
	again := decode[parquetReport](t, succeed(t, toEnd(args...)...)).Experiments[0].Parquet
	if again.Rows != 0 || sizeOf(out) != before {
		t.Errorf("the same run again publishes %+v", again)
	}
}

// TestParquetOfEveryFormat archives topics of every row format, to the same rows.
func TestParquetOfEveryFormat(t *testing.T) {
	t.Parallel()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	dir := t.TempDir()
	inputs := record(t, dir, 400)
	var want []string
	for i, format := range []string{"json", "avro", "avro, schema_id: header", "avro, schema_id: none", "protobuf", "protobuf, schema_id: none", "tfexample"} {
		out := filepath.Join(dir, fmt.Sprint("out", i))
		file := write(t, filepath.Join(dir, fmt.Sprint("feed", i, ".yaml")), strings.Replace(archived(out, ""), "format: json}\n  parquet", "format: "+format+"}\n  parquet", 1))
		runToEnd(t, append(inputs, file, "--embedded", filepath.Join(dir, fmt.Sprint("data", i)), "--registry", registry.URL())...)
		got := parquetIn(t, out)
		if i == 0 {
			want = got.rows
		}
		if same(t, format, got.rows, want); len(want) != 400 {
			t.Errorf("%s: %d rows", format, len(want))
		}
	}
}

// TestParquetAlone has no topic: the rows go through an internal one.
func TestParquetAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inputs := record(t, dir, 700)
	runToEnd(t, append(inputs, write(t, filepath.Join(dir, "topic.yaml"), once), "--embedded", filepath.Join(dir, "topic"))...)
	want := tailed(t, "f.instances", "--embedded", filepath.Join(dir, "topic"))
	alone := func(name string) string {
		text := strings.Replace(archived(filepath.Join(dir, name), ""), "  topic: {name: f.instances, format: json}\n", "", 1)
		return write(t, filepath.Join(dir, name+".yaml"), strings.Replace(text, "experiment: feed", "experiment: "+name, 1))
	}
	data := filepath.Join(dir, "data")
	r := execute(t, append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", alone("one"), "--embedded", data}, inputs...)...)
	if r.code != exitDone || !strings.Contains(r.out, "parquet       700 rows in") || strings.Contains(r.out, "topic  on") || !strings.Contains(r.out, `"instance_id"`) || strings.Contains(r.out, "tail  ") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	same(t, "the dataset", parquetIn(t, filepath.Join(dir, "one")).rows, want)
	same(t, "the internal topic", tailed(t, "mortise.one.rows", "--embedded", data), want)

	// Several that share a pipeline, one of them with a topic, each have their own.
	several := filepath.Join(dir, "several")
	third := write(t, filepath.Join(dir, "three.yaml"), strings.NewReplacer("experiment: feed", "experiment: three", "f.instances", "f.three").Replace(archived(filepath.Join(dir, "out3"), ", partition: [dt]")))
	runToEnd(t, append(inputs, alone("first"), alone("second"), third, "--embedded", several)...)
	same(t, "the first", parquetIn(t, filepath.Join(dir, "first")).rows, want)
	same(t, "the second", tailed(t, "mortise.first..second..three.rows.second", "--embedded", several), want)
	if got := succeed(t, "diff", filepath.Join(dir, "out3"), filepath.Join(dir, "first")); strings.Contains(got, "added 1") {
		t.Errorf("diff: %s", got)
	}
	days, err := filepath.Glob(filepath.Join(dir, "out3", "dt=*", "_SUCCESS"))
	if err != nil || len(days) != 1 {
		t.Errorf("complete days %v, %v", days, err)
	}
}

// TestParquetKilledAnywhere kills the run again and again, loses its local state at
// times, and looks at what readers of the dataset see after every kill.
func TestParquetKilledAnywhere(t *testing.T) {
	t.Parallel()
	rng, mortise := random(t), released(t)
	folder := t.TempDir()
	inputs := record(t, folder, killImpressions)
	want, size := uninterrupted(t, mortise, write(t, filepath.Join(folder, "feed.yaml"), once), inputs)
	for round, roll := range []string{"size: 20KB, every: 10m", "size: 1GB, every: 150ms"} {
		dir := t.TempDir()
		k := parquetKills{t: t, rng: rng, mortise: mortise, out: filepath.Join(dir, "out"), want: want, size: size,
			files: filepath.Join(dir, "data", "log"), state: filepath.Join(dir, "data", "state"), tail: []string{"--embedded", filepath.Join(dir, "data")}}
		file := write(t, filepath.Join(dir, "feed.yaml"), archived(k.out, ", roll: {"+roll+"}"))
		k.args = toEnd(append(inputs, file, "--embedded", filepath.Join(dir, "data"), "--commit-every", "20ms", "--close-rows", "700")...)
		k.run(fmt.Sprintf("round %d", round), 5)
	}
}

// parquetKills is a run that is killed in a loop.
type parquetKills struct {
	t              *testing.T
	rng            *rand.Rand
	mortise        string
	args, tail     []string
	out            string
	files, state   string // of the embedded broker's log, by whose size kills are timed; of the state
	want           []string
	size           int64
	kills, partial int
}

func (k *parquetKills) run(what string, times int) {
	t := k.t
	t.Helper()
	for n := range times {
		due := k.moment()
		p := begin(t, exec.Command(k.mortise, k.args...))
		await(t, "the moment to kill", func() bool { return p.ended() || due() })
		if !p.ended() {
			k.kills++
		}
		_ = p.cmd.Process.Kill() // it may have come to its end
		<-p.done
		seen := parquetIn(t, k.out)
		if len(seen.rows) > 0 {
			if len(seen.rows) < len(k.want) {
				k.partial++
			}
			within(t, fmt.Sprintf("%s, kill %d", what, n), seen.rows, tailed(t, "f.instances", k.tail...))
		}
		if k.rng.IntN(3) == 0 {
			if err := os.RemoveAll(k.state); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := atEnd(t, tool(t, k.mortise, k.args...))
	if r.Instances != killImpressions {
		t.Errorf("%s, after %d kills: %+v", what, k.kills, *r)
	}
	got := parquetIn(t, k.out)
	same(t, fmt.Sprintf("%s, after %d kills, %d of them with a part of the rows published", what, k.kills, k.partial), got.rows, k.want)
	if len(got.open) > 0 {
		t.Errorf("%s: at the end %v have no _SUCCESS", what, got.open)
	}
	if k.kills == 0 {
		t.Errorf("%s: every run came to its end before it was to be killed", what)
	}
	t.Logf("%s: %d kills, after %d of them a part of the rows was published, in %d files at the end", what, k.kills, k.partial, got.files)
}

// moment draws when to kill: by how much the log has grown, or by how many objects
// the dataset has more than now, files or what tells of them. The first run is not to
// come to its end before, and writes half of the log at least behind its moment.
func (k *parquetKills) moment() func() bool {
	if k.kills == 0 {
		at := k.rng.Int64N(k.size / 2)
		return func() bool { return sizeOf(k.files) >= at }
	}
	if k.rng.IntN(3) == 0 {
		at := k.rng.Int64N(k.size * 5 / 4)
		return func() bool { return sizeOf(k.files) >= at }
	}
	at := objectsIn(k.t, k.out) + k.rng.IntN(12)
	return func() bool { return objectsIn(k.t, k.out) >= at }
}

func objectsIn(t *testing.T, place string) (n int) {
	b, err := objectstore.Open(context.Background(), place)
	if err == nil {
		err = errors.Join(b.List(context.Background(), "", func(string, int64, time.Time) error {
			n++
			return nil
		}), b.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestParquetToObjectStore does the same to an S3 server.
func TestParquetToObjectStore(t *testing.T) {
	server := s3test.Start(t) // which sets the environment
	rng, mortise := random(t), released(t)
	dir := t.TempDir()
	inputs := record(t, dir, killImpressions)
	want, size := uninterrupted(t, mortise, write(t, filepath.Join(dir, "plain.yaml"), once), inputs)
	k := parquetKills{t: t, rng: rng, mortise: mortise, out: server.Bucket(t), want: want, size: size,
		files: filepath.Join(dir, "data", "log"), state: filepath.Join(dir, "data", "state"), tail: []string{"--embedded", filepath.Join(dir, "data")}}
	file := write(t, filepath.Join(dir, "feed.yaml"), archived(k.out, ", roll: {size: 30KB, every: 200ms}"))
	k.args = toEnd(append(inputs, file, "--embedded", filepath.Join(dir, "data"), "--commit-every", "20ms", "--close-rows", "700")...)
	k.run("on S3", 4)
}

// TestParquetOnKafka has two workers share the work on Apache Kafka; either is
// killed at random moments, and started again.
func TestParquetOnKafka(t *testing.T) {
	t.Parallel()
	rng, mortise, server := random(t), released(t), kafkatest.Start(t)
	dir := t.TempDir()
	const n = 8000
	inputs := record(t, dir, n)
	plain := write(t, filepath.Join(dir, "plain.yaml"), once)
	right := filepath.Join(dir, "right")
	runToEnd(t, append(inputs, plain, "--embedded", right)...)
	want := tailed(t, "f.instances", "--embedded", right)

	out := filepath.Join(dir, "out")
	text := strings.NewReplacer("experiment: feed", "experiment: shared", "topic: f.", "topic: shared.", "name: f.instances", "name: shared.instances").
		Replace(archived(out, ", roll: {size: 8KB, every: 500ms}"))
	file := write(t, filepath.Join(dir, "feed.yaml"), text)
	brokers := []string{"--brokers", server.Plain}
	succeed(t, append([]string{"replay", file, "--partitions", "4"}, append(inputs, brokers...)...)...)
	args := func(worker int, more ...string) []string {
		all := append([]string{"run", file, "--commit-every", "30ms", "--close-rows", "300", "--state", filepath.Join(dir, fmt.Sprint("state", worker))}, brokers...)
		return append(all, more...)
	}
	start := func(i int) *process { return begin(t, exec.Command(mortise, args(i, "-v")...)) }
	workers := [2]*process{start(0), start(1)}
	kills := 0
	for range 3 {
		<-time.After(time.Duration(500+rng.IntN(1500)) * time.Millisecond)
		i := rng.IntN(2)
		if workers[i].ended() {
			t.Fatalf("worker %d has ended\n%s", i, workers[i].errOut.String())
		}
		workers[i].signal(os.Kill)
		<-workers[i].done
		kills++
		within(t, fmt.Sprintf("kill %d", kills), parquetIn(t, out).rows, tailed(t, "shared.instances", brokers...))
		workers[i] = start(i)
	}
	for _, w := range workers {
		await(t, "the worker to be at work", func() bool { return strings.Contains(w.errOut.String(), "task is at work") }, w)
		w.signal(syscall.SIGTERM)
		if code := w.wait(); code != exitDone {
			t.Fatalf("SIGTERM: exit code %d\n%s", code, w.errOut.String())
		}
	}
	within(t, "after SIGTERM", parquetIn(t, out).rows, tailed(t, "shared.instances", brokers...))
	// Both to the end: whoever is the last completes the dataset.
	for i := range workers {
		workers[i] = begin(t, exec.Command(mortise, args(i, "--until-end", "--json")...))
	}
	for _, w := range workers {
		if code := w.wait(); code != exitDone {
			t.Fatalf("to the end: exit code %d\n%s", code, w.errOut.String())
		}
	}
	got := parquetIn(t, out)
	same(t, fmt.Sprintf("after %d kills", kills), got.rows, want)
	same(t, "the topic", tailed(t, "shared.instances", brokers...), want)
	if len(got.open) > 0 {
		t.Errorf("at the end %v have no _SUCCESS", got.open)
	}
}

// TestParquetTerminated: what a run has committed when it is asked to end is in
// the dataset when it has ended, though no part was due.
func TestParquetTerminated(t *testing.T) {
	t.Parallel()
	mortise, dir := released(t), t.TempDir()
	out, data := filepath.Join(dir, "out"), filepath.Join(dir, "data")
	file := write(t, filepath.Join(dir, "feed.yaml"), archived(out, ""))
	args := append([]string{"run", "--json", "--listen", "127.0.0.1:0", file, "--embedded", data}, record(t, dir, 2000)...)
	p := begin(t, exec.Command(mortise, args...))
	await(t, "rows", func() bool {
		_, running := broker.Attach(data)
		return running && len(lines(execute(t, "tail", "f.instances", "--until-end", "--embedded", data).out)) >= 1500
	}, p)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.errOut.String())
	}
	got, all := parquetIn(t, out), tailed(t, "f.instances", "--embedded", data)
	within(t, "after SIGTERM", got.rows, all)
	if len(got.rows) < 1000 {
		t.Errorf("after SIGTERM the dataset has %d of %d rows", len(got.rows), len(all))
	}
	if len(got.complete) > 0 {
		t.Errorf("after SIGTERM, in the middle of an hour, %v are complete", got.complete)
	}
	r := runToEnd(t, args[4:]...)
	same(t, "at the end", parquetIn(t, out).rows, tailed(t, "f.instances", "--embedded", data))
	if r.Instances != 2000 {
		t.Errorf("%+v", *r)
	}
}

// TestParquetRefuses meets what cannot work, before anything is done.
func TestParquetRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inputs := record(t, dir, 20)
	run := func(name, place string, more ...string) []string {
		return append(append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", write(t, filepath.Join(dir, name+".yaml"), archived(place, ""))}, inputs...), more...)
	}
	data := filepath.Join(dir, "data")
	fails(t, exitFailed, []string{"output.parquet", "a folder of its own"}, run("state", filepath.Join(data, "state", "out"), "--embedded", data)...)
	fails(t, exitFailed, []string{"output.parquet", "a folder of its own"}, run("above", data, "--embedded", data)...)
	fails(t, exitFailed, []string{"output.parquet", "it is a file"}, run("file", write(t, filepath.Join(dir, "taken"), "x"), "--embedded", data)...)
	const secret = "hunter2-and-more"
	r := execute(t, run("secret", "s3://bucket/out?endpoint=http://127.0.0.1:1&token="+secret, "--embedded", data)...)
	if r.code != exitFailed || !strings.Contains(r.errOut, "output.parquet") || strings.Contains(r.errOut, secret) {
		t.Errorf("an object store that is away: exit code %d\n%s", r.code, r.errOut)
	}
	if r := execute(t, "explain", filepath.Join(dir, "secret.yaml")); !strings.Contains(r.out, "(json), Parquet in s3://bucket/out?") || strings.Contains(r.out, secret) {
		t.Errorf("explain: %s", r.out)
	}
	// Two experiments in one folder, and one in a folder of another.
	out := filepath.Join(dir, "out")
	one := write(t, filepath.Join(dir, "one.yaml"), archived(out, ""))
	two := write(t, filepath.Join(dir, "two.yaml"), strings.Replace(archived(filepath.Join(out, "..", "out", "two"), ""), "experiment: feed", "experiment: two", 1))
	if r := execute(t, "lint", one, two); r.code != exitLint || !strings.Contains(r.out, "two.yaml:1:1: error[conflicting-settings]: output.parquet.path") {
		t.Errorf("one folder for two: %+v", r)
	}
	runToEnd(t, append(inputs, one, "--embedded", data)...)
	other := write(t, filepath.Join(dir, "other.yaml"), strings.NewReplacer("experiment: feed", "experiment: other", "f.instances", "f.other").Replace(archived(out, "")))
	// The same folder again, with another broker: its offsets begin anew.
	fails(t, exitFailed, []string{out, "topic f.instances (id ", "name another folder"}, append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", one, "--embedded", filepath.Join(dir, "data3")}, inputs...)...)
	fails(t, exitFailed, []string{out, "feed"}, append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", other, "--embedded", filepath.Join(dir, "data2")}, inputs...)...)
}

// TestParquetGap takes rows away before they were archived: the run names them,
// and goes on only when told to.
func TestParquetGap(t *testing.T) {
	t.Parallel()
	dir, brokers := t.TempDir(), served(t)
	out := filepath.Join(dir, "out")
	plain, both := write(t, filepath.Join(dir, "plain.yaml"), once), write(t, filepath.Join(dir, "feed.yaml"), archived(out, ""))
	at := []string{"--brokers", brokers, "--state", filepath.Join(dir, "state")}
	succeed(t, append([]string{"replay", plain, "--brokers", brokers, "--partitions", "1"}, record(t, dir, 500)...)...)
	runToEnd(t, append(at, both)...)
	if got := parquetIn(t, out); len(got.rows) != 500 {
		t.Fatalf("%d rows", len(got.rows))
	}
	// 500 rows more, which the file without Parquet leaves in the topic, and of which 10 stay.
	var more strings.Builder
	for i := range 500 {
		fmt.Fprintf(&more, `{"id":"m%d","ts":%d,"pos":1}`+"\n", i, t0+3_600_000+10*i)
	}
	later := write(t, filepath.Join(dir, "more.jsonl"), more.String())
	succeed(t, "replay", plain, "--brokers", brokers, "--input", "impressions="+later)
	runToEnd(t, append(at, plain)...)
	cutOff(t, brokers, "f.instances", 10)
	fails(t, exitFailed, []string{"experiment feed", "f.instances[0] from offset", "--accept-gap"}, append([]string{"run", "--until-end", both}, at...)...)
	r := succeed(t, toEnd(append(at, both, "--accept-gap")...)...)
	atEnd(t, r)
	var told struct {
		Experiments []struct{ Parquet struct{ Rows, Missing int64 } }
	}
	if err := json.Unmarshal([]byte(r), &told); err != nil {
		t.Fatal(err)
	}
	got := parquetIn(t, out)
	if p := told.Experiments[0].Parquet; p.Missing < 480 || p.Rows < 5 || p.Rows > 10 || int64(len(got.rows)) != 500+p.Rows || len(got.open) > 0 {
		t.Errorf("%+v, %d rows, without _SUCCESS %v", p, len(got.rows), got.open)
	}
}
