package recorded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"
)

// Store is a bucket of an object store, such as *objectstore.Bucket with what it
// knows of its errors. Its methods may be called concurrently.
type Store interface {
	// Get reads an object from byte off on: lengthBytes bytes, or all to its end
	// when that is negative. The error wraps fs.ErrNotExist when there is none.
	Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	// List calls each for the objects whose keys begin with prefix.
	List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	// Permanent reports whether it is of no use to try again after err.
	Permanent(err error) bool
}

// objects finds objects by patterns. Buckets are opened once each.
type objects struct {
	open   func(ctx context.Context, place string) (Store, error)
	stores map[string]Store
	sleep  func(ctx context.Context, d time.Duration) error
}

func isURL(pattern string) bool {
	scheme, _, ok := strings.Cut(pattern, "://")
	return ok && scheme != "" && !strings.ContainsAny(scheme, "/*?[")
}

// expand finds the objects that a URL names: one, all below a folder, or those
// that match a pattern. What stands behind ? are the store's parameters, so ?
// matches nothing in a URL.
func (s *objects) expand(ctx context.Context, pattern string) ([]*file, error) {
	scheme, rest, _ := strings.Cut(pattern, "://")
	rest, params, _ := strings.Cut(rest, "?")
	if scheme == "file" {
		return s.local(rest)
	}
	if s.open == nil {
		return nil, fmt.Errorf("%s://%s: object stores are not read here: give local files", scheme, rest)
	}
	bucket, keys, _ := strings.Cut(rest, "/")
	root := scheme + "://" + bucket
	place := root
	if params != "" {
		place += "?" + params
	}
	store := s.stores[place]
	if store == nil {
		var err error
		if store, err = s.open(ctx, place); err != nil {
			return nil, err
		}
		s.stores[place] = store
	}
	if strings.ContainsRune(bucket, '@') { // a password: it is not to be seen
		root = scheme + "://" + bucket[strings.LastIndexByte(bucket, '@')+1:]
	}
	return s.find(ctx, store, root, keys)
}

// local finds the files of a file URL.
func (s *objects) local(rest string) ([]*file, error) {
	name, err := url.PathUnescape(rest)
	if err != nil || !strings.HasPrefix(name, "/") {
		return nil, fmt.Errorf("file://%s: a file URL is file:///some/path", rest)
	}
	paths, err := expandLocal(name)
	var files []*file
	for _, path := range paths {
		files = append(files, openFile(path, nil))
	}
	return files, err
}

// find lists the objects that match keys, which may be a pattern.
func (s *objects) find(ctx context.Context, store Store, root, keys string) (files []*file, err error) {
	g, err := parseGlob(keys)
	if err != nil {
		return nil, err
	}
	prefix := strings.Join(g[:g.fixed()], "/")
	if i := strings.IndexAny(keys, "*["); i >= 0 {
		prefix = keys[:i]
	}
	folder := strings.TrimSuffix(keys, "/") + "/"
	if keys == "" {
		folder = ""
	}
	var strange []string
	inFolder := 0
	err = store.List(ctx, prefix, func(key string, sizeBytes int64, modified time.Time) error {
		f := s.file(ctx, store, root+"/"+key, key, sizeBytes, modified)
		parts := strings.Split(key, "/")
		switch {
		case key == keys, isGlob(keys) && g.match(parts) && (!isHidden(path.Base(key)) || isHidden(g[len(g)-1])) && !strings.HasSuffix(key, "/"):
			files = append(files, f)
		case !isGlob(keys) && strings.HasPrefix(key, folder) && !strings.HasSuffix(key, "/") && !hiddenBelow(key[len(folder):]):
			if _, known := formatOf(key); known {
				files = append(files, f)
			} else {
				strange = append(strange, f.name)
			}
			inFolder++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range files {
		if files[i].path == root+"/"+keys {
			return files[i : i+1], nil // there may be a folder of the same name
		}
	}
	if inFolder > 0 {
		return files, checkFolder(root+"/"+keys, len(files), strange, nil)
	}
	if len(files) > 0 {
		return files, nil
	}
	if isGlob(keys) {
		return nil, fmt.Errorf("no object matches %s/%s: check the path; * and [ ] match within a name, ** any folders", root, keys)
	}
	return nil, fmt.Errorf("no such object: %s/%s: %w", root, keys, fs.ErrNotExist)
}

func hiddenBelow(key string) bool {
	for _, part := range strings.Split(key, "/") {
		if isHidden(part) {
			return true
		}
	}
	return false
}

var errFound = errors.New("one is enough")

// file makes the file that an object is.
func (s *objects) file(ctx context.Context, store Store, name, key string, sizeBytes int64, modified time.Time) *file {
	o := &object{sizeBytes: sizeBytes, modified: modified, permanent: store.Permanent, sleep: s.sleep,
		session: func() (context.Context, context.CancelFunc) { return context.WithCancel(ctx) },
		fetch: func(ctx context.Context, off, lengthBytes int64) (io.ReadCloser, error) {
			return store.Get(ctx, key, off, lengthBytes)
		}}
	o.look = func(ctx context.Context) (size int64, at time.Time, err error) {
		size = -1
		err = store.List(ctx, key, func(other string, sizeBytes int64, modified time.Time) error {
			if other == key {
				size, at = sizeBytes, modified
			}
			return errFound // it comes first, if it is there
		})
		if errors.Is(err, errFound) {
			err = nil
		}
		return size, at, err
	}
	return &file{path: name, name: name, sizeBytes: sizeBytes, modified: modified, place: o}
}
