package kafkatest

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/internal/testserver"
)

// User and Password are accepted by SASL PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
// OAUTHBEARER takes any unsecured token with a subject.
const (
	User     = "u"
	Password = "pw"
)

// DefaultPartitions is what a topic gets whose maker does not say.
const DefaultPartitions = 5

// Server is one broker, which is its own controller.
type Server struct {
	Plain, SASL, TLS, MutualTLS string // addresses
	// CAFile signed the broker's certificate; CertFile and KeyFile are a
	// client's, which MutualTLS asks for. All are PEM.
	CAFile, CertFile, KeyFile string

	dir, java, classpath string
	process              *process // nil while killed
}

//go:embed pom.xml
var pom string

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Start returns the server of this test binary, started by the first call. A
// test that killed it gets it running again. The binary's TestMain must call
// Run. Without Java or the jars the test is left out (internal/provisioned).
func Start(t testing.TB) *Server {
	t.Helper()
	java := provisioned.Tool(t, "java")
	jars, err := jarsDir()
	if err != nil {
		provisioned.Missing(t, "Apache Kafka", err.Error()+": install it with make provision")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = newServer(java, jars)
	}
	if shared.err == nil && shared.server.process == nil {
		shared.err = shared.server.run()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Run runs the tests, ends the server if one was started, and returns what
// TestMain gives to os.Exit.
func Run(m *testing.M) int {
	code := m.Run()
	if s := shared.server; s != nil {
		if err := errors.Join(s.Kill(), os.RemoveAll(s.dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}

// jarsDir is where .ci/kafka copies the jars to.
func jarsDir() (string, error) {
	version := regexp.MustCompile(`<version>(.*)</version> <!-- of Apache Kafka -->`).FindStringSubmatch(pom)
	if version == nil {
		return "", errors.New("pom.xml does not say which version is Kafka's")
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	dir := filepath.Join(cache, "mortise", "kafka-"+version[1])
	_, err := os.Stat(dir)
	return dir, err
}

func newServer(java, jars string) (*Server, error) {
	dir, err := os.MkdirTemp("", "kafkatest")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, java: java, classpath: filepath.Join(jars, "*")}
	for _, step := range []func() error{s.certify, s.configure, s.format} {
		if err := step(); err != nil {
			return nil, errors.Join(fmt.Errorf("preparing Apache Kafka: %w", err), os.RemoveAll(dir))
		}
	}
	return s, nil
}

// Restart starts a killed server again, on its log and its addresses.
func (s *Server) Restart() error {
	if s.process != nil {
		return errors.New("restarting Apache Kafka: it runs: kill it first")
	}
	return s.run()
}

// Kill ends the server at once (SIGKILL), which leaves transactions open and
// the log without a clean end.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	s.process = nil
	return err
}

// certify makes the broker's certificates, as Kafka reads them, and a client's.
func (s *Server) certify() error {
	c, err := testserver.MakeCertificates(s.dir)
	if err != nil {
		return err
	}
	s.CAFile, s.CertFile, s.KeyFile = c.CAFile, c.CertFile, c.KeyFile
	return nil
}
