// Package redistest runs a real Redis, in processes of its own on loopback, for
// tests. It belongs to no stage. .ci/provision installs the server.
package redistest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// Server is a Redis server that a test may kill and start again.
type Server struct {
	Addr string // host:port
	args []string
	up   string    // what it prints once it is
	life io.Closer // the supervisor's standard input
	done chan struct{}
	out  output
}

// supervise runs a server until standard input ends, as it does when the test
// process dies, however it does.
const supervise = `"$@" </dev/null & server=$!; exec <&3; cat >/dev/null; kill -9 $server; wait $server`

// Start starts a server that keeps what it was told on disk before it answers, in
// a folder of the test, and ends with the test. args are further settings, as on
// its command line. Where Redis is not installed the test is left out
// (internal/provisioned).
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, append([]string{"--dir", t.TempDir(), "--appendonly", "yes", "--appendfsync", "everysec"}, args...)...)
	t.Cleanup(s.Kill)
	return s
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the one server of this test binary, started by the first call, which
// ends with the process. It keeps nothing on disk, and its tests keep out of each
// other's way by the names of their keys.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = newServer(t, "--dir", os.TempDir(), "--appendonly", "no")
	}
	return shared.server
}

func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	program := provisioned.Tool(t, "redis-server")
	port := freePort(t)
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port), up: "Ready to accept connections"}
	s.args = append([]string{"-c", "exec 3<&0; " + supervise, "sh", program, "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--save", "", "--daemonize", "no"}, args...)
	s.Restart(t)
	return s
}

// StartSentinel starts a sentinel that watches a master under a name, and makes a
// replica the master when it is gone for half a second.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	program := provisioned.Tool(t, "redis-server")
	host, masterPort, _ := net.SplitHostPort(master.Addr)
	port, dir := freePort(t), t.TempDir()
	config := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %[3]s %[4]s %[5]s 1\nsentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n",
		port, dir, name, host, masterPort)
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port), up: "+monitor master"}
	s.args = []string{"-c", "exec 3<&0; " + supervise, "sh", program, config, "--sentinel"}
	s.Restart(t)
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server, which is not running, on what it has on disk.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	cmd := exec.Command("sh", s.args...)
	up := s.out.await(s.up)
	cmd.Stdout, cmd.Stderr = &s.out, &s.out
	var err error
	if s.life, err = cmd.StdinPipe(); err == nil {
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
	s.done = done
	select {
	case <-up:
	case <-time.After(30 * time.Second):
		s.Kill()
		t.Fatalf("redis-server is not up after 30s: %s", s.out.String())
	}
}

// Kill ends the server by kill -9, if it runs.
func (s *Server) Kill() {
	if s.done != nil {
		s.life.Close()
		<-s.done
		s.done = nil
	}
}

// freePort finds a port that nobody listens on, nor on the one ten thousand above
// it, which a cluster's servers talk to one another by.
func freePort(t testing.TB) int {
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
