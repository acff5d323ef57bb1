package parquet

import (
	"bytes"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

// everyType has a column of every type, nullable and not.
func everyType() *instances.Columns {
	var selected []string
	for _, kind := range []string{"string", "int", "float", "bool", "timestamp", "[string]", "[int]", "[float]", "[bool]", "[timestamp]"} {
		name := strings.Trim(kind, "[]")
		if name != kind {
			name = "list_" + name
		}
		selected = append(selected, name, kind, "maybe_"+name, kind+"?")
	}
	return instancetest.MustColumns([]string{"click", "a_order"}, selected...)
}

func newRand(t testing.TB) *rand.Rand {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewSource(seed))
}

func randomRows(r *rand.Rand, c *instances.Columns, n int) []instances.Instance {
	rows := make([]instances.Instance, n)
	for i := range rows {
		rows[i] = *instancetest.Instance(r, c)
	}
	return rows
}

func TestRoundTrip(t *testing.T) {
	r := newRand(t)
	c := everyType()
	w := NewWriter(c, Options{RowGroupBytes: 200 << 10, PageBytes: 4 << 10})
	for _, n := range []int{0, 1, 255, 256, 257, 4000} {
		rows := randomRows(r, c, n)
		m := Metadata{Experiment: "feed-ctr", Version: 3, Config: "ab12", Origin: "p00003", From: 7, To: 7 + int64(n)}
		file := open(t, write(t, w, m, rows, 1+r.Intn(700)))
		if file.Metadata() != m || file.Rows() != int64(n) {
			t.Errorf("%+v with %d rows, want %+v", file.Metadata(), file.Rows(), m)
		}
		if got, want := declare(file.Columns().Schema()), declare(c.Schema()); got != want {
			t.Errorf("columns %s\nwant %s", got, want)
		}
		got := readAll(t, file, make([]instances.Instance, 1+r.Intn(300)))
		if len(got) != n {
			t.Fatalf("%d rows came back of %d", len(got), n)
		}
		for i := range rows {
			if want := instancetest.Row(c, &rows[i]); got[i] != want {
				t.Fatalf("row %d of %d:\n got %s\nwant %s", i, n, got[i], want)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	r := newRand(t)
	c := everyType()
	rows := randomRows(r, c, 1000)
	file := open(t, write(t, NewWriter(c, Options{}), Metadata{}, rows, 1000))
	file.Select("instance_id", "label_click", "maybe_list_int")
	got := make([]instances.Instance, 1000)
	if n, err := file.Read(got); n != 1000 || err != nil {
		t.Fatal(n, err)
	}
	at := c.Selected().Index("maybe_list_int")
	for i := range rows {
		in := &rows[i]
		want := instances.Instance{ID: in.ID, Labels: []instances.LabelValue{{Value: in.Labels[0].Value}, {}}, Selected: make(mortise.Row, len(in.Selected))}
		want.Selected[at] = in.Selected[at]
		if got, want := instancetest.Row(c, &got[i]), instancetest.Row(c, &want); got != want {
			t.Fatalf("row %d:\n got %s\nwant %s", i, got, want)
		}
	}
}

// TestSameBytes checks that a file depends on its rows and its metadata alone.
func TestSameBytes(t *testing.T) {
	r := newRand(t)
	c := everyType()
	opts := Options{RowGroupBytes: 300 << 10, PageBytes: 8 << 10}
	used := NewWriter(c, opts)
	for range 3 {
		rows := randomRows(r, c, 2000+r.Intn(3000))
		m := Metadata{Experiment: "e", Origin: "p0"}
		want := write(t, NewWriter(c, opts), m, rows, len(rows))
		if got := write(t, used, m, rows, 1+r.Intn(100), 1+r.Intn(1000)); !bytes.Equal(got, want) {
			t.Errorf("%d rows in pieces, by a writer that was used before: %d bytes that differ from %d", len(rows), len(got), len(want))
		}
		used.Begin(&bytes.Buffer{}, Metadata{Experiment: "given up"})
		if err := used.Write(rows[:1+r.Intn(2000)]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSchema spells the layout out, which readers rely on.
func TestSchema(t *testing.T) {
	c := instancetest.MustColumns([]string{"click"}, "item", "string", "n", "int?", "ctr", "float", "ok", "bool", "at", "timestamp?", "last", "[string]", "prices", "[float]?", "aaa", "string")
	file := open(t, write(t, NewWriter(c, Options{}), Metadata{}, nil, 1))
	const want = `message instance {
	required binary instance_id (STRING);
	required int64 event_time (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	required double label_click;
	optional int64 label_click_time (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	required int64 label_click_count (INT(64,true));
	required binary item (STRING);
	optional int64 n (INT(64,true));
	optional double ctr;
	required boolean ok;
	optional int64 at (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	required group last (LIST) {
		repeated group list {
			optional binary element (STRING);
		}
	}
	optional group prices (LIST) {
		repeated group list {
			optional double element;
		}
	}
	required binary aaa (STRING);
	required double weight;
	required int32 revision (INT(32,true));
	required boolean final;
	required boolean late;
	required group degraded (LIST) {
		repeated group list {
			required binary element (STRING);
		}
	}
}`
	if got := file.file.Schema().String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if meta := file.file.Metadata(); meta.CreatedBy != "mortise version 1(build parquet-go)" {
		t.Errorf("created by %q", meta.CreatedBy)
	}
}

// TestGroupsAndPages checks sizes, statistics and encodings of what traffic gives.
func TestGroupsAndPages(t *testing.T) {
	c := instancetest.MustColumns([]string{"click"}, "item", "string", "position", "int", "ctr", "float", "last", "[string]")
	rows := benchRows(c, 60_000)
	data := write(t, NewWriter(c, Options{RowGroupBytes: 2 << 20}), Metadata{}, rows, 999)
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	groups := f.Metadata().RowGroups
	if len(groups) < 4 {
		t.Errorf("%d row groups of %d bytes in all", len(groups), len(data))
	}
	previous := int64(0)
	for i, g := range groups[:len(groups)-1] {
		if g.NumRows%chunkRows != 0 || math.Abs(float64(g.NumRows)-float64(groups[0].NumRows)) > 3*chunkRows {
			t.Errorf("row group %d has %d rows, the first %d", i, g.NumRows, groups[0].NumRows)
		}
		for j := range g.Columns {
			m := g.Columns[j].MetaData
			name := strings.Join(m.PathInSchema, ".")
			if m.Codec != format.Zstd || g.Columns[j].ColumnIndexOffset == 0 || g.Columns[j].OffsetIndexOffset == 0 {
				t.Errorf("%s has codec %s, column index %d, offset index %d", name, m.Codec, g.Columns[j].ColumnIndexOffset, g.Columns[j].OffsetIndexOffset)
			}
			if m.Statistics.MinValue == nil && !strings.HasPrefix(name, "degraded") {
				t.Errorf("%s has no statistics", name)
			}
			hasDictionary := slices.Contains(m.Encoding, format.RLEDictionary)
			if want := slices.Contains([]string{"label_click", "label_click_count", "item", "position", "ctr", "last.list.element", "weight", "revision", "degraded.list.element"}, name); hasDictionary != want {
				t.Errorf("%s has encodings %v", name, m.Encoding)
			}
			if name == "event_time" {
				first := parquet.Int64.Value(m.Statistics.MinValue).Int64()
				if first <= previous {
					t.Errorf("row group %d begins at %d, and the one before ends at %d", i, first, previous)
				}
				previous = parquet.Int64.Value(m.Statistics.MaxValue).Int64()
			}
		}
	}
}

// TestManyDifferent checks that a dictionary is given up where it does not pay,
// and comes back with the next row group.
func TestManyDifferent(t *testing.T) {
	c := instancetest.MustColumns(nil, "session", "string")
	rows := make([]instances.Instance, 200_000)
	for i := range rows {
		rows[i] = instances.Instance{ID: []byte{byte(i), byte(i >> 8)}, Weight: 1, Selected: mortise.Row{mortise.TextValue(bytes.Repeat([]byte{byte('a' + i%26), byte('0' + i/26%64), byte('0' + i/26/64%64), byte('0' + i/26/64/64)}, 5))}}
	}
	data := write(t, NewWriter(c, Options{RowGroupBytes: 10 << 20}), Metadata{}, rows, 10_000)
	file := open(t, data)
	got := readAll(t, file, make([]instances.Instance, 1000))
	for i := range rows {
		if want := instancetest.Row(c, &rows[i]); got[i] != want {
			t.Fatalf("row %d:\n got %s\nwant %s", i, got[i], want)
		}
	}
	for i, g := range file.file.Metadata().RowGroups {
		m := g.Columns[2].MetaData
		plain := slices.ContainsFunc(m.EncodingStats, func(s format.PageEncodingStats) bool {
			return s.PageType == format.DataPageV2 && s.Encoding == format.Plain
		})
		dictionary := slices.ContainsFunc(m.EncodingStats, func(s format.PageEncodingStats) bool {
			return s.PageType == format.DataPageV2 && s.Encoding == format.RLEDictionary
		})
		if i == 0 && (!plain || !dictionary) {
			t.Errorf("row group %d: %v", i, m.EncodingStats)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	c := instancetest.MustColumns([]string{"click"}, "n", "int", "s", "string?", "l", "[int]")
	good := func() instances.Instance {
		return instances.Instance{ID: []byte("a"), Labels: make([]instances.LabelValue, 1), Weight: 1,
			Selected: mortise.Row{mortise.IntValue(1), mortise.NullValue(), mortise.ListValue(nil)}}
	}
	for want, change := range map[string]func(in *instances.Instance){
		`instance "a": column n: it is null, and declared as int`:      func(in *instances.Instance) { in.Selected[0] = mortise.NullValue() },
		`instance "a": column n: it is string, and declared as int`:    func(in *instances.Instance) { in.Selected[0] = mortise.StringValue("1") },
		`instance "a": column n: it is float, and declared as int`:     func(in *instances.Instance) { in.Selected[0] = mortise.FloatValue(math.NaN()) },
		`instance "a": column s: it is int, and declared as string?`:   func(in *instances.Instance) { in.Selected[1] = mortise.IntValue(1) },
		`instance "a": column l: it is invalid, and declared as [int]`: func(in *instances.Instance) { in.Selected[2] = mortise.Value{} },
		`instance "a": column l: element 0 is bool, and declared as int`: func(in *instances.Instance) {
			in.Selected[2] = mortise.ListValue([]mortise.Value{mortise.BoolValue(true)})
		},
		`instance "a": column weight: it is NaN`:                                       func(in *instances.Instance) { in.Weight = math.NaN() },
		`instance "a": column label_click: it is +Inf`:                                 func(in *instances.Instance) { in.Labels[0] = instances.LabelValue{Value: math.Inf(1), Count: 1} },
		`instance "a": it has 0 labels and 3 selected fields, and the columns 1 and 3`: func(in *instances.Instance) { in.Labels = nil },
	} {
		w := NewWriter(c, Options{})
		if err := w.Write(make([]instances.Instance, 1)); err == nil {
			t.Error("rows are taken before Begin")
		}
		w.Begin(&bytes.Buffer{}, Metadata{})
		in := good()
		change(&in)
		err := w.Write([]instances.Instance{good(), in})
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		if again := w.End(); again == nil {
			t.Errorf("%s: the file ends all the same", want)
		}
	}
}

// TestAllocations checks that rows cost none.
func TestAllocations(t *testing.T) {
	c := benchColumns(20)
	rows := benchRows(c, 20_000)
	w := NewWriter(c, Options{})
	var data []byte
	file := func() { data = write(t, w, Metadata{}, rows, 1000) }
	file()
	if n := testing.AllocsPerRun(3, file); n > 3000 {
		t.Errorf("writing 20,000 rows allocates %v times", n)
	}
	buffer := make([]instances.Instance, 500)
	all := func() {
		r := open(t, data)
		for {
			if n, _ := r.Read(buffer); n == 0 {
				break
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	all()
	if n := testing.AllocsPerRun(3, all); n > 6000 {
		t.Errorf("reading 20,000 rows allocates %v times", n)
	}
}
