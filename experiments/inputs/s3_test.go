package inputs_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

type row struct {
	ID string `parquet:"id"`
	TS int64  `parquet:"ts"`
	No string `parquet:"unread"`
}

// fill puts the same kind of rows into a bucket, in each format, and returns what
// reading all of it gives.
func fill(t *testing.T, place string) (want []string) {
	t.Helper()
	b, err := objectstore.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const rows = 12_000
	var lines, cells, table bytes.Buffer
	cells.WriteString("unread,ts,id\n")
	w := parquet.NewGenericWriter[row](&table, parquet.MaxRowsPerRowGroup(3000))
	rng := rand.New(rand.NewPCG(1, 2))
	var from [3][]string
	for i := range rows {
		r := row{fmt.Sprintf("%x-%d", rng.Uint64(), i), int64(1_700_000_000_000 + i), fmt.Sprint(rng.Uint64())}
		line := fmt.Sprintf(`{"id":%q,"ts":%d`, r.ID, r.TS)
		fmt.Fprintf(&lines, "%s}\n", line)
		fmt.Fprintf(&cells, "%s,%d,%s\n", r.No, r.TS, r.ID)
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
		for day := range from {
			from[day] = append(from[day], fmt.Sprintf(`%s,"dt":"2019-11-2%d"}`, line, day))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(lines.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for key, data := range map[string][]byte{"in/dt=2019-11-20/a.jsonl.gz": packed.Bytes(), "in/dt=2019-11-21/a.csv": cells.Bytes(), "in/dt=2019-11-22/a.parquet": table.Bytes(), "in/dt=2019-11-22/_SUCCESS": nil} {
		if err := b.Put(t.Context(), key, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Concat(from[:]...)
}

// shaky is a way to the server on which answers are lost, and cut short.
func shaky(t *testing.T, addr string) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: addr}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	var gets, troubles atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
			proxy.ServeHTTP(w, r)
			return
		}
		switch n := gets.Add(1); {
		case n == 5: // the client itself tries again, in its own time
			troubles.Add(1)
			http.Error(w, "<Error><Code>InternalError</Code></Error>", http.StatusInternalServerError)
		case n%3 == 0:
			troubles.Add(1)
			proxy.ServeHTTP(&cutWriter{ResponseWriter: w, left: 100_000}, r)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server, &troubles
}

// cutWriter breaks the connection after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return w.ResponseWriter.Write(p)
}

func TestObjectStore(t *testing.T) {
	server := s3test.Start(t)
	place := server.Bucket(t)
	want := fill(t, place)
	way, troubles := shaky(t, server.Addr)
	str := mortise.Type{Kind: mortise.String}
	source := &spec.Source{Name: "imps", TimeField: "ts", TimeUnit: "ms", Fields: mortise.Schema{{Name: "id", Type: str}, {Name: "ts", Type: mortise.Type{Kind: mortise.Int}}, {Name: "dt", Type: str}}}
	base, _, _ := strings.Cut(place, "?")
	pattern := base + "/in/dt=*/**?endpoint=" + way.URL
	files, err := inputs.Open(t.Context(), []*spec.Source{source}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files.Paths()) != 3 || files.Paths()[1] != base+"/in/dt=2019-11-21/a.csv" {
		t.Fatalf("files %q", files.Paths())
	}
	same(t, files, want)
	var parts []string
	for _, u := range files.Units(50_000) {
		r, err := u.Open()
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, drain(t, r)...)
	}
	if !slices.Equal(parts, want) {
		t.Error("read in parts, the rows differ")
	}
	if troubles.Load() < 3 {
		t.Errorf("%d troubles on the way, want some", troubles.Load())
	}
	if _, err = inputs.Open(t.Context(), []*spec.Source{source}, base+"/gone/*?endpoint="+way.URL); err == nil || !strings.Contains(err.Error(), "no object matches "+base+"/gone/*") {
		t.Errorf("got %v", err)
	}
	if _, err = inputs.Open(t.Context(), []*spec.Source{source}, "s3://no-such-bucket/x?endpoint="+way.URL); err == nil || !strings.Contains(err.Error(), "make the bucket, or correct its name") {
		t.Errorf("got %v", err)
	}
}

func drain(t *testing.T, r recorded.RowReader) (got []string) {
	t.Helper()
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line.Data))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, r recorded.RowReader, want []string) {
	t.Helper()
	got := drain(t, r)
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("row %d: got %s, want %s", i, got[i], want[i])
		}
	}
}
