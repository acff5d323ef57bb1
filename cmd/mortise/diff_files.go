package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/instances/compare"
	"github.com/mortise-dev/mortise/instances/parquet/flat"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// instanceFiles are the files of one side of a diff, of one kind.
type instanceFiles struct {
	bucket  *objectstore.Bucket // nil for the files of this machine
	names   []string
	parquet bool
}

func (fl *instanceFiles) close() {
	if fl.bucket != nil {
		_ = fl.bucket.Close() // nothing was written
	}
}

// files finds what a place holds: Parquet files, or JSON lines where there are none.
func (o *operand) files(ctx context.Context) (*instanceFiles, error) {
	fl := &instanceFiles{}
	var all []string
	var err error
	switch info, statErr := os.Stat(o.place); {
	case o.place == stdin:
		return &instanceFiles{names: []string{stdin}}, nil
	case strings.Contains(o.place, "://"):
		all, err = fl.list(ctx, o.place)
	case statErr == nil && info.IsDir():
		all, err = walkFiles(o.place)
	default:
		if all, err = filepath.Glob(o.place); err == nil && len(all) == 0 {
			err = fmt.Errorf("there is no such file or directory")
		}
	}
	if err != nil {
		fl.close()
		return nil, err
	}
	fl.names = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasSuffix(name, ".parquet") })
	if fl.parquet = len(fl.names) > 0; !fl.parquet {
		fl.names = slices.DeleteFunc(all, func(name string) bool { return !jsonLines.MatchString(name) })
	}
	if len(fl.names) == 0 {
		fl.close()
		return nil, fmt.Errorf("there are neither Parquet files (*.parquet) nor JSON lines (*.jsonl, *.json, *.ndjson, also .gz and .zst)")
	}
	if !fl.parquet && fl.bucket != nil {
		fl.close()
		return nil, fmt.Errorf("JSON lines are read from this machine, from standard input or from a topic; an object store's files are Parquet")
	}
	return fl, nil
}

var jsonLines = regexp.MustCompile(`\.(jsonl|json|ndjson)(\.gz|\.zst)?$`)

// isHidden reports whether readers of datasets pass over a name: markers,
// manifests, and what is being written.
func isHidden(name string) bool {
	return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") && name != "." && name != ".."
}

func walkFiles(root string) (names []string, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != root && isHidden(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// list lists the objects below a URL, which may be that of one object.
func (fl *instanceFiles) list(ctx context.Context, place string) (names []string, err error) {
	at, only, query := place, "", ""
	if i := strings.IndexByte(place, '?'); i >= 0 {
		at, query = place[:i], place[i:]
	}
	if strings.HasSuffix(at, ".parquet") {
		i := strings.LastIndexByte(at, '/')
		at, only = at[:i], at[i+1:]
	}
	if fl.bucket, err = objectstore.Open(ctx, at+query); err != nil {
		return nil, err
	}
	err = fl.bucket.List(ctx, only, func(key string, _ int64, _ time.Time) error {
		if only == "" && !slices.ContainsFunc(strings.Split(key, "/"), isHidden) || key == only {
			names = append(names, key)
		}
		return nil
	})
	return names, err
}

func (fl *instanceFiles) read(ctx context.Context, o *operand, add func(compare.Row) error) error {
	if !fl.parquet {
		return readLines(ctx, fl.names, add)
	}
	layouts := map[string]*compare.Layout{}
	for _, name := range fl.names {
		if o.hasTime && !mayHold(name, o.fromMS, o.toMS) {
			continue
		}
		if err := fl.readParquet(ctx, name, layouts, add); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func readLines(ctx context.Context, names []string, add func(compare.Row) error) error {
	files, err := recorded.Open(ctx, recorded.Options{}, names...)
	if err != nil {
		return err
	}
	defer files.Close()
	r := compare.NewJSONReader()
	for n := 0; ; n++ {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row, err := r.Read(line.Data, "")
		if err == nil {
			err = add(row)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", line.File, line.Number, err)
		}
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (fl *instanceFiles) readParquet(ctx context.Context, name string, layouts map[string]*compare.Layout, add func(compare.Row) error) error {
	file, size, err := fl.open(ctx, name)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := flat.Open(file, size)
	if err != nil {
		return err
	}
	defer r.Close()
	version := versionName(r.Lookup("mortise.version"), r.Lookup("mortise.config"))
	key := version + "\x00" + strings.Join(r.Names(), "\x00")
	if layouts[key] == nil {
		layouts[key] = &compare.Layout{Names: r.Names(), Version: version}
	}
	for n := 0; ; n++ {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = add(compare.Row{Layout: layouts[key], Values: row})
		}
		if err != nil {
			return err
		}
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// open opens a file. An object is first copied to this machine: a Parquet file
// is read at many places.
func (fl *instanceFiles) open(ctx context.Context, name string) (*os.File, int64, error) {
	if fl.bucket == nil {
		f, err := os.Open(name)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, info.Size(), nil
	}
	object, err := fl.bucket.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, 0, err
	}
	defer object.Close()
	f, err := scratchFile("")
	if err != nil {
		return nil, 0, err
	}
	size, err := io.Copy(f, object)
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

var hiveHour = regexp.MustCompile(`(?:^|/)dt=(\d{4}-\d\d-\d\d)(?:/hour=(\d\d))?/`)

// mayHold reports whether a file may hold rows of a range of event time, by the
// folders it lies in.
func mayHold(name string, fromMS, toMS int64) bool {
	m := hiveHour.FindStringSubmatch(path.Clean(filepath.ToSlash(name)))
	if m == nil {
		return true
	}
	text, span := m[1]+"T00", 24*time.Hour
	if m[2] != "" {
		text, span = m[1]+"T"+m[2], time.Hour
	}
	at, err := time.Parse("2006-01-02T15", text)
	return err != nil || at.UnixMilli() < toMS && at.Add(span).UnixMilli() > fromMS
}
