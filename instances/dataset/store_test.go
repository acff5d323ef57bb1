package dataset_test

import (
	"context"
	"errors"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
)

// TestOnS3 publishes to a real server on a way on which requests are refused, and
// answers of requests that were done are lost.
func TestOnS3(t *testing.T) {
	server := s3test.Start(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	r := newRand(t)
	way := newWay(t, server.Addr, r)
	place := strings.Replace(server.Bucket(t), server.Addr, way.addr(), 1)
	o := options(t)
	d := open(t, openDir(t, place), o)
	next(t, d, "p0")
	way.troubles(12)
	for from := int64(0); from < 600; from += 100 {
		w := fill(t, d, "p0", from, from+100)
		for tries := 0; ; tries++ {
			_, err := w.Publish(ctx, from+100)
			if err == nil {
				break
			}
			var taken *dataset.TakenError
			if errors.As(err, &taken) || tries == 20 {
				t.Fatal(err)
			}
		}
	}
	way.troubles(0)
	again := open(t, openDir(t, place), o)
	if pos := next(t, again, "p0"); pos != (dataset.Position{Next: 600, Begun: true}) {
		t.Errorf("%+v", pos)
	}
	checkRows(t, openDir(t, place), hourMS, map[string]int64{"p0": 600})

	w := fill(t, d, "p0", 600, 610)
	way.server.Close()
	if _, err := w.Publish(ctx, 610); err == nil || !strings.Contains(err.Error(), "s3://bucket-") || !strings.Contains(err.Error(), "can be reached") {
		t.Errorf("a store that is gone: %v", err)
	}
	if _, err := d.Next(ctx, "p0"); err == nil {
		t.Error("a store that is gone says where to go on")
	}
}

// way is a way to a server.
type way struct {
	server *httptest.Server
	mu     sync.Mutex
	rand   *rand.Rand
	left   int // troubles to come
}

func newWay(t *testing.T, to string, r *rand.Rand) *way {
	w := &way{rand: r}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: to})
		r.Out.Host = r.In.Host // it is signed
	}}
	w.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if trouble := w.next(in.Method); trouble > 0 {
			if trouble == 2 {
				proxy.ServeHTTP(httptest.NewRecorder(), in) // it is done, and nobody hears of it
			}
			_, _ = io.Copy(io.Discard, in.Body)
			out.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(out, "<Error><Code>InternalError</Code></Error>")
			return
		}
		proxy.ServeHTTP(out, in)
	}))
	t.Cleanup(w.server.Close)
	return w
}

func (w *way) addr() string { return strings.TrimPrefix(w.server.URL, "http://") }

func (w *way) troubles(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = n
}

// next says whether a request is refused, 1, or its answer lost, 2.
func (w *way) next(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 || method != http.MethodPut && method != http.MethodPost || w.rand.Intn(2) == 0 {
		return 0
	}
	w.left--
	return 1 + w.rand.Intn(2)
}

// overwriting is a store that knows no conditional writes.
type overwriting struct{ *buckettest.Memory }

func (o overwriting) Create(ctx context.Context, key string, body io.Reader) error {
	return o.Put(ctx, key, body)
}

func TestStoreThatOverwrites(t *testing.T) {
	b := overwriting{buckettest.NewMemory()}
	if _, err := dataset.Open(ctx, b, options(t)); err == nil || !strings.Contains(err.Error(), "use one that has conditional writes") {
		t.Errorf("%v", err)
	}
	if b.Keys("") == nil {
		t.Error("it was not tried")
	}
}

// TestChangedRows checks that a part that was begun does not become another.
func TestChangedRows(t *testing.T) {
	bucket := &stopping{Memory: buckettest.NewMemory()}
	d := open(t, bucket, options(t))
	next(t, d, "p0")
	bucket.stopAt = "part-"
	if _, err := fill(t, d, "p0", 0, 50).Publish(ctx, 50); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	bucket.stopAt = ""
	pos := next(t, d, "p0")
	if pos.Redo == nil || *pos.Redo != (dataset.Range{From: 0, To: 50}) || pos.Next != 0 || !pos.Begun {
		t.Fatalf("%+v", pos)
	}
	var changed *dataset.ChangedError
	_, err := fill(t, d, "p0", 0, 49).Publish(ctx, 50)
	if !errors.As(err, &changed) || changed.From != 0 || changed.To != 50 || !strings.Contains(err.Error(), "delete") || !strings.Contains(err.Error(), "_mortise/parts/p0/9223372036854775807-0.json") {
		t.Fatalf("%v", err)
	}
	if got := bucket.Keys("dt="); len(got) > 0 {
		t.Errorf("%q", got)
	}
	publish(t, d, "p0", 0, 50)
	checkRows(t, bucket, hourMS, map[string]int64{"p0": 50})
}

// TestFileInTheWay checks what a file of the same name but other size means: it is
// kept, as one that another version of the encoder made.
func TestFileInTheWay(t *testing.T) {
	bucket := buckettest.NewMemory()
	d := open(t, bucket, options(t))
	next(t, d, "p0")
	key := "dt=2026-01-31/hour=22/part-p0-0-1.parquet"
	if folderOf(rowAt("p0", 0).TimeMS, hourMS)+"part-p0-0-1.parquet" != key {
		t.Fatal("the row is elsewhere")
	}
	if err := bucket.Create(ctx, key, strings.NewReader("somebody's")); err != nil {
		t.Fatal(err)
	}
	info := publish(t, d, "p0", 0, 1)
	if f := info.Files[0]; f.Key != key || f.Bytes != 10 || f.SHA256 != "" {
		t.Errorf("%+v", f)
	}
}

var errStopped = errors.New("stopped")

// stopping fails to create what has stopAt in its key.
type stopping struct {
	*buckettest.Memory
	stopAt string
}

func (s *stopping) Create(ctx context.Context, key string, body io.Reader) error {
	if s.stopAt != "" && strings.Contains(key, s.stopAt) {
		return errStopped
	}
	return s.Memory.Create(ctx, key, body)
}

func TestTempDir(t *testing.T) {
	o := options(t)
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	o.TempDir, o.MemoryBytes = file+"/below", 1
	d := open(t, buckettest.NewMemory(), o)
	next(t, d, "p0")
	w := d.NewPart("p0", 0)
	var err error
	for offset := int64(0); err == nil && offset < 5000; offset++ {
		err = w.Append(rowAt("p0", offset))
	}
	if err == nil || !strings.Contains(err.Error(), o.TempDir) || !strings.Contains(err.Error(), "part of p0 from 0") {
		t.Errorf("%v", err)
	}
	if _, again := w.Publish(ctx, 10); again == nil {
		t.Error("a part that lost rows is published")
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	d := open(t, openDir(t, t.TempDir()), options(t))
	next(t, d, "p0")
	w := fill(t, d, "p0", 0, 50)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.Publish(cancelled, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := w.Publish(ctx, 50); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := d.Next(cancelled, "p0"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
