package s3test

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// User and Password are the server's credentials.
const (
	User     = "tests"
	Password = "not-a-secret"
)

//go:embed VERSION
var version string

// Server is a running server.
type Server struct {
	Addr string // host:port
	root string
	life io.Closer // the supervisor's standard input
	done chan struct{}
}

var shared struct {
	sync.Mutex
	server  *Server
	err     error
	buckets int
}

// Start returns the server of this test binary, started by the first call, which
// ends with the process. It sets the variables by which clients find its
// credentials, for this test. Where the server is not installed the test is left
// out (internal/provisioned).
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := programPath()
	if err != nil {
		provisioned.Missing(t, "S3", err.Error()+": install it with make provision")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", User)
	t.Setenv("AWS_SECRET_ACCESS_KEY", Password)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = run(program)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Bucket makes a new bucket and returns its URL.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	shared.buckets++
	name := fmt.Sprintf("bucket-%d", shared.buckets)
	if err := os.Mkdir(filepath.Join(s.root, "data", name), 0o777); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("s3://%s/some/prefix?endpoint=http://%s", name, s.Addr)
}

// programPath is where .ci/s3 puts the server.
func programPath() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	path := filepath.Join(cache, "mortise", "versitygw-"+strings.TrimSpace(version), "versitygw")
	_, err := os.Stat(path)
	return path, err
}

// supervise runs its arguments until they end or its standard input does, and
// then kills them and removes the folder $1: when the test binary ends, the server does.
const supervise = `exec 3<&0; root=$1; shift; "$@" </dev/null 3<&- & pid=$!; { read -r _ <&3; kill -9 $pid; rm -rf "$root"; } 2>/dev/null & wait $pid`

// startTries is how often a port is tried that was free a moment ago.
const startTries = 5

func run(program string) (*Server, error) {
	root, err := os.MkdirTemp("", "s3test")
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{"data", "attributes"} {
		if err := os.Mkdir(filepath.Join(root, folder), 0o777); err != nil {
			return nil, err
		}
	}
	for range startTries {
		var s *Server
		if s, err = start(program, root); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func start(program, root string) (*Server, error) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: probe.Addr().String(), root: root, done: make(chan struct{})}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(root, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", supervise, "s3", root, program, "--access", User, "--secret", Password, "--port", s.Addr, "--quiet",
		"posix", "--sidecar", filepath.Join(root, "attributes"), filepath.Join(root, "data"))
	cmd.Stdout, cmd.Stderr = log, log
	if s.life, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the S3 server: %w", err)
	}
	go func() {
		_ = cmd.Wait() // it never ends well: it is killed
		close(s.done)
	}()
	if err := s.await(); err != nil {
		said, _ := os.ReadFile(filepath.Join(root, "log"))
		return nil, errors.Join(fmt.Errorf("starting the S3 server: %w: %s", err, said), s.life.Close())
	}
	return s, nil
}

// startTimeout is an age: it takes a tenth of a second.
const startTimeout = 30 * time.Second

// await returns when the server takes connections.
func (s *Server) await() error {
	deadline := time.After(startTimeout)
	for {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return errors.New("it ended")
		case <-deadline:
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
