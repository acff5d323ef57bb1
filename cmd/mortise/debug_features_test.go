package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
)

// TestDebugTellsTiles: what debug says of a row's features is what the row has, and
// is made of tiles that lie within the window.
func TestDebugTellsTiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, inputs := write(t, filepath.Join(dir, "featured.yaml"), featured), featuredTraffic(t, dir, 600)
	args := append([]string{"debug", file}, inputs...)
	checked := 0
	for i, line := range lines(succeed(t, append(args, "--json", "--limit", "0")...)) {
		story := decode[experiments.Story](t, line)
		for _, step := range story.Steps {
			if len(step.Features) > 0 {
				t.Fatalf("without --key every row is explained: %s", line)
			}
		}
		if i%97 != 0 || story.Source != "impressions" || story.Key == "" {
			continue
		}
		told := succeed(t, append(args, "--json", "--key", story.Key)...)
		for _, line := range lines(told) {
			story := decode[experiments.Story](t, line)
			for _, step := range story.Steps {
				if step.What == "emitted" {
					checkTold(t, &step)
					checked++
				}
			}
		}
	}
	if checked < 3 {
		t.Errorf("only %d rows were checked", checked)
	}
	story := decode[experiments.Story](t, lines(succeed(t, append(args, "--json", "--limit", "1")...))[0])
	if text := succeed(t, append(args, "--key", story.Key)...); !strings.Contains(text, "imps_1h = ") || !strings.Contains(text, "which has no events") {
		t.Errorf("as text: %s", text)
	}
}

// checkTold checks what is told of one row.
func checkTold(t *testing.T, step *experiments.Step) {
	t.Helper()
	row := decode[map[string]any](t, string(step.Row))
	if len(step.Features) != 8 { // all but what is computed
		t.Errorf("%d features are told of: %+v", len(step.Features), step.Features)
	}
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	for _, f := range step.Features {
		if text(f.Value) != text(row[f.Name]) {
			t.Errorf("%s is told to be %s, the row has %s", f.Name, text(f.Value), text(row[f.Name]))
		}
		sum := 0.0
		for i, tile := range f.Tiles {
			if tile.FromMS < f.FromMS || tile.ToMS > f.ToMS || i > 0 && tile.FromMS < f.Tiles[i-1].ToMS {
				t.Errorf("%s: tile %+v of [%d, %d)", f.Name, tile, f.FromMS, f.ToMS)
			}
			if n, ok := tile.Value.(float64); ok {
				sum += n
			}
		}
		if f.Is == "count" && fmt.Sprint(sum) != fmt.Sprint(f.Value) {
			t.Errorf("%s is %v, its tiles add up to %v", f.Name, f.Value, sum)
		}
	}
}
