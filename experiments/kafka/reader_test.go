package kafka

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// thirdParty is kcat, which follows the rows while they are written, as a
// trainer would.
type thirdParty struct {
	cmd *exec.Cmd
	end chan struct{} // closed when its output ends

	mu      sync.Mutex
	rows    []string
	last    time.Time
	longest time.Duration // between two rows
}

func (r *feedRun) follow(t *testing.T) *thirdParty {
	t.Helper()
	p := &thirdParty{end: make(chan struct{})}
	p.cmd = exec.Command(provisioned.Tool(t, "kcat"), "-C", "-q", "-u", "-b", r.server.Plain, "-t", "rows", "-o", "beginning",
		"-X", "isolation.level=read_committed", "-X", "check.crcs=true", "-X", "fetch.wait.max.ms=100", "-J")
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // where stop was not reached
	go func() {
		defer close(p.end)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var m struct{ Payload string }
			if json.Unmarshal(lines.Bytes(), &m) == nil {
				p.saw(m.Payload)
			}
		}
	}()
	return p
}

func (p *thirdParty) saw(row string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.rows) > 0 { // the first comes when the first window closes
		p.longest = max(p.longest, now.Sub(p.last))
	}
	p.last = now
	p.rows = append(p.rows, row)
}

// longestStall is how long a reader may wait for the next row: a process that was
// killed comes back, and its transaction is ended.
const longestStall = 15 * time.Second

// stop waits until it has seen as many rows as there are and ends it. It may
// have seen no other rows than these, sorted, each once.
func (p *thirdParty) stop(t *testing.T, want []string) string {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for p.count() < len(want) && time.Now().Before(deadline) {
		pause(t.Context(), 10*time.Millisecond)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.end
	_ = p.cmd.Wait() // it was killed
	slices.Sort(p.rows)
	if extra, missing := difference(p.rows, want), difference(want, p.rows); len(extra)+len(missing) > 0 {
		t.Errorf("a reader throughout saw %d rows, want %d: %d surplus %v, %d missing %v", len(p.rows), len(want), len(extra), clip(extra), len(missing), clip(missing))
	}
	if p.longest > longestStall {
		t.Errorf("a reader throughout waited %s for a row, want %s at most", p.longest, longestStall)
	}
	return fmt.Sprintf("a reader throughout waited %s at the longest", p.longest.Round(time.Millisecond))
}

func (p *thirdParty) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rows)
}
