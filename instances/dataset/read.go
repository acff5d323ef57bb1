package dataset

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/instances/parquet"
)

// Parts calls each for the parts of the dataset, in order of origin and offset; a
// part that is not done may have some of its files. It stops at the first error.
func (d *Dataset) Parts(ctx context.Context, each func(p PartInfo, done bool) error) error {
	var parts []marker // of one origin, the newest first; done where they are
	origin := ""
	hand := func() error {
		for i := len(parts) - 1; i >= 0; i-- {
			m := parts[i]
			key := originFolder(m.origin) + partName(m.from) + m.suffix
			found, err := d.manifestAt(ctx, key, m)
			if err != nil {
				return err
			}
			if err := each(found.info(), m.suffix == doneSuffix); err != nil {
				return err
			}
		}
		parts = parts[:0]
		return nil
	}
	err := d.bucket.List(ctx, partsFolder, func(key string, _ int64, _ time.Time) error {
		m, ok := parseMarker(key)
		if !ok || m.suffix == endName {
			return nil
		}
		if m.origin != origin {
			if err := hand(); err != nil {
				return err
			}
			origin = m.origin
		}
		if n := len(parts); n == 0 || parts[n-1].from != m.from { // the done marker comes first
			parts = append(parts, m)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return hand()
}

// Object is a Parquet file of a folder.
type Object struct {
	Key   string
	Bytes int64
}

// Objects calls each for the Parquet files of a folder as its readers see them, in
// order of key: whoever wrote them, but for those in folders, or of names, that
// begin with "_" or ".".
func Objects(ctx context.Context, b Bucket, each func(o Object) error) error {
	return b.List(ctx, "", func(key string, sizeBytes int64, _ time.Time) error {
		if !strings.HasSuffix(key, fileSuffix) || isHidden(key) {
			return nil
		}
		return each(Object{key, sizeBytes})
	})
}

func isHidden(key string) bool {
	for name := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") {
			return true
		}
	}
	return false
}

// File reads one Parquet file of a folder.
type File struct {
	*parquet.Reader
	body io.Closer
}

// OpenFile opens a file of a folder. It is copied to tempDir first, where it has
// no name, unless the bucket's reader can be read at any place. The error wraps
// fs.ErrNotExist when there is none; otherwise it names the file.
func OpenFile(ctx context.Context, b Bucket, key, tempDir string) (*File, error) {
	body, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	f, err := openBody(body, tempDir)
	if err != nil {
		return nil, &fs.PathError{Op: "reading", Path: key + " in " + b.String(), Err: err}
	}
	return f, nil
}

func openBody(body io.ReadCloser, tempDir string) (*File, error) {
	if at, ok := body.(interface {
		io.ReaderAt
		Size() int64
	}); ok {
		r, err := parquet.NewReader(at, at.Size())
		if err != nil {
			return nil, errors.Join(err, body.Close())
		}
		return &File{r, body}, nil
	}
	if tempDir == "" {
		tempDir = os.TempDir()
	}
	t, err := openTemp(tempDir)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{t}, struct{ io.Reader }{body}, make([]byte, 256<<10))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, errors.Join(err, t.close())
	}
	r, err := parquet.NewReader(t.file, t.size)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return &File{r, t.file}, nil
}

// Close ends reading.
func (f *File) Close() error { return errors.Join(f.Reader.Close(), f.body.Close()) }
