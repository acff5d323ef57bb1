package serving_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/loadtest/serving"
)

// TestAttack sends a known number of requests to a server that refuses some of
// them, and counts what comes.
func TestAttack(t *testing.T) {
	var mu sync.Mutex
	bodies := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %q: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		mu.Lock()
		bodies[string(body)]++
		mu.Unlock()
		if string(body) == "b" {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("four"))
	}))
	defer server.Close()
	r, err := serving.Attack{URL: server.URL, Bodies: [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")},
		Header: http.Header{"Content-Type": {"application/json"}}, Rate: 400, Duration: 250 * time.Millisecond}.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine the last ones may not be sent in time.
	if r.Requests > 100 || r.Requests < 50 || r.Failed != int64(bodies["b"]) || r.Failed < r.Requests/4 || r.Failed > r.Requests/4+1 || bodies["a"] < bodies["d"] || bodies["a"] > bodies["d"]+1 {
		t.Errorf("%+v of %v", *r, bodies)
	}
	if r.P50MS <= 0 || r.P50MS > r.P99MS || r.P99MS > r.P999MS || r.P999MS > r.MaxMS || len(r.Errors) != 1 || !strings.Contains(r.Errors[0], "503") {
		t.Errorf("%+v", *r)
	}
	if r.KeepsUp() {
		t.Error("a quarter of the requests failed")
	}
}

// TestSlowServer: requests go on being sent while none is answered, and their
// waiting counts.
func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	var waiting atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if waiting.Add(1) == 10 {
			close(release) // by the tenth: all before have waited for it
		}
		<-release
	}))
	defer server.Close()
	r, err := serving.Attack{URL: server.URL, Bodies: [][]byte{{}}, Rate: 200, Duration: 100 * time.Millisecond, Timeout: time.Minute}.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests < 10 || r.Failed != 0 || r.MaxMS < 30 {
		t.Errorf("%+v", *r)
	}
}

func TestWrongAttack(t *testing.T) {
	_, err := serving.Attack{}.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "URL") || !strings.Contains(err.Error(), "no requests") || !strings.Contains(err.Error(), "rate") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (serving.Attack{URL: "http://127.0.0.1:1", Bodies: [][]byte{{}}, Rate: 10, Duration: time.Hour}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
