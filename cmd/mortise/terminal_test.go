package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// onTerminal runs the command with a terminal for its stderr, and for its stdout
// too unless that goes to a file, and returns what the terminal showed.
func onTerminal(t *testing.T, env []string, stdout string, args ...string) string {
	t.Helper()
	quoted := "'" + strings.Join(append([]string{released(t)}, args...), "' '") + "'"
	if stdout != "" {
		quoted += " > '" + stdout + "'"
	}
	cmd := exec.Command(provisioned.Tool(t, "script"), "-q", "-e", "-c", quoted, "/dev/null")
	cmd.Env = append(os.Environ(), append(env, "TERM=xterm", "COLUMNS=100")...)
	p := begin(t, cmd)
	if code := p.wait(); code != exitDone && code != exitLint {
		t.Errorf("%s: exit code %d\n%s%s", quoted, code, p.out.String(), p.errOut.String())
	}
	return p.out.String()
}

// TestProgressOnTerminals: a bar on a terminal's stderr, nothing elsewhere, and
// the result alone on stdout.
func TestProgressOnTerminals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 200)
	args := func(name string) []string {
		return append([]string{"run", file, "--until-end", "--json", "--listen", "127.0.0.1:0", "--embedded", filepath.Join(dir, name)}, inputs...)
	}
	out := filepath.Join(dir, "summary.json")
	slow := []string{"replay", file, "--listen", "127.0.0.1:0", "--embedded", filepath.Join(dir, "slow"), "--speed", "1x", inputs[0], inputs[1]}

	if shown := onTerminal(t, nil, out, args("shown")...); !strings.Contains(shown, "kcat -b 127.0.0.1:") || !strings.Contains(shown, "f.instances") {
		t.Errorf("on a terminal run shows %q", shown)
	}
	if r := readReport(t, read(t, out)); r.Instances != 200 {
		t.Errorf("the summary beside the terminal: %+v", *r)
	}
	if shown := onTerminal(t, nil, out, slow...); !strings.Contains(shown, "publishing") || !strings.Contains(shown, "%") || read(t, out) != "f.impressions: 200 records\n" {
		t.Errorf("on a terminal replay shows %q and prints %q", shown, read(t, out))
	}
	if shown := onTerminal(t, nil, out, append(args("quiet"), "--quiet")...); shown != "" {
		t.Errorf("on a terminal run --quiet shows %q", shown)
	}
	if r := execute(t, args("piped")...); r.code != exitDone || r.errOut != "" {
		t.Errorf("without a terminal: exit code %d, stderr %q", r.code, r.errOut)
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "bad.yaml"), faulty)
	const escape = "\x1b["
	for _, c := range []struct {
		env     []string
		args    []string
		colored bool
	}{
		{nil, nil, true}, {[]string{"NO_COLOR=1"}, nil, false}, {nil, []string{"--color", "never"}, false},
		{[]string{"NO_COLOR=1"}, []string{"--color", "always"}, true},
	} {
		shown := onTerminal(t, c.env, "", append([]string{"lint", file}, c.args...)...)
		if !strings.Contains(shown, "unknown key `kee`") || strings.Contains(shown, escape) != c.colored {
			t.Errorf("%v %v: want colored %t: %q", c.env, c.args, c.colored, shown)
		}
	}
	bare := execute(t, "lint", file)
	painted := execute(t, "lint", file, "--color", "always")
	if strings.Contains(bare.out, escape) || strings.Contains(execute(t, "lint", "--json", "--color", "always", file).out, escape) {
		t.Error("color without a terminal, or in JSON")
	}
	for _, code := range []string{red, yellow, cyan, plain} {
		painted.out = strings.ReplaceAll(painted.out, code, "")
	}
	if painted.out != bare.out {
		t.Errorf("color changes the text:\n%s\nwant\n%s", painted.out, bare.out)
	}
}

// TestLogs: warnings and what --verbose adds go to stderr, as text or JSON.
func TestLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := append([]string{"run", write(t, filepath.Join(dir, "feed.yaml"), feed), "--until-end", "--json", "--listen", "127.0.0.1:0", "--embedded", filepath.Join(dir, "data"), "-v"}, record(t, dir, 20)...)
	if r := execute(t, args...); r.code != exitDone || !strings.Contains(r.errOut, "level=DEBUG") {
		t.Errorf("-v: exit code %d, stderr %q", r.code, r.errOut)
	}
	r := execute(t, append(args, "--log-format", "json")...)
	if r.code != exitDone || r.errOut == "" {
		t.Errorf("--log-format json: exit code %d, stderr %q", r.code, r.errOut)
	}
	for _, line := range lines(r.errOut) {
		if entry := decode[map[string]any](t, line); entry["level"] == nil || entry["msg"] == nil {
			t.Errorf("a log line without level or msg: %s", line)
		}
	}
}
