// Package hbasetest runs a real HBase, with its ZooKeeper and one region server in
// a process of its own on loopback, for tests. It belongs to no stage. .ci/hbase
// installs it.
package hbasetest

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/internal/testserver"
)

//go:embed pom.xml
var pom string

var versionLine = regexp.MustCompile(`<version>(.*)</version> <!-- of Apache HBase -->`)

// Server is an HBase of its own.
type Server struct {
	ZK      string // its ZooKeeper's host:port
	process *testserver.Process
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the one HBase of this test binary, which ends with the process. Its
// tests keep out of each other's way by the names of their tables. Where it is not
// installed the test is left out (internal/provisioned).
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = Start(t)
	}
	return shared.server
}

// Freeze has the server stop, as it is, until Thaw: it keeps its connections, and
// answers nothing.
func (s *Server) Freeze(t testing.TB) { s.process.Signal(t, syscall.SIGSTOP) }

// Thaw has it go on.
func (s *Server) Thaw(t testing.TB) { s.process.Signal(t, syscall.SIGCONT) }

// Kill ends it, by kill -9.
func (s *Server) Kill() { s.process.Kill() }

// log4j prints what tells that it is up, and what went wrong.
const log4j = `log4j.rootLogger=ERROR, out
log4j.logger.org.apache.hadoop.hbase.master.HMaster=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
`

// Start starts one of the caller's own, which ends with the process or by Kill.
func Start(t testing.TB) *Server {
	t.Helper()
	java := provisioned.Tool(t, "java")
	version := versionLine.FindStringSubmatch(pom)[1]
	jars := provisioned.Cached(t, "hbase-"+version, "Apache HBase "+version)
	dir, err := os.MkdirTemp("", "mortise-hbasetest-") //nolint:usetesting // it outlives the test, and the server removes it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log4j.properties"), []byte(log4j), 0o666); err != nil {
		t.Fatal(err)
	}
	port := testserver.FreePort(t)
	args := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true", "-Dlog4j.configuration=file:" + filepath.Join(dir, "log4j.properties"),
		"-cp", filepath.Join(jars, "*"), "org.apache.hadoop.hbase.master.HMaster"}
	for name, value := range map[string]string{
		"hbase.rootdir":                                "file://" + filepath.Join(dir, "root"),
		"hbase.tmp.dir":                                filepath.Join(dir, "tmp"),
		"hbase.zookeeper.property.dataDir":             filepath.Join(dir, "zk"),
		"hbase.zookeeper.property.clientPort":          fmt.Sprint(port),
		"hbase.zookeeper.quorum":                       "127.0.0.1",
		"hbase.master.port":                            "0",
		"hbase.master.info.port":                       "-1",
		"hbase.regionserver.port":                      "0",
		"hbase.regionserver.info.port":                 "-1",
		"hbase.master.hostname":                        "localhost",
		"hbase.unsafe.regionserver.hostname":           "localhost",
		"hbase.master.ipc.address":                     "127.0.0.1",
		"hbase.regionserver.ipc.address":               "127.0.0.1",
		"hbase.unsafe.stream.capability.enforce":       "false",
		"hbase.wal.provider":                           "filesystem",
		"hbase.regionserver.handler.count":             "8",
		"hbase.regionserver.metahandler.count":         "4",
		"hbase.master.start.timeout.localHBaseCluster": "60000",
		// A server that was frozen for less is not taken for dead by its ZooKeeper.
		"hbase.zookeeper.property.tickTime":           "6000",
		"zookeeper.session.timeout":                   "120000",
		"zookeeper.session.timeout.localHBaseCluster": "120000",
	} {
		args = append(args, "-D"+name+"="+value)
	}
	p := testserver.New("Master has completed initialization", java, append(args, "start")...)
	p.Dir, p.Wait = dir, 90*time.Second
	p.Start(t)
	return &Server{ZK: fmt.Sprint("127.0.0.1:", port), process: p}
}
