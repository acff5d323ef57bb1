package recorded

import (
	"context"
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

// dataFiles says what names in folders are taken for data.
const dataFiles = "the names of data files end in .jsonl, .ndjson, .json, .csv, .tsv or .parquet, and .gz or .zst behind that"

// expand returns the files that patterns name, in order of their names, each
// once. A folder stands for the data files in and below it.
func expand(ctx context.Context, o *Options, patterns []string) ([]*file, error) {
	if len(patterns) == 0 {
		return nil, errors.New("no input files: name at least one file, or - for the standard input")
	}
	var files []*file
	far := &objects{open: o.OpenStore, stores: map[string]Store{}, sleep: o.sleep}
	for _, pattern := range patterns {
		if isURL(pattern) {
			found, err := far.expand(ctx, pattern)
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
			continue
		}
		paths, err := expandLocal(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			files = append(files, openFile(path, o.Stdin))
		}
	}
	slices.SortStableFunc(files, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(files, func(a, b *file) bool { return a.path == b.path }), nil
}

// expandLocal finds the files that a pattern names on this machine.
func expandLocal(pattern string) ([]string, error) {
	if pattern == Stdin {
		return []string{Stdin}, nil
	}
	// A file whose name looks like a pattern is meant as it is.
	if _, err := os.Stat(pattern); err == nil || !isGlob(pattern) {
		return expandPath(filepath.Clean(pattern))
	}
	g, err := parseGlob(filepath.ToSlash(pattern))
	if err != nil {
		return nil, err
	}
	var found []string
	if g.deep() {
		found, err = walkGlob(g)
	} else {
		found, err = filepath.Glob(pattern)
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, path := range found {
		if isHidden(filepath.Base(path)) && !isHidden(g[len(g)-1]) {
			continue
		}
		more, err := expandPath(path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, more...)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no file matches %q: check the path, and quote the pattern so that the shell leaves it alone", pattern)
	}
	return paths, nil
}

// expandPath returns a file itself, or the files of a folder.
func expandPath(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no such file: %s: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("looking at input file: %w", err)
	case !info.IsDir():
		return []string{path}, nil
	}
	var paths, strange []string
	err = walk(path, func(path string) {
		if _, known := formatOf(path); known {
			paths = append(paths, path)
		} else {
			strange = append(strange, path)
		}
	})
	return paths, checkFolder(path, len(paths), strange, err)
}

// checkFolder says what is wrong with a folder of the given number of data files.
func checkFolder(path string, files int, strange []string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("looking into %s: %w", path, err)
	case len(strange) > 0:
		return fmt.Errorf("%s is a directory, and holds %s, which is no data file by its name: name its files, for example %s/**/*.jsonl (%s)", path, strange[0], path, dataFiles)
	case files == 0:
		return fmt.Errorf("%s is a directory without data files: %s", path, dataFiles)
	}
	return nil
}

// walk calls each with the files in and below a folder, hidden ones left out.
func walk(root string, each func(path string)) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && isHidden(e.Name()):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.Type()&fs.ModeSymlink != 0:
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				return err // a link to a folder may lead round in a circle
			}
			each(path)
		case !e.IsDir():
			each(path)
		}
		return nil
	})
}

// walkGlob finds the files that match a pattern with **.
func walkGlob(g glob) (found []string, err error) {
	n := g.fixed()
	root := strings.Join(g[:n], "/")
	switch {
	case n == 1 && root == "":
		root = "/"
	case root == "":
		root = "."
	}
	err = walk(filepath.FromSlash(root), func(path string) {
		rel := strings.TrimPrefix(strings.TrimPrefix(filepath.ToSlash(path), strings.TrimSuffix(root, "/")), "/")
		if root == "." {
			rel = filepath.ToSlash(path)
		}
		if g[n:].match(strings.Split(rel, "/")) {
			found = append(found, path)
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}
