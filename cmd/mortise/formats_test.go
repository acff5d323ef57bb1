package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// TestFormatsGiveTheSameRows runs the same files through topics of every format,
// and writes the rows in every format: they are those of JSON.
func TestFormatsGiveTheSameRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inputs := record(t, dir, 400)
	plain := filepath.Join(dir, "plain")
	r := runToEnd(t, append(inputs, variant(t, dir, "plain"), "--embedded", plain)...)
	if r.Positives == 0 || r.Labels.Attached == 0 {
		t.Fatalf("no label attaches: %+v", r)
	}
	want := tailed(t, "f.plain", "--embedded", plain)
	registry := srfake.New()
	t.Cleanup(registry.Close)
	for _, c := range []struct{ in, out, more string }{
		{"avro", "avro", ""}, {"protobuf", "protobuf", ""}, {"avro", "protobuf", "header"}, {"protobuf", "avro", "header"},
		{"json", "tfexample", ""}, {"protobuf", "avro", "none"}, {"avro", "protobuf", "none"},
	} {
		name := strings.Trim(c.in+"-"+c.out+"-"+c.more, "-")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := "format: " + c.out
			if c.more != "" {
				out += ", schema_id: " + c.more
			}
			own := t.TempDir()
			file := variant(t, own, name, "topic: f.impressions\n    format: json", "topic: f.impressions\n    format: "+c.in, "topic: f.clicks\n    format: json", "topic: f.clicks\n    format: "+c.in,
				"format: json}", out+"}")
			where := []string{"--embedded", filepath.Join(own, "broker"), "--registry", registry.URL()}
			got := runToEnd(t, append(append(inputs, file), where...)...)
			if got.Instances != r.Instances || got.Positives != r.Positives || got.Labels.Attached != r.Labels.Attached {
				t.Errorf("%d instances, %d positives, want %d and %d", got.Instances, got.Positives, r.Instances, r.Positives)
			}
			rows := tailed(t, "f."+name, append(where, "--experiment", file)...)
			if c.out != "tfexample" {
				same(t, name, rows, want)
			} else if len(rows) != len(want) {
				t.Errorf("%d rows, want %d", len(rows), len(want))
			}
			if c.more != "none" && c.out != "tfexample" {
				same(t, name+" without the file", tailed(t, "f."+name, where...), want)
			}
			if raw := tailed(t, "f."+name, where[:2]...); strings.Contains(raw[0], "instance_id\":") {
				t.Errorf("the topic holds JSON: %s", raw[0])
			}
		})
	}
}

// TestBadAvro has bad lines and bad records in Avro topics: dead letters with the
// raw bytes.
func TestBadAvro(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	imps := write(t, filepath.Join(dir, "imps.jsonl"), fmt.Sprintf("{\"id\":\"a\",\"ts\":%d,\"pos\":1}\nnot json\n{\"id\":\"b\",\"ts\":%d}\n{\"id\":7,\"ts\":%d,\"pos\":1}\n", t0, t0, t0))
	clicks := write(t, filepath.Join(dir, "clicks.jsonl"), fmt.Sprintf("{\"id\":\"a\",\"ts\":%d}\n", t0+1))
	file := variant(t, dir, "bad", "topic: f.impressions\n    format: json", "topic: f.impressions\n    format: avro")
	where := []string{"--embedded", filepath.Join(dir, "broker"), "--registry", registry.URL()}
	run := execute(t, toEnd(append([]string{file, "--input", "impressions=" + imps, "--input", "clicks=" + clicks}, where...)...)...)
	if run.code != exitDone {
		t.Fatal(run.errOut)
	}
	r := atEnd(t, run.out)
	if r.Instances != 1 || r.Impressions.Dropped["bad_schema"] != 2 || r.Impressions.Dropped["bad_field"] != 1 {
		t.Errorf("%d instances, dropped %v", r.Instances, r.Impressions.Dropped)
	}
	if !strings.Contains(run.errOut, "lines do not fit") || !strings.Contains(run.errOut, "imps.jsonl:2") {
		t.Errorf("stderr says nothing of lines that do not fit: %s", run.errOut)
	}
	reasons := map[string]string{}
	for _, line := range tailed(t, "dead-letters.bad", where...) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		reasons[l.bytes(t)] = l.Reason + " " + l.Error
	}
	if !strings.Contains(reasons["not json"], "does not begin with a schema's id") || len(reasons) != 3 {
		t.Errorf("dead letters: %q", reasons)
	}
}

// TestRegistryFaults: what a registry refuses, or its absence, ends a run with
// what to do.
func TestRegistryFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	inputs := record(t, dir, 10)
	file := variant(t, dir, "refused", "format: json}", "format: avro, subject: rows}")
	args := append(append([]string{"run", "--until-end", "--listen", "127.0.0.1:0"}, inputs...), file, "--embedded", filepath.Join(dir, "broker"), "--registry", registry.URL())
	registry.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "/rows/") {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error_code":409,"message":"incompatible"}`)
		return true
	})
	fails(t, exitFailed, []string{"subject rows", "does not fit", "output.topic.subject"}, args...)
	registry.ClearInterceptors()
	missing := append(slices.Clone(args), "--set", "output.topic.register=false", "--set", "output.topic.subject=other")
	fails(t, exitFailed, []string{"subject other", "register: true"}, missing...)
}
