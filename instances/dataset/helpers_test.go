package dataset_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

var ctx = context.Background()

var columns = instancetest.MustColumns([]string{"click"}, "item", "string", "position", "int?", "ctr", "float", "last", "[string]")

// startMS is 2026-01-31 22:00 UTC.
const startMS, hourMS = 1_769_896_800_000, 3_600_000

func newRand(t testing.TB) *rand.Rand {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewSource(seed))
}

// rowAt is the row at an offset of an origin: the same one every time, of one of
// a few hours.
func rowAt(origin string, offset int64) *instances.Instance {
	r := rand.New(rand.NewSource(offset*31 + int64(len(origin)) + int64(origin[len(origin)-1])*7919))
	in := instancetest.Instance(r, columns)
	in.ID = fmt.Appendf(nil, "%s@%d", origin, offset)
	in.TimeMS = startMS + offset*60_000 + r.Int63n(2*hourMS)
	return in
}

func options(t testing.TB) dataset.Options {
	return dataset.Options{Columns: columns, Experiment: "feed-ctr", Version: 3, Config: "ab12", TempDir: t.TempDir()}
}

func openDir(t testing.TB, place string) *objectstore.Bucket {
	t.Helper()
	b, err := objectstore.Open(ctx, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func open(t testing.TB, b dataset.Bucket, o dataset.Options) *dataset.Dataset {
	t.Helper()
	d, err := dataset.Open(ctx, b, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func next(t testing.TB, d *dataset.Dataset, origin string) dataset.Position {
	t.Helper()
	pos, err := d.Next(ctx, origin)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

// fill begins a part and gives it the rows of the offsets.
func fill(t testing.TB, d *dataset.Dataset, origin string, from, to int64) *dataset.PartWriter {
	t.Helper()
	w := d.NewPart(origin, from)
	t.Cleanup(func() {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	})
	for offset := from; offset < to; offset++ {
		if err := w.Append(rowAt(origin, offset)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func publish(t testing.TB, d *dataset.Dataset, origin string, from, to int64) dataset.PartInfo {
	t.Helper()
	info, err := fill(t, d, origin, from, to).Publish(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// readRows reads all rows of a folder as any reader would, and checks that each
// lies in the folder of its event time.
func readRows(t testing.TB, b dataset.Bucket, spanMS int64) (rows []string) {
	t.Helper()
	err := dataset.Objects(ctx, b, func(o dataset.Object) error {
		f, err := dataset.OpenFile(ctx, b, o.Key, t.TempDir())
		if err != nil {
			return err
		}
		buffer := make([]instances.Instance, 100)
		for {
			n, err := f.Read(buffer)
			if errors.Is(err, io.EOF) {
				return f.Close()
			}
			if err != nil {
				return err
			}
			for i := range buffer[:n] {
				rows = append(rows, instancetest.Row(columns, &buffer[i]))
				if want := folderOf(buffer[i].TimeMS, spanMS); !strings.HasPrefix(o.Key, want+"part-") {
					t.Errorf("a row of %d lies in %s, want %s", buffer[i].TimeMS, o.Key, want)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

func folderOf(timeMS, spanMS int64) string {
	at := time.UnixMilli(timeMS).UTC()
	switch spanMS {
	case 0:
		return ""
	case hourMS:
		return at.Format("dt=2006-01-02/hour=15/")
	}
	return at.Format("dt=2006-01-02/")
}

// oracle are the rows of offsets, as readRows gives them, but for those between
// the first and the last that is left out.
func oracle(ranges map[string]int64, without ...string) (rows []string) {
	for origin, to := range ranges {
		left := false
		for offset := range to {
			id := fmt.Sprintf("%s@%d", origin, offset)
			if at := slices.Index(without, id); at >= 0 {
				left = at == 0
				continue
			}
			if left {
				continue
			}
			rows = append(rows, instancetest.Row(columns, rowAt(origin, offset)))
		}
	}
	slices.Sort(rows)
	return rows
}

func checkRows(t testing.TB, b dataset.Bucket, spanMS int64, ranges map[string]int64, without ...string) {
	t.Helper()
	got, want := readRows(t, b, spanMS), oracle(ranges, without...)
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows are there, want %d: first difference %s", len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Sprintf("\n got %s\nwant %s", at(got, i), at(want, i))
		}
	}
	return "none"
}

func at(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return "nothing"
}

func keys(t testing.TB, b dataset.Bucket, prefix string) (keys []string) {
	t.Helper()
	err := b.List(ctx, prefix, func(key string, _ int64, _ time.Time) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func readObject(t testing.TB, b dataset.Bucket, key string) []byte {
	t.Helper()
	r, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}
