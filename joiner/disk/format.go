package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner"
)

// FORMAT is one line that ends in its own checksum, so that damage to it is not
// taken for another format:
//
//	mortise state, format 3, sum 0123456789abcdef
const (
	formatFile   = "FORMAT"
	formatName   = "mortise state, format "
	formatNumber = 3
	// summedFormat is the first format whose line has a checksum.
	summedFormat = 3
)

func formatLine(number int) string {
	text := formatName + strconv.Itoa(number)
	if number >= summedFormat {
		text += fmt.Sprintf(", sum %016x", xxh3.HashString(text))
	}
	return text + "\n"
}

var formatPattern = regexp.MustCompile(`^` + formatName + `([0-9]{1,6})(?:, sum [0-9a-f]{16})?\n$`)

// parseFormat returns the format that a FORMAT file names, 0 when it is damaged.
func parseFormat(text string) int {
	m := formatPattern.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	number, err := strconv.Atoi(m[1])
	if err != nil || formatLine(number) != text {
		return 0
	}
	return number
}

// checkFormat reads FORMAT. fs.ErrNotExist says that dir holds no state,
// joiner.ErrCorrupt that it holds some to be rebuilt: damaged, or of an earlier
// format. State of a later format is refused, and so is a directory that
// something else has its files in.
func checkFormat(fsys vfs.FS, dir string) error {
	path := fsys.PathJoin(dir, formatFile)
	text, err := readFormat(fsys, path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	number := parseFormat(text)
	switch {
	case number == formatNumber:
		return nil
	case number > formatNumber:
		return fmt.Errorf("%s says format %d, and this build of mortise reads format %d at most: use the build that made it, or another directory", path, number, formatNumber)
	}
	whose, err := examine(fsys, dir)
	switch {
	case err != nil:
		return err
	case number > 0:
		return fmt.Errorf("%s says format %d, which this build of mortise rebuilds as format %d: %w", path, number, formatNumber, joiner.ErrCorrupt)
	case whose == nobodys && missing:
		return fs.ErrNotExist
	case missing:
		return fmt.Errorf("it holds state but no file %s: %w", formatFile, joiner.ErrCorrupt)
	case whose == nobodys && !resembles(text):
		return fmt.Errorf("%s is not mortise's: it says %.40q; use another directory", path, text)
	}
	return fmt.Errorf("%s says %.60q instead of %q: %w", path, text, formatLine(formatNumber), joiner.ErrCorrupt)
}

func readFormat(fsys vfs.FS, path string) (string, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return string(text), nil
}

// resembles reports whether text may be what damage left of a FORMAT file:
// nothing, or a line of which most bytes stand where they should.
func resembles(text string) bool {
	same := 0
	for i := range min(len(text), len(formatName)) {
		if text[i] == formatName[i] {
			same++
		}
	}
	return len(text) < 4 || same*4 >= min(len(text), len(formatName))*3
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
	_, err = f.Write([]byte(formatLine(formatNumber)))
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
