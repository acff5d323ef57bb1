package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// diskStates is experiments.States over one state directory.
type diskStates struct{ db *disk.DB }

// openStates opens the state directory. What does not verify is wiped: state is
// a cache of the topics.
func openStates(c *console, dir string) (*diskStates, error) {
	db, err := disk.OpenDB(dir, disk.Options{})
	if errors.Is(err, joiner.ErrCorrupt) {
		c.logger().Warn("state does not verify and is rebuilt from the topics", "dir", dir, "err", err)
		if err := disk.Wipe(dir, disk.Options{}); err != nil {
			return nil, fmt.Errorf("wiping the state in %s: %w", dir, err)
		}
		db, err = disk.OpenDB(dir, disk.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("%w; choose another with --state", err)
	}
	return &diskStates{db}, nil
}

// Open implements experiments.States.
func (s *diskStates) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	store, err := s.db.OpenStore(task, opts)
	if err != nil {
		return nil, err // not a nil *disk.Store, which would not be a nil joiner.Store
	}
	return store, nil
}

// Reset implements experiments.States.
func (s *diskStates) Reset(task string) error { return s.db.Reset(task) }

// partitions lists the partitions whose state is here, of one group. None are
// told when they can't be read, which opening them says.
func (s *diskStates) partitions(group string) (partitions []int32) {
	tasks, err := s.db.Tasks()
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		name, ok := strings.CutPrefix(task, group+"/")
		if p, err := strconv.ParseInt(name, 10, 32); ok && err == nil {
			partitions = append(partitions, int32(p))
		}
	}
	return partitions
}

// Close implements experiments.States.
func (s *diskStates) Close() error { return s.db.Close() }

// openSplitState opens the state of one split of a backfill, which lasts as long as
// it is open.
func openSplitState(c *console, dir string) (*splitState, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing what is left of an earlier run: %w", err)
	}
	states, err := openStates(c, dir)
	if err != nil {
		return nil, err
	}
	return &splitState{states, dir}, nil
}

type splitState struct {
	*diskStates
	dir string
}

// Close implements experiments.States.
func (s *splitState) Close() error { return errors.Join(s.diskStates.Close(), os.RemoveAll(s.dir)) }

const workerFile = "worker-id"

// workerID returns the name of the worker that owns a state directory, made up
// when it is new: a worker that comes back fences what it had left open.
func workerID(dir string) (string, error) {
	path := filepath.Join(dir, workerFile)
	b, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(b)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	raw := make([]byte, 6)
	_, _ = rand.Read(raw) // never fails
	id := hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(id+"\n"), 0o666); err != nil {
		return "", fmt.Errorf("writing %s: %w; make room there, or choose another directory with --state", path, err)
	}
	return id, nil
}
