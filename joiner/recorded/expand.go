package recorded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the name that stands for the standard input.
const Stdin = "-"

// expand returns the files that patterns name, sorted, each once.
func expand(patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return nil, errors.New("no input files: name at least one file, or - for the standard input")
	}
	var paths []string
	for _, pattern := range patterns {
		found, err := expandOne(pattern)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

func expandOne(pattern string) ([]string, error) {
	if pattern == Stdin {
		return []string{Stdin}, nil
	}
	// A file whose name looks like a pattern is meant as it is.
	if err := check(pattern); err == nil || !strings.ContainsAny(pattern, `*?[`) || !errors.Is(err, fs.ErrNotExist) {
		return []string{filepath.Clean(pattern)}, err
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q is malformed (an unclosed [ ?): %w", pattern, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no file matches %q: check the path, and quote the pattern so that the shell leaves it alone", pattern)
	}
	for _, path := range found {
		if err := check(path); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// check reports what keeps path from being read as a file of lines.
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no such file: %s: %w", path, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("looking at input file: %w", err)
	case info.IsDir():
		return fmt.Errorf("%s is a directory: name its files, for example %s", path, filepath.Join(path, "*.jsonl"))
	}
	return nil
}
