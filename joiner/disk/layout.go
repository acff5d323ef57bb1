package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
)

// A state directory:
//
//	FORMAT                        the line below
//	manifest/                     Pebble
//	tasks/<task>.<store number>/  segment files, named by number and log
const (
	formatFile  = "FORMAT"
	formatName  = "mortise state, format "
	formatText  = formatName + "2\n"
	manifestDir = "manifest"
	tasksDir    = "tasks"
)

// writeCategory labels segment files in Pebble's accounts of what is written.
const writeCategory vfs.DiskWriteCategory = "mortise-segment"

var logNames = [joiner.NumLogs]string{"impressions", "labels", "seen"}

// prepareDir makes dir a state directory if it is none, and refuses one of
// another format.
func prepareDir(fsys vfs.FS, dir string) error {
	err := checkFormat(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeFormat(fsys, dir)
	}
	for _, sub := range []string{manifestDir, tasksDir} {
		if err == nil {
			err = fsys.MkdirAll(fsys.PathJoin(dir, sub), 0o777)
		}
	}
	if err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// checkFormat reads FORMAT; fs.ErrNotExist says that dir holds no state.
func checkFormat(fsys vfs.FS, dir string) error {
	path := fsys.PathJoin(dir, formatFile)
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := fsys.Stat(fsys.PathJoin(dir, manifestDir)); err == nil {
			return fmt.Errorf("it has a %s folder but no file %s: %w", manifestDir, formatFile, joiner.ErrCorrupt)
		}
		return err
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if string(text) == formatText {
		return nil
	}
	if strings.HasPrefix(string(text), formatName) {
		return fmt.Errorf("%s says %q, and this build reads %q: use another directory, or the build that made this one", path, text, formatText)
	}
	return fmt.Errorf("%s says %q instead of %q: %w", path, text, formatText, joiner.ErrCorrupt)
}

// writeFormat writes FORMAT, whole, before anything else is in the directory.
func writeFormat(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	path := fsys.PathJoin(dir, formatFile)
	f, err := fsys.Create(path+".new", writeCategory)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(formatText))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return err
	}
	// No folder may outlive a loss of power that the file does not.
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	// So that the directory itself outlives a loss of power. Who may write in it
	// need not be able to read its parent, so this may fail.
	_ = syncDir(fsys, fsys.PathDir(dir))
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Wipe removes the state in dir, whatever condition it is in, and leaves other
// files alone. The directory must not be open.
func Wipe(dir string, opts Options) error {
	opts.EnsureDefaults()
	for _, name := range []string{tasksDir, manifestDir, formatFile + ".new", formatFile} {
		path := opts.FS.PathJoin(dir, name)
		if err := opts.FS.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("wiping state directory %s: %w", dir, err)
		}
	}
	return nil
}

func (db *DB) taskDir(task string, number uint64) string {
	return db.fs.PathJoin(db.dir, tasksDir, fmt.Sprintf("%s.%d", escape(task), number))
}

// escape makes any task name a file name: what is not plain becomes %xx.
func escape(task string) string {
	var b strings.Builder
	for i := range len(task) {
		switch c := task[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
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
		if !known[name] {
			if err := db.fs.RemoveAll(db.fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func fileName(kind joiner.LogKind, number uint32) string {
	return fmt.Sprintf("%010d.%s", number, logNames[kind])
}
