package docs

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/telemetry"
)

// TestCommandsOfThePagesExist asks the command for the help of every verb that
// a page uses, and looks for the flags there.
func TestCommandsOfThePagesExist(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "mortise")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/mortise").CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
	help := map[string]string{}
	known := func(verb string) string {
		if _, asked := help[verb]; !asked {
			out, err := exec.Command(bin, append(strings.Fields(verb), "--help")...).CombinedOutput()
			if err == nil && strings.Contains(string(out), "mortise "+verb) {
				help[verb] = string(out)
			} else {
				help[verb] = ""
			}
		}
		return help[verb]
	}
	count := 0
	for name, page := range pages(t) {
		for _, c := range commands(page) {
			count++
			text := known(c.verb)
			if text == "" {
				t.Errorf("%s: there is no verb in %q", name, c.line)
				continue
			}
			for _, flag := range c.flags {
				if !regexp.MustCompile(`(?m)^\s+(-\w, )?` + flag + `\b|^\s+` + flag + `,`).MatchString(text) {
					t.Errorf("%s: %s has no %s, which %q uses", name, c.verb, flag, c.line)
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d commands found", count)
	}
}

type command struct {
	line, verb string
	flags      []string
}

// commands finds uses of mortise: in console blocks, after a prompt, and in code spans.
func commands(page string) (found []command) {
	var lines []string
	for _, block := range blocks(page, "console") {
		for _, line := range strings.Split(strings.ReplaceAll(block, "\\\n", " "), "\n") {
			if shell, ok := strings.CutPrefix(line, "$ "); ok {
				lines = append(lines, regexp.MustCompile(`\s(&&|[|&;#])(\s|$)`).Split(shell, -1)...)
			}
		}
	}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(page, -1) {
		lines = append(lines, m[1])
	}
	use := regexp.MustCompile(`^\s*(?:\S*/)?mortise ((?:bench|checkpoint) [a-z]+|[a-z]+)(.*)$`)
	for _, line := range lines {
		if m := use.FindStringSubmatch(line); m != nil {
			flags := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`).FindAllStringSubmatch(m[2], -1)
			c := command{line: line, verb: m[1]}
			for _, f := range flags {
				c.flags = append(c.flags, f[1])
			}
			found = append(found, c)
		}
	}
	return found
}

// TestMetricsAreDocumented compares operations.md with what a worker's endpoint serves, both ways.
func TestMetricsAreDocumented(t *testing.T) {
	sample := func() []experiments.Status {
		return []experiments.Status{{Pipeline: "p", Rounds: 1, Experiments: []experiments.ExperimentStatus{{Name: "e"}},
			Parking: &experiments.ParkingStatus{OldestMS: 1}, Corrections: &experiments.ParkingStatus{}, Checkpoints: &experiments.CheckpointStatus{}, Archives: []experiments.ArchiveStatus{{Partitions: []experiments.ArchivePartition{{MaxTimeMS: 1}}}}, Features: []experiments.FeatureStatus{{WatermarkMS: 1, CompleteFromMS: map[string]int64{"f": 1}}}, Dimensions: []experiments.DimensionStatus{{Experiments: []string{"e"}, Clusters: &ab.Stats{}, Changes: &experiments.ChangeStatus{FinalMS: 1}}}, Shuffles: []experiments.ShuffleStatus{{Origins: []experiments.OriginStatus{{MaxTimeMS: 1}}}},
			Tasks: []experiments.TaskStatus{{WatermarkMS: 1, CheckpointMS: 1, Takeover: experiments.Takeover{Live: 1}, Holding: "t", Inputs: []experiments.InputStatus{{Topic: "t", MaxTimeMS: 1}}}}}}
	}
	rec := httptest.NewRecorder()
	online := telemetry.NewOnline()
	online.Answered(200, 0, 1, 1)
	online.Skew("e", "f", false)
	telemetry.Handler(sample, online).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	served := unique(regexp.MustCompile(`(?m)^# HELP (mortise_\w+)`), rec.Body.String())
	documented := unique(regexp.MustCompile("(?m)^\\| `(mortise_\\w+)` \\|"), pages(t)["docs/operations.md"])
	if len(served) < 10 || !slices.Equal(served, documented) {
		t.Errorf("served:\n%s\n\ndocumented in docs/operations.md:\n%s", strings.Join(served, "\n"), strings.Join(documented, "\n"))
	}
}

func unique(pattern *regexp.Regexp, text string) (found []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}
