package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/internal/pebblefs"
	"github.com/mortise-dev/mortise/joiner"
)

// What lies in a directory by the names of ours is removed only if it looks like
// ours: a path given by mistake must not cost anybody's files.
var (
	storeName   = regexp.MustCompile(`^([a-z0-9_-]|%[0-9a-f]{2})+\.[0-9]+$`)
	segmentName = regexp.MustCompile(`^[0-9]{10,}\.(` + strings.Join(logNames[:], "|") + `)$`)
	pebbleName  = regexp.MustCompile(`^(LOCK|CURRENT(\..*)?|(MANIFEST|OPTIONS)-[0-9]+|[0-9]+(-[0-9]+)?\.(log|sst|blob)|marker\..*|(temporary|CURRENT|OPTIONS|MANIFEST).*\.dbtmp|REMOTE-OBJ-CATALOG-[0-9]+)$`)
)

// owner says whose the folders of a state directory are, as far as their names tell.
type owner int

const (
	nobodys owner = iota // there are none, or they are empty
	ours
)

// examine looks into the folders of dir that have the names of ours. Something
// in them that is not ours is an error that names it.
func examine(fsys vfs.FS, dir string) (owner, error) {
	whose := nobodys
	for _, folder := range []struct {
		name string
		is   func(path, name string) (bool, error)
	}{
		{manifestDir, func(_, name string) (bool, error) { return pebbleName.MatchString(name), nil }},
		{tasksDir, func(path, name string) (bool, error) { return isStore(fsys, path, name) }},
	} {
		path := fsys.PathJoin(dir, folder.name)
		names, err := fsys.List(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nobodys, fmt.Errorf("looking for state in %s: %w", path, err)
		}
		for _, name := range names {
			is, err := folder.is(fsys.PathJoin(path, name), name)
			if err != nil {
				return nobodys, err
			}
			if !is {
				return nobodys, fmt.Errorf("%s is not mortise's, so nothing in %s is touched: use another directory, or move it away", fsys.PathJoin(path, name), dir)
			}
			whose = ours
		}
	}
	return whose, nil
}

// isStore reports whether path is a store's folder: by its name, and because it
// holds segments only.
func isStore(fsys vfs.FS, path, name string) (bool, error) {
	if !storeName.MatchString(name) {
		return false, nil
	}
	info, err := fsys.Stat(path)
	if err != nil {
		return false, fmt.Errorf("looking for state in %s: %w", path, err)
	}
	if !info.IsDir() {
		return false, nil
	}
	names, err := fsys.List(path)
	if err != nil {
		return false, fmt.Errorf("looking for state in %s: %w", path, err)
	}
	for _, name := range names {
		if !segmentName.MatchString(name) {
			return false, nil
		}
	}
	return true, nil
}

// Wipe removes the state in dir, whatever condition it is in, and leaves other
// files alone. Where something else lies among it, nothing is removed, and the
// error names it. The directory must not be open.
func Wipe(dir string, opts Options) error {
	opts.EnsureDefaults()
	err := checkFormat(opts.FS, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it holds no state
	}
	if err == nil || errors.Is(err, joiner.ErrCorrupt) {
		_, err = examine(opts.FS, dir)
	}
	if err != nil {
		return fmt.Errorf("wiping state directory %s: %w", dir, err)
	}
	for _, name := range []string{tasksDir, manifestDir, formatFile + ".new", formatFile, pebblefs.DamagedFile} {
		path := opts.FS.PathJoin(dir, name)
		if err := opts.FS.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("wiping state directory %s: %w", dir, err)
		}
	}
	return nil
}

// removeStore removes a store's folder. What else somebody has put there stays.
func removeStore(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	others := 0
	for _, name := range names {
		if !segmentName.MatchString(name) {
			others++
		} else if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	if others > 0 {
		return nil
	}
	return fsys.Remove(dir)
}

// removeStrays removes the folders of stores that the manifest does not know:
// discarded ones whose files a crash left behind.
func (db *DB) removeStrays() error {
	tasks, err := db.Tasks()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, task := range tasks {
		number, err := db.storeNumber(task)
		if err != nil {
			return err
		}
		known[db.fs.PathBase(db.taskDir(task, number))] = true
	}
	dir := db.fs.PathJoin(db.dir, tasksDir)
	names, err := db.fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if known[name] {
			continue
		}
		path := db.fs.PathJoin(dir, name)
		is, err := isStore(db.fs, path, name)
		if err == nil && is {
			err = removeStore(db.fs, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
