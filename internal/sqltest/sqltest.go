// Package sqltest runs real databases, PostgreSQL and MariaDB, in processes of
// their own on loopback, for tests. It belongs to no stage. .ci/provision installs
// them.
package sqltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/internal/testserver"
)

// nobody runs the databases where the test is run by root, as whom PostgreSQL
// refuses to run.
const nobody = 65534

var shared struct {
	sync.Mutex
	postgres, mariaDB *Server
}

// Server is a database that a test may kill, freeze and start again.
type Server struct {
	Addr    string // host:port
	process *testserver.Process
}

// Kill ends the server by kill -9, if it runs.
func (s *Server) Kill() { s.process.Kill() }

// Restart starts the server, which is not running, on what it has on disk.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.process.Start(t)
}

// Freeze has the server stop, as it is, until Thaw: it keeps its connections, and
// answers nothing.
func (s *Server) Freeze(t testing.TB) { s.process.Signal(t, syscall.SIGSTOP) }

// Thaw has it go on.
func (s *Server) Thaw(t testing.TB) { s.process.Signal(t, syscall.SIGCONT) }

// Postgres returns the address, host:port, of the one PostgreSQL of this test
// binary, which ends with the process. Its user is postgres, as is its database,
// and it asks for no password. Where it is not installed the test is left out.
func Postgres(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.postgres == nil {
		shared.postgres = newPostgres(t, false)
	}
	return shared.postgres.Addr
}

// MariaDB returns the address, host:port, of the one MariaDB of this test binary,
// which ends with the process. Its user is root, its database test, and it asks for
// no password. Where it is not installed the test is left out.
func MariaDB(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.mariaDB == nil {
		shared.mariaDB = newMariaDB(t, false)
	}
	return shared.mariaDB.Addr
}

// StartPostgres starts a PostgreSQL of the test's own.
func StartPostgres(t testing.TB) *Server { return newPostgres(t, true) }

// StartMariaDB starts a MariaDB of the test's own.
func StartMariaDB(t testing.TB) *Server { return newMariaDB(t, true) }

func newPostgres(t testing.TB, own bool) *Server {
	t.Helper()
	program := find(t, "postgres", "/usr/lib/postgresql/*/bin/postgres", "postgresql")
	dir, user := folder(t)
	data := filepath.Join(dir, "data")
	prepare(t, dir, user, filepath.Join(filepath.Dir(program), "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	port := fmt.Sprint(testserver.FreePort(t))
	p := testserver.New("database system is ready to accept connections", program, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir,
		"-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=50")
	return start(t, p, dir, user, port, own)
}

func newMariaDB(t testing.TB, own bool) *Server {
	t.Helper()
	program := find(t, "mariadbd", "/usr/sbin/mariadbd", "MariaDB")
	dir, user := folder(t)
	data := filepath.Join(dir, "data")
	prepare(t, dir, user, provisioned.Tool(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--skip-log-bin", "--innodb-log-file-size=8M")
	if err := os.Mkdir(filepath.Join(data, "test"), 0o777); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	if user != nil {
		if err := os.Chown(filepath.Join(data, "test"), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	flush := "0"
	if own {
		flush = "2" // what is committed survives that the process is killed
	}
	port := fmt.Sprint(testserver.FreePort(t))
	p := testserver.New("ready for connections", program, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+port,
		"--socket="+filepath.Join(dir, "s"), "--skip-grant-tables", "--skip-name-resolve", "--skip-log-bin", "--innodb-flush-log-at-trx-commit="+flush,
		"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", "--max-allowed-packet=64M", "--performance-schema=OFF")
	return start(t, p, dir, user, port, own)
}

// find finds a server's program, also where it is not on the path.
func find(t testing.TB, name, pattern, suite string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
	}
	found, _ := filepath.Glob(pattern) // the pattern is well-formed
	if len(found) == 0 {
		provisioned.Missing(t, suite, name+" is not installed: install it with make provision")
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// folder makes a folder that the database's user may write to.
func folder(t testing.TB) (dir string, user *syscall.Credential) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mortise-sqltest-") //nolint:usetesting // it outlives the test, and the server removes it
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		user = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir, user
}

func prepare(t testing.TB, dir string, user *syscall.Credential, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: user}
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

func start(t testing.TB, p *testserver.Process, dir string, user *syscall.Credential, port string, own bool) *Server {
	t.Helper()
	p.Dir, p.User, p.Env = dir, user, []string{"HOME=" + dir, "TMPDIR=" + dir}
	if p.Keep = own; own {
		t.Cleanup(func() {
			p.Kill()
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
	}
	p.Start(t)
	return &Server{"127.0.0.1:" + port, p}
}
