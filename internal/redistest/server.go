// Package redistest runs a real Redis, in processes of its own on loopback, for
// tests. It belongs to no stage. .ci/provision installs the server.
package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/internal/testserver"
)

// Server is a Redis server that a test may kill and start again.
type Server struct {
	Addr    string // host:port
	process *testserver.Process
}

// Start starts a server that keeps what it was told on disk before it answers, in
// a folder of the test, and ends with the test. args are further settings, as on
// its command line. Where Redis is not installed the test is left out
// (internal/provisioned).
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, append([]string{"--dir", t.TempDir(), "--appendonly", "yes", "--appendfsync", "always"}, args...)...)
	t.Cleanup(s.Kill)
	return s
}

// StartTLS starts one of the caller's own that answers nobody but over TLS, and to
// those whose certificate it trusts.
func StartTLS(t testing.TB) (*Server, *testserver.Certificates) {
	t.Helper()
	c, err := testserver.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	port := testserver.FreePort(t)
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port)}
	s.process = testserver.New("Ready to accept connections", provisioned.Tool(t, "redis-server"), "--bind", "127.0.0.1", "--port", "0", "--tls-port", fmt.Sprint(port),
		"--tls-cert-file", c.ServerFile, "--tls-key-file", c.ServerFile, "--tls-ca-cert-file", c.CAFile, "--tls-auth-clients", "yes", "--save", "", "--daemonize", "no")
	s.Restart(t)
	t.Cleanup(s.Kill)
	return s, c
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
	port := testserver.FreePort(t)
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port)}
	s.process = testserver.New("Ready to accept connections", program,
		append([]string{"--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--save", "", "--daemonize", "no"}, args...)...)
	s.Restart(t)
	return s
}

// StartSentinel starts a sentinel that watches a master under a name, and makes a
// replica the master when it is gone for half a second.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	program := provisioned.Tool(t, "redis-server")
	host, masterPort, _ := net.SplitHostPort(master.Addr)
	port, dir := testserver.FreePort(t), t.TempDir()
	config := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %[3]s %[4]s %[5]s 1\nsentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n",
		port, dir, name, host, masterPort)
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port), process: testserver.New("+monitor master", program, config, "--sentinel")}
	s.Restart(t)
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server, which is not running, on what it has on disk.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.process.Start(t)
}

// Kill ends the server by kill -9, if it runs.
func (s *Server) Kill() { s.process.Kill() }
