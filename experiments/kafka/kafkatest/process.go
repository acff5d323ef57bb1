package kafkatest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// supervise runs its arguments until they end or its standard input does, and
// then kills them: when the test binary dies the broker dies with it.
const supervise = `exec 3<&0; "$@" </dev/null 3<&- & pid=$!; { read -r _ <&3; kill -9 $pid; } 2>/dev/null & wait $pid`

// startTimeout is an age: Kafka takes two or three seconds.
const startTimeout = 60 * time.Second

// heap is small, and code is compiled quickly rather than well: tests are short.
var heap = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"}

type process struct {
	life  io.Closer     // the supervisor's standard input
	ended chan struct{} // closed when it has ended
}

func (s *Server) command(args ...string) []string {
	return append(append([]string{s.java}, heap...), append([]string{"-cp", s.classpath}, args...)...)
}

// format prepares the log directory, as kafka-storage.sh does.
func (s *Server) format() error {
	args := s.command("kafka.tools.StorageTool", "format", "--cluster-id", clusterID(), "--config", s.path("server.properties"))
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, User, Password))
	}
	if output, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting its log directory: %w: %s", err, output)
	}
	return nil
}

// run starts the broker and waits until it takes connections.
func (s *Server) run() error {
	log, err := os.Create(s.path("stderr"))
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"-c", supervise, "kafka"}, s.command("kafka.Kafka", s.path("server.properties"))...)
	cmd := exec.Command("sh", args...)
	cmd.Stdout, cmd.Stderr = log, log
	life, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Apache Kafka: %w", err)
	}
	p := &process{life: life, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it never ends well: it is killed
		close(p.ended)
	}()
	if err := p.await(s.Plain); err != nil {
		said, _ := os.ReadFile(s.path("stderr"))
		_ = p.kill()
		return fmt.Errorf("starting Apache Kafka: %w: %s", err, strings.TrimSpace(string(said)))
	}
	s.process = p
	return nil
}

// await returns when addr takes connections, which Kafka does once it is ready.
func (p *process) await(addr string) error {
	deadline := time.After(startTimeout)
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended")
		case <-deadline:
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) kill() error {
	err := p.life.Close()
	<-p.ended
	return err
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }
