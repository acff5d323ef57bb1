package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
)

var _ experiments.Registry = (*Registry)(nil)

const userSchema = `{"type":"record","name":"User","fields":[{"name":"id","type":"string"}]}`

func open(t *testing.T, o Options, urls ...string) *Registry {
	t.Helper()
	o.URLs = urls
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fake(t *testing.T, opts ...srfake.Option) *srfake.Registry {
	t.Helper()
	f := srfake.New(opts...)
	t.Cleanup(f.Close)
	return f
}

// count makes the registry count requests for paths that begin so.
func count(f *srfake.Registry, prefix string) *atomic.Int64 {
	var n atomic.Int64
	f.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, prefix) {
			n.Add(1)
		}
		return false
	})
	return &n
}

func TestSchemasAreAskedForOnce(t *testing.T) {
	f := fake(t)
	f.SeedSchema("place", 1, 5, sr.Schema{Schema: `{"type":"record","name":"Place","namespace":"geo","fields":[]}`})
	f.SeedSchema("user", 1, 6, sr.Schema{Schema: `{"type":"record","name":"User","namespace":"geo","fields":[]}`, References: []sr.SchemaReference{{Name: "geo.Place", Subject: "place", Version: 1}}})
	f.SeedSchema("event", 1, 7, sr.Schema{Schema: userSchema, References: []sr.SchemaReference{{Name: "geo.User", Subject: "user", Version: 1}, {Name: "geo.Place", Subject: "place", Version: 1}}})
	f.SeedSchema("proto", 1, 8, sr.Schema{Schema: `syntax = "proto3"; message M {}`, Type: sr.TypeProtobuf})
	asked := count(f, "/schemas/ids/")
	r := open(t, Options{}, f.URL())
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			ws, err := r.Schema(mortise.SchemaNumber(7))
			if err != nil || ws.Type != "AVRO" || ws.Text != userSchema || len(ws.References) != 2 || ws.References[0].Name != "geo.Place" || ws.References[1].Name != "geo.User" {
				t.Errorf("%v, %+v", err, ws)
			}
		})
	}
	wait.Wait()
	if ws, err := r.Schema(mortise.SchemaNumber(8)); err != nil || ws.Type != "PROTOBUF" {
		t.Error(ws, err)
	}
	if n := asked.Load(); n != 2 || !r.Knows(mortise.SchemaNumber(7)) || r.Knows(mortise.SchemaNumber(9)) {
		t.Errorf("asked %d times", n)
	}
}

func TestGUIDs(t *testing.T) {
	f := fake(t)
	r := open(t, Options{}, f.URL())
	reg, err := r.Register(t.Context(), "user-value", &mortise.WriterSchema{Type: "AVRO", Text: userSchema})
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, Options{}, f.URL())
	if ws, err := other.Schema(reg.GUID); err != nil || ws.Text != userSchema {
		t.Errorf("%v, %+v", err, ws)
	}
}

// An id that the registry does not know is the record's fault, and not asked for
// again and again. A URL that is no registry's is not.
func TestUnknown(t *testing.T) {
	f := fake(t)
	asked := count(f, "/schemas/ids/")
	r := open(t, Options{}, f.URL())
	for range 5 {
		_, err := r.Schema(mortise.SchemaNumber(9))
		var fault *mortise.RecordError
		if !errors.As(err, &fault) || fault.Reason != mortise.ReasonBadSchema || !strings.Contains(err.Error(), "knows no schema 9") {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	f.SeedSchema("late", 1, 9, sr.Schema{Schema: userSchema})
	again := open(t, Options{ForgetUnknownAfter: time.Nanosecond}, f.URL())
	again.unknown[mortise.SchemaNumber(9)] = time.Now().Add(-time.Second)
	if _, err := again.Schema(mortise.SchemaNumber(9)); err != nil {
		t.Errorf("it is never asked again: %v", err)
	}

	var wrong *Error
	elsewhere := open(t, Options{}, f.URL()+"/nowhere")
	if _, err := elsewhere.Schema(mortise.SchemaNumber(9)); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "is that of a schema registry") {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	f := fake(t, srfake.WithAuth("Bearer abc"))
	f.SeedSchema("user", 1, 1, sr.Schema{Schema: userSchema})
	if _, err := open(t, Options{SchemaRegistry: spec.SchemaRegistry{Token: "abc"}}, f.URL()).Schema(mortise.SchemaNumber(1)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []spec.SchemaRegistry{{}, {Token: "abd"}, {Username: "a", Password: "secret"}} {
		_, err := open(t, Options{SchemaRegistry: wrong}, f.URL()).Schema(mortise.SchemaNumber(1))
		if err == nil || !strings.Contains(err.Error(), "kafka.schema_registry") || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

// A registry that does not answer is waited for, which the log and Waiting tell.
func TestOutage(t *testing.T) {
	f := fake(t)
	f.SeedSchema("user", 1, 1, sr.Schema{Schema: userSchema})
	var fails atomic.Int64
	fails.Store(2)
	waited := make(chan Waiting, 10)
	var r *Registry
	f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		waited <- r.Waiting()
		if fails.Add(-1) < 0 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "starting")
		return true
	})
	var log bytes.Buffer
	r = open(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, f.URL())
	if _, err := r.Schema(mortise.SchemaNumber(1)); err != nil {
		t.Fatal(err)
	}
	if first, second := <-waited, <-waited; !first.Since.IsZero() || second.Since.IsZero() || second.Err != "starting" {
		t.Errorf("waiting: %+v, then %+v", first, second)
	}
	if w := r.Waiting(); !w.Since.IsZero() {
		t.Errorf("still waiting: %+v", w)
	}
	if text := log.String(); !strings.Contains(text, "does not answer") || !strings.Contains(text, "answers again") {
		t.Errorf("the log says %s", text)
	}
}

func TestOutageIsBounded(t *testing.T) {
	f := fake(t)
	url := f.URL()
	f.Close()
	r := open(t, Options{OutageTimeout: 50 * time.Millisecond}, url)
	_, err := r.Schema(mortise.SchemaNumber(1))
	var gone *Error
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "finding schema 1") || !strings.Contains(err.Error(), "has not answered for 50ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stopped, err := Open(ctx, Options{SchemaRegistry: spec.SchemaRegistry{URLs: []string{url}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stopped.Schema(mortise.SchemaNumber(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Of several addresses the next one is asked.
func TestSeveralAddresses(t *testing.T) {
	dead, f := fake(t), fake(t)
	f.SeedSchema("user", 1, 1, sr.Schema{Schema: userSchema})
	gone := dead.URL()
	dead.Close()
	if _, err := open(t, Options{}, gone, f.URL()).Schema(mortise.SchemaNumber(1)); err != nil {
		t.Error(err)
	}
}

func TestRegister(t *testing.T) {
	f := fake(t)
	r := open(t, Options{}, f.URL())
	ws := &mortise.WriterSchema{Type: "AVRO", Text: userSchema}
	if _, _, err := r.Place(t.Context(), "out-value", ws, false); !errors.As(err, new(*MissingError)) || !strings.Contains(err.Error(), "register: true") {
		t.Errorf("got %v", err)
	}
	first, guid, err := r.Place(t.Context(), "out-value", ws, true)
	if err != nil || guid == (mortise.SchemaID{}) {
		t.Fatal(first, guid, err)
	}
	if again, _, err := r.Place(t.Context(), "out-value", ws, true); err != nil || again != first {
		t.Errorf("again: %s, %v, not %s", again, err, first)
	}
	if there, _, err := r.Place(t.Context(), "out-value", ws, false); err != nil || there != first {
		t.Errorf("there: %s, %v, not %s", there, err, first)
	}
	asked := count(f, "/schemas/ids/")
	if got, err := r.Schema(first); err != nil || got.Text != userSchema || asked.Load() > 0 {
		t.Errorf("what was registered is asked for: %v", err)
	}
	if latest, id, err := r.Latest(t.Context(), "out-value"); err != nil || latest.Text != userSchema || id != first {
		t.Errorf("%v, %s", err, id)
	}
	if latest, _, err := r.Latest(t.Context(), "nothing"); err != nil || latest != nil {
		t.Errorf("%v, %+v", err, latest)
	}
}

func TestIncompatible(t *testing.T) {
	f := fake(t)
	for v := range 4 {
		f.SeedSchema("out-value", v+1, v+1, sr.Schema{Schema: fmt.Sprintf(`{"type":"record","name":"U%d","fields":[]}`, v)})
	}
	f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema: READER_FIELD_MISSING_DEFAULT_VALUE, field order"}`)
		return true
	})
	_, err := open(t, Options{}, f.URL()).Register(t.Context(), "out-value", &mortise.WriterSchema{Type: "AVRO", Text: userSchema})
	var refused *IncompatibleError
	if !errors.As(err, &refused) || refused.Version != 4 || refused.Level != "BACKWARD" {
		t.Fatalf("%v, %+v", err, refused)
	}
	for _, want := range []string{"out-value", "version 4", "BACKWARD", "READER_FIELD_MISSING_DEFAULT_VALUE", "nullable", "output.topic.subject"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q says nothing of %s", err, want)
		}
	}
}
