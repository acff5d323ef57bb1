package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// TestFeaturesOfEveryFormat has features over topics of other formats than JSON, one
// that nobody joins among them: rows are those of a backfill of the files.
func TestFeaturesOfEveryFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registry := srfake.New()
	t.Cleanup(registry.Close)
	shared, _ := sharing(t, featured, random(t))
	inputs := featuredTraffic(t, dir, 600)
	for name, text := range map[string]string{"own": featured, "shared": shared} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := t.TempDir()
			file := write(t, filepath.Join(own, "featured.yaml"), strings.NewReplacer("topic: f.impressions\n", "topic: f.impressions\n    format: protobuf\n",
				"topic: f.clicks\n", "topic: f.clicks\n    format: avro\n", "topic: f.queries\n", "topic: f.queries\n    format: avro\n").Replace(text))
			where := []string{"--embedded", filepath.Join(own, "data"), "--registry", registry.URL()}
			if r := runToEnd(t, slices.Concat(inputs, where, []string{file})...); r.Instances != 600 {
				t.Fatalf("%+v", r)
			}
			out := filepath.Join(own, "out")
			succeed(t, slices.Concat([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(own, "scratch")}, inputs)...)
			if r := execute(t, append([]string{"diff", "topic:f.instances", out}, where[:2]...)...); r.code != exitDone {
				t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
			}
			if rows := tailed(t, "f.instances", where[:2]...); !slices.ContainsFunc(rows, func(row string) bool { return !strings.Contains(row, `"clicks_10m":0,`) }) {
				t.Error("no row has clicks")
			}
		})
	}
}
