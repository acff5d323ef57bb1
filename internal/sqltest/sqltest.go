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
	postgres, mariaDB *server
}

type server struct {
	addr    string
	process *testserver.Process
}

// Postgres returns the address, host:port, of the one PostgreSQL of this test
// binary, which ends with the process. Its user is postgres, as is its database,
// and it asks for no password. Where it is not installed the test is left out.
func Postgres(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.postgres == nil {
		program := find(t, "postgres", "/usr/lib/postgresql/*/bin/postgres", "postgresql")
		dir, user := folder(t)
		data := filepath.Join(dir, "data")
		prepare(t, dir, user, filepath.Join(filepath.Dir(program), "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		port := fmt.Sprint(testserver.FreePort(t))
		p := testserver.New("database system is ready to accept connections", program, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir,
			"-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=50")
		shared.postgres = start(t, p, dir, user, port)
	}
	return shared.postgres.addr
}

// MariaDB returns the address, host:port, of the one MariaDB of this test binary,
// which ends with the process. Its user is root, its database test, and it asks for
// no password. Where it is not installed the test is left out.
func MariaDB(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.mariaDB == nil {
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
		port := fmt.Sprint(testserver.FreePort(t))
		p := testserver.New("ready for connections", program, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+port,
			"--socket="+filepath.Join(dir, "s"), "--skip-grant-tables", "--skip-name-resolve", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
			"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", "--max-allowed-packet=64M", "--performance-schema=OFF")
		shared.mariaDB = start(t, p, dir, user, port)
	}
	return shared.mariaDB.addr
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

func start(t testing.TB, p *testserver.Process, dir string, user *syscall.Credential, port string) *server {
	t.Helper()
	p.Dir, p.User, p.Env = dir, user, []string{"HOME=" + dir, "TMPDIR=" + dir}
	p.Start(t)
	return &server{"127.0.0.1:" + port, p}
}
