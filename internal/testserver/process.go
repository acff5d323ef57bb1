// Package testserver runs real servers, in processes of their own on loopback, for
// tests. It belongs to no stage.
package testserver

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a server that a test may kill and start again.
type Process struct {
	// Up is what the server prints once it is up.
	Up string
	// Wait bounds how long that takes. The default is 30 s.
	Wait time.Duration
	// Dir is where it runs. It is removed when the process has ended, unless Keep is set.
	Dir  string
	Keep bool
	// User is who runs it; nil for who runs the test.
	User *syscall.Credential
	// Env is added to the environment.
	Env []string

	args []string
	life io.Closer // the supervisor's standard input
	done chan struct{}
	out  output
}

// supervise runs a server until standard input ends, as it does when the test
// process dies, however it does. Then it removes the server's folder, if it is told
// one.
const supervise = `dir=$1; shift; "$@" </dev/null & server=$!; echo "supervised $server"; exec <&3; cat >/dev/null; exec >/dev/null 2>&1; kill -9 $server; wait $server; [ -z "$dir" ] || rm -rf "$dir" || { sleep 1; rm -rf "$dir"; }`

// New makes a process of a program that is not started yet.
func New(up, program string, args ...string) *Process {
	return &Process{Up: up, Wait: 30 * time.Second, args: append([]string{program}, args...)}
}

// Start starts the server, which is not running, on what it has on disk.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	removed := p.Dir
	if p.Keep {
		removed = ""
	}
	cmd := exec.Command("sh", append([]string{"-c", "exec 3<&0; " + supervise, "sh", removed}, p.args...)...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.User}
	cmd.Dir = p.Dir
	up := p.out.await(p.Up)
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	cmd.WaitDelay = 10 * time.Second // what the server has started may outlive it
	var err error
	if p.life, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, as all of them are
		close(done)
	}()
	p.done = done
	timer := time.NewTimer(p.Wait)
	defer timer.Stop()
	select {
	case <-up:
		return
	case <-timer.C:
	}
	p.Kill()
	t.Fatalf("%s is not up after %v: %s", p.args[0], p.Wait, p.out.String())
}

// Kill ends the server, and what it has started, by kill -9, if it runs.
func (p *Process) Kill() {
	if p.done == nil {
		return
	}
	started := p.processes()
	p.life.Close()
	<-p.done
	p.done = nil
	for _, pid := range started {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended with the server
	}
	for _, pid := range started {
		for isAlive(pid) {
			<-time.After(time.Millisecond)
		}
	}
}

var supervised = regexp.MustCompile(`(?m)^supervised (\d+)$`)

// Signal sends the server, and what it has started, a signal, such as SIGSTOP, which
// freezes them.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	all := p.processes()
	if len(all) == 0 {
		t.Fatalf("%s does not run", p.args[0])
	}
	for i, pid := range all {
		if err := syscall.Kill(pid, s); err != nil && i == 0 { // others come and go
			t.Fatal(err)
		}
	}
}

// processes are the server and those that it has started, where the system tells.
func (p *Process) processes() (all []int) {
	found := supervised.FindStringSubmatch(p.out.String())
	if p.done == nil || found == nil {
		return nil
	}
	pid, _ := strconv.Atoi(found[1]) // it is digits
	all = append(all, pid)
	for i := 0; i < len(all); i++ {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", all[i])) // none elsewhere
		for _, child := range bytes.Fields(children) {
			if pid, err := strconv.Atoi(string(child)); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// isAlive reports whether a process runs; one that nobody has waited for does not.
func isAlive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := text[bytes.LastIndexByte(text, ')')+1:]
	return !bytes.HasPrefix(state, []byte(" Z")) && !bytes.HasPrefix(state, []byte(" X"))
}

// Output is what the server printed since it was started.
func (p *Process) Output() string { return p.out.String() }

// FreePort finds a port that nobody listens on, nor on the one ten thousand above
// it, which the servers of a Redis cluster talk to one another by.
func FreePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		var l, bus net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			break
		}
		port := l.Addr().(*net.TCPAddr).Port
		bus, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+10_000))
		l.Close()
		if err == nil {
			bus.Close()
			return port
		}
	}
	t.Fatal(err)
	return 0
}

// output is what a server prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	said chan struct{}
}

// Write takes what is printed.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.said != nil && bytes.Contains(o.text.Bytes(), []byte(o.want)) {
		close(o.said)
		o.said = nil
	}
	return len(p), nil
}

// await forgets what was printed, and returns what is closed once the text is.
func (o *output) await(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
	said := make(chan struct{})
	o.want, o.said = text, said
	return said
}

// String returns what was printed.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
