package dataset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
)

func TestPublish(t *testing.T) {
	for _, c := range []struct {
		partition []string
		spanMS    int64
		memory    int64
	}{
		{[]string{"dt", "hour"}, hourMS, 0},
		{[]string{"dt", "hour"}, hourMS, 1},
		{[]string{"dt"}, 24 * hourMS, 200 << 10},
		{[]string{}, 0, 0},
	} {
		t.Run(fmt.Sprint(c.partition, c.memory), func(t *testing.T) {
			place := openDir(t, t.TempDir())
			o := options(t)
			o.Partition, o.MemoryBytes, o.RowGroupBytes = c.partition, c.memory, 64<<10
			d := open(t, place, o)
			if pos := next(t, d, "p00000"); pos != (dataset.Position{}) {
				t.Errorf("of an empty dataset: %+v", pos)
			}
			next(t, d, "p00001")
			info := publish(t, d, "p00000", 0, 700)
			publish(t, d, "p00000", 700, 701)
			publish(t, d, "p00000", 701, 701)
			if _, err := d.NewPart("p00000", 701).Publish(ctx, 710); err != nil { // without rows
				t.Fatal(err)
			}
			publish(t, d, "p00000", 710, 1000)
			publish(t, d, "p00001", 0, 2000)
			checkRows(t, place, c.spanMS, map[string]int64{"p00000": 1000, "p00001": 2000}, "p00000@701", "p00000@709")
			again := open(t, place, o)
			if pos := next(t, again, "p00000"); pos != (dataset.Position{Next: 1000, Begun: true}) {
				t.Errorf("%+v", pos)
			}
			var parts []string
			err := again.Parts(ctx, func(p dataset.PartInfo, done bool) error {
				if p.Origin == "p00000" && p.From == 0 && fmt.Sprint(p) != fmt.Sprint(info) {
					t.Errorf("%+v, want %+v", p, info)
				}
				parts = append(parts, fmt.Sprint(p.Origin, p.Range, p.Rows, done))
				return nil
			})
			if want := []string{"p00000{0 700} 700 true", "p00000{700 701} 1 true", "p00000{701 710} 0 true", "p00000{710 1000} 290 true", "p00001{0 2000} 2000 true"}; err != nil || !slices.Equal(parts, want) {
				t.Errorf("%q, %v", parts, err)
			}
			rows := int64(0)
			for _, f := range info.Files {
				rows += f.Rows
				if folder := folderOf(f.MinMS, c.spanMS); f.Key != folder+"part-p00000-0-700.parquet" || folder != folderOf(f.MaxMS, c.spanMS) {
					t.Errorf("%+v", f)
				}
			}
			if info.Rows != 700 || rows != 700 {
				t.Errorf("%+v", info)
			}
		})
	}
}

// TestRefuses checks what may not be in one folder.
func TestRefuses(t *testing.T) {
	stream := options(t)
	batch := options(t)
	batch.Kind, batch.Plan, batch.Splits = dataset.Batch, "a1", 4
	for _, c := range []struct {
		name   string
		first  dataset.Options
		change func(o *dataset.Options)
		want   string
	}{
		{"experiment", stream, func(o *dataset.Options) { o.Experiment = "other" }, "the dataset there is of experiment feed-ctr, not other"},
		{"batch into stream", stream, func(o *dataset.Options) { o.Kind, o.Plan, o.Splits = dataset.Batch, "a1", 4 }, "the dataset there is a stream, and a backfill would add the same rows again"},
		{"stream into batch", batch, func(o *dataset.Options) { o.Kind, o.Plan, o.Splits = dataset.Stream, "", 0 }, "the dataset there is a backfill, and a stream would"},
		{"plan", batch, func(o *dataset.Options) { o.Plan = "b2" }, "of another backfill (plan a1, 4 splits; this is plan b2, 4 splits)"},
		{"splits", batch, func(o *dataset.Options) { o.Splits = 5 }, "of another backfill"},
		{"partition", stream, func(o *dataset.Options) { o.Partition = []string{"dt"} }, "in folders by [dt, hour], not [dt]"},
		{"type", stream, func(o *dataset.Options) {
			o.Columns = instancetest.MustColumns([]string{"click"}, "item", "string", "position", "float")
		}, "column position is int? in the dataset there, and float now"},
		{"element", stream, func(o *dataset.Options) {
			o.Columns = instancetest.MustColumns([]string{"click"}, "last", "[int]")
		}, "column last is [string] in the dataset there, and [int] now"},
		{"version", stream, func(o *dataset.Options) { o.Version, o.Config = 4, "cd34" }, ""},
		{"more columns", stream, func(o *dataset.Options) {
			o.Columns = instancetest.MustColumns([]string{"click", "order"}, "item", "string", "position", "int?", "new", "[float]")
		}, ""},
		{"fewer columns", stream, func(o *dataset.Options) { o.Columns = instancetest.MustColumns(nil, "item", "string") }, ""},
		{"nullable", stream, func(o *dataset.Options) {
			o.Columns = instancetest.MustColumns([]string{"click"}, "position", "int", "item", "string?")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			place := openDir(t, t.TempDir())
			open(t, place, c.first)
			o := c.first
			c.change(&o)
			d, err := dataset.Open(ctx, place, o)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				open(t, place, c.first) // and back
				return
			}
			var mismatch *dataset.MismatchError
			if d != nil || !errors.As(err, &mismatch) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), place.String()) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestColumnsAreRemembered checks that a type that a column once had is held to
// after it was left out, and whatever order versions take turns in.
func TestColumnsAreRemembered(t *testing.T) {
	place := openDir(t, t.TempDir())
	with := func(selected ...string) dataset.Options {
		o := options(t)
		o.Columns = instancetest.MustColumns(nil, selected...)
		return o
	}
	open(t, place, with("a", "int"))
	open(t, place, with("b", "string"))
	open(t, place, with("a", "int?", "c", "bool"))
	open(t, place, with("a", "int"))
	if got := keys(t, place, "_mortise/columns/"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if _, err := dataset.Open(ctx, place, with("a", "string")); err == nil || !strings.Contains(err.Error(), "column a is int? in the dataset there, and string now") {
		t.Errorf("%v", err)
	}
}

func TestForeignFolder(t *testing.T) {
	place := openDir(t, t.TempDir())
	if err := place.Put(ctx, "notes/readme.txt", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	open(t, place, options(t))
	other := openDir(t, t.TempDir())
	if err := other.Put(ctx, "dt=2026-01-31/a.parquet", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.Open(ctx, other, options(t)); err == nil || !strings.Contains(err.Error(), "dt=2026-01-31/a.parquet") || !strings.Contains(err.Error(), "name an empty folder") {
		t.Errorf("%v", err)
	}
	if got := keys(t, other, ""); len(got) != 1 {
		t.Errorf("it was written to: %q", got)
	}
	for _, c := range []struct{ key, data, want string }{
		{"_mortise/dataset.json", "{", "_mortise/dataset.json in "},
		{"_mortise/dataset.json", `{"format":2,"new":1}`, "format 2, which this version does not know"},
		{"_mortise/dataset.json", `{}`, "it says no format"},
	} {
		place := openDir(t, t.TempDir())
		if err := place.Put(ctx, c.key, strings.NewReader(c.data)); err != nil {
			t.Fatal(err)
		}
		if _, err := dataset.Open(ctx, place, options(t)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.data, err, c.want)
		}
	}
}

// TestOrder checks that parts follow one another without gap or overlap.
func TestOrder(t *testing.T) {
	d := open(t, openDir(t, t.TempDir()), options(t))
	refused := func(want string, w *dataset.PartWriter, to int64) {
		t.Helper()
		if _, err := w.Publish(ctx, to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	refused("Next has not said where one begins", fill(t, d, "p0", 0, 10), 10)
	next(t, d, "p0")
	refused("the next one begins at 0", fill(t, d, "p0", 5, 10), 10)
	refused("cannot end at -1", d.NewPart("p0", 0), -1)
	w := fill(t, d, "p0", 0, 10)
	if _, err := w.Publish(ctx, 10); err != nil {
		t.Fatal(err)
	}
	refused("published or aborted", w, 10)
	if err := w.Append(rowAt("p0", 10)); err == nil {
		t.Error("a published part takes a row")
	}
	refused("the next one begins at 10", fill(t, d, "p0", 0, 10), 10)
	for _, origin := range []string{"", "P0", "a/b", "../x", strings.Repeat("a", 65)} {
		if _, err := d.Next(ctx, origin); err == nil || !strings.Contains(err.Error(), "is no origin") {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

func TestComplete(t *testing.T) {
	place := openDir(t, t.TempDir())
	d := open(t, place, options(t))
	next(t, d, "p0")
	publish(t, d, "p0", 0, 100)
	folders := func() []string {
		var all []string
		for _, key := range keys(t, place, "dt=") {
			if folder, ok := strings.CutSuffix(key, "_SUCCESS"); ok {
				all = append(all, folder)
			}
		}
		return all
	}
	open, err := d.Incomplete(ctx, startMS+2*hourMS)
	if err != nil || !slices.Equal(open, []int64{startMS, startMS + hourMS}) {
		t.Errorf("%d, %v", open, err)
	}
	for range 2 {
		if err := d.Complete(ctx, startMS+7, startMS+hourMS-1, startMS+5*hourMS); err != nil {
			t.Fatal(err)
		}
	}
	if got := folders(); !slices.Equal(got, []string{"dt=2026-01-31/hour=22/", "dt=2026-02-01/hour=03/"}) {
		t.Errorf("%q", got)
	}
	if open, err = d.Incomplete(ctx, startMS+3*hourMS-1); err != nil || !slices.Equal(open, []int64{startMS + hourMS}) {
		t.Errorf("%d, %v", open, err)
	}
	publish(t, d, "p0", 100, 101) // late
	checkRows(t, place, hourMS, map[string]int64{"p0": 101})
}

func TestBatch(t *testing.T) {
	place := openDir(t, t.TempDir())
	o := options(t)
	o.Kind, o.Plan, o.Splits = dataset.Batch, "a1", 2
	d := open(t, place, o)
	a, b := dataset.Split(0, 2), dataset.Split(1, 2)
	next(t, d, a)
	next(t, d, b)
	publish(t, d, a, 0, 50)
	publish(t, d, a, 50, 80)
	if err := d.Finish(ctx, a, 79); err == nil {
		t.Error("a split is finished before its end")
	}
	for range 2 {
		if err := d.Finish(ctx, a, 80); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Complete(ctx, startMS); err == nil || !strings.Contains(err.Error(), "1 of 2 splits are finished") {
		t.Errorf("%v", err)
	}
	again := open(t, place, o)
	if pos := next(t, again, a); pos != (dataset.Position{Next: 80, Begun: true, Finished: true}) {
		t.Errorf("%+v", pos)
	}
	publish(t, again, a, 80, 81)
	if err := again.Finish(ctx, a, 81); err == nil || !strings.Contains(err.Error(), "has 81 rows now and had 80") {
		t.Errorf("%v", err)
	}
	if err := d.Finish(ctx, b, 0); err != nil { // no rows at all
		t.Fatal(err)
	}
	if n, err := d.Finished(ctx); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := d.Complete(ctx, startMS); err != nil {
		t.Error(err)
	}
	stream := open(t, openDir(t, t.TempDir()), options(t))
	if err := stream.Finish(ctx, "p0", 0); err == nil {
		t.Error("a stream is finished")
	}
}

// TestSameFiles checks that a part's files depend on its rows alone, not on memory.
func TestSameFiles(t *testing.T) {
	var want map[string][]byte
	for _, memory := range []int64{0, 1, 300 << 10} {
		place := openDir(t, t.TempDir())
		o := options(t)
		o.MemoryBytes, o.RowGroupBytes = memory, 100<<10
		d := open(t, place, o)
		next(t, d, "p0")
		next(t, d, "p1")
		other := fill(t, d, "p1", 0, 1000) // takes memory meanwhile
		publish(t, d, "p0", 0, 3000)
		if err := other.Abort(); err != nil {
			t.Error(err)
		}
		got := map[string][]byte{}
		for _, key := range keys(t, place, "dt=") {
			got[key] = readObject(t, place, key)
		}
		if want == nil {
			want = got
		}
		for key := range want {
			if !bytes.Equal(got[key], want[key]) {
				t.Errorf("with %d bytes of memory %s has %d bytes, and others than %d", memory, key, len(got[key]), len(want[key]))
			}
		}
	}
}

// counting counts what is asked of a bucket.
type counting struct {
	*buckettest.Memory
	gets, listed int
}

func (c *counting) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	c.gets++
	return c.Memory.Get(ctx, key, off, lengthBytes)
}

func (c *counting) List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	return c.Memory.List(ctx, prefix, func(key string, sizeBytes int64, modified time.Time) error {
		c.listed++
		return each(key, sizeBytes, modified)
	})
}

// TestManyParts checks that the cost of going on does not grow with what is there.
func TestManyParts(t *testing.T) {
	bucket := &counting{Memory: buckettest.NewMemory()}
	d := open(t, bucket, options(t))
	next(t, d, "p0")
	for at := range int64(200) {
		if _, err := fill(t, d, "p0", at, at+at%2).Publish(ctx, at+at%2); err != nil {
			t.Fatal(err)
		}
		if at%2 == 0 {
			if _, err := d.NewPart("p0", at).Publish(ctx, at+1); err != nil { // without rows
				t.Fatal(err)
			}
		}
	}
	again := open(t, bucket, options(t))
	bucket.gets, bucket.listed = 0, 0
	if pos := next(t, again, "p0"); pos != (dataset.Position{Next: 200, Begun: true}) || bucket.gets > 1 || bucket.listed > 1 {
		t.Errorf("%+v, after %d objects were read and %d listed", pos, bucket.gets, bucket.listed)
	}
	bucket.gets, bucket.listed = 0, 0
	if pos := next(t, again, "p0"); pos.Next != 200 || bucket.gets > 1 || bucket.listed > 0 {
		t.Errorf("%+v, again, after %d objects were read and %d listed", pos, bucket.gets, bucket.listed)
	}
	publish(t, d, "p0", 200, 201)
	if pos := next(t, again, "p0"); pos.Next != 201 {
		t.Errorf("%+v, after another's part", pos)
	}
	for at := int64(201); at < 220; at++ {
		publish(t, d, "p0", at, at+1)
	}
	bucket.gets, bucket.listed = 0, 0
	if pos := next(t, again, "p0"); pos.Next != 220 || bucket.gets > 10 {
		t.Errorf("%+v, after many of another's parts, and %d objects read", pos, bucket.gets)
	}
}
