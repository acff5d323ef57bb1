package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/redistest"
)

// TestBenchServe measures both stores with generated traffic and with the user's
// own files, a little of each: what it prints is of the shape that it says.
func TestBenchServe(t *testing.T) {
	t.Parallel()
	short := []string{"bench", "serve", "--json", "--rates", "20,40", "--entities", "1,3", "--duration", "200ms"}
	type measured struct {
		Serve []struct {
			Store                    string
			Entities, Features, Rate int
			Requests, Failed         int64
			P50MS                    float64 `json:"p50_ms"`
			P999MS                   float64 `json:"p999_ms"`
			AnswerBytes              float64 `json:"answer_bytes"`
		}
	}
	check := func(t *testing.T, out string, features int, stores ...string) {
		t.Helper()
		r := decode[measured](t, out)
		seen := map[string]bool{}
		for _, s := range r.Serve {
			seen[s.Store] = true
			if most := int64(s.Rate / 5); s.Requests > most || s.Requests == 0 || s.Failed != 0 { // on a busy machine some are not sent
				t.Errorf("%+v, want up to %d requests", s, most)
			}
			if s.Features != features || s.P50MS <= 0 || s.P50MS > s.P999MS || s.AnswerBytes < float64(20*features) {
				t.Errorf("%+v", s)
			}
		}
		if len(seen) != len(stores) || len(r.Serve) < 2*len(stores) {
			t.Errorf("of %v there is %v", stores, r.Serve)
		}
	}
	t.Run("generated", func(t *testing.T) {
		t.Parallel()
		check(t, succeed(t, append(short, "--impressions", "3000", "--store", "pebble", "--store", "redis://"+redistest.Shared(t).Addr, "--tasks", "2")...), 20, "pebble", "redis")
	})
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		file, inputs := write(t, filepath.Join(dir, "featured.yaml"), featured), featuredTraffic(t, dir, 500)
		check(t, succeed(t, append(append(short, "--cbor", file, "--features", "0"), inputs...)...), 9, "pebble")
		fails(t, exitUsage, []string{"--input impressions=FILES is missing"}, append(short, file, inputs[2], inputs[3])...)
		fails(t, exitFailed, []string{"http://127.0.0.1:1", "refused"}, append(append(short, file, "--url", "http://127.0.0.1:1"), inputs...)...)
	})
	for _, c := range []struct{ text, args string }{
		{"--input needs the experiment file", "--input a=b"},
		{"bench serve needs --input", "feed.yaml"},
		{"--rates", "--rates 0"},
		{"--entities", "--entities -1"},
		{`--store "sqlite": choose`, "--store sqlite"},
		{"positive numbers", "--tasks 0"},
		{"takes one experiment file", "a.yaml b.yaml"},
	} {
		fails(t, exitUsage, []string{c.text}, append([]string{"bench", "serve"}, strings.Fields(c.args)...)...)
	}
	fails(t, exitUsage, []string{fmt.Sprintf("unknown verb %q", "serv"), `did you mean "serve"`}, "bench", "serv")
}
