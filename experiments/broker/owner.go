package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// presence is broker.json: who serves the directory, and where.
type presence struct {
	Addr string `json:"addr"`
	PID  int    `json:"pid"`
}

const (
	lockFile     = "broker.lock"
	presenceFile = "broker.json"
)

// InUseError says that another process runs a broker in the directory.
type InUseError struct {
	Dir  string
	PID  int    // 0 when it could not be read
	Addr string // empty when it could not be read
}

// Error names the owner and the two ways on.
func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	msg := fmt.Sprintf("the embedded broker in %s belongs to %s", e.Dir, who)
	if e.Addr != "" {
		msg += fmt.Sprintf(", which serves it on %s: connect to it with --brokers %s", e.Addr, e.Addr)
	} else {
		msg += ": wait for it or stop it"
	}
	return msg + ", or give this run another directory with --embedded DIR"
}

// ownership is the lock on a directory. The kernel drops it when the process
// ends, however it ends, so a lock left by kill -9 needs no repair.
type ownership struct {
	dir  string
	lock *os.File
}

// takeOwnership locks dir for this process, or returns *InUseError.
func takeOwnership(dir string) (*ownership, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the embedded broker's lock: %w", err)
	}
	held, err := tryLockFor(f, lockPatience)
	if err == nil && !held {
		who, _ := readPresence(dir)
		err = &InUseError{Dir: dir, PID: who.PID, Addr: who.Addr}
	}
	if err == nil {
		// What the last owner announced is stale from here on.
		err = removeIfThere(filepath.Join(dir, presenceFile))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &ownership{dir: dir, lock: f}, nil
}

// lockPatience outlasts an Attach that looks whether the lock is held.
const lockPatience = 100 * time.Millisecond

// tryLockFor tries tryLock until it succeeds, at most for patience.
func tryLockFor(f *os.File, patience time.Duration) (bool, error) {
	for until := time.Now().Add(patience); ; time.Sleep(patience / 20) {
		if held, err := tryLock(f); held || err != nil || time.Now().After(until) {
			return held, err
		}
	}
}

// announce writes broker.json, all of it or none.
func (o *ownership) announce(addr string) error {
	text, err := json.Marshal(presence{Addr: addr, PID: os.Getpid()})
	if err != nil {
		return err
	}
	path := filepath.Join(o.dir, presenceFile)
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("announcing the embedded broker: %w", err)
	}
	return os.Rename(path+".tmp", path)
}

// release removes broker.json and then the lock, in this order, so that nobody
// finds the address of a broker that is gone.
func (o *ownership) release() error {
	return errors.Join(removeIfThere(filepath.Join(o.dir, presenceFile)), o.lock.Close())
}

// Attach reports whether a broker runs in dir, in this process or another, and
// where clients reach it. A second process uses it instead of opening the log.
// A broker that is just starting counts as running once it has its address.
func Attach(dir string) (addr string, running bool) {
	who, err := readPresence(dir)
	if err != nil || who.Addr == "" {
		return "", false
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0o644)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if free, err := tryLock(f); err != nil || free {
		return "", false // left by a process that was killed; closing lets go again
	}
	return who.Addr, true
}

func readPresence(dir string) (presence, error) {
	var who presence
	text, err := os.ReadFile(filepath.Join(dir, presenceFile))
	if err != nil {
		return who, err
	}
	err = json.Unmarshal(text, &who)
	return who, err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
