package backfill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
)

// What a trial run stands on: some records of the inputs, a scratch folder and a
// bucket, all in memory.

const (
	sampledUnits   = 8    // per source
	sampledRecords = 4000 // of each
	sampledBytes   = 4 << 20
)

// sampled is some records of an input, as an Input.
type sampled struct {
	units      []sampledUnit
	records    int64
	rawBytes   int64
	diskBytes  int64 // that were read for them
	totalBytes int64 // of the input; -1 when it cannot be known
	whole      bool  // these are all records there are
}

type sampledUnit struct {
	Unit
	records []mortise.Record
}

// sampleInput reads some records from places all over an input.
func sampleInput(ctx context.Context, in Input) (*sampled, error) {
	all := in.Units(sampledBytes)
	s := &sampled{whole: len(all) <= sampledUnits}
	before, total := in.Progress()
	s.totalBytes = total
	n := min(len(all), sampledUnits)
	for i := range n {
		u := all[i*(len(all)-1)/max(n-1, 1)]
		records, end, err := readSome(ctx, &u)
		if err != nil {
			return nil, err
		}
		s.whole = s.whole && end
		s.units = append(s.units, sampledUnit{u, records})
		s.records += int64(len(records))
		for i := range records {
			s.rawBytes += int64(len(records[i].Value))
		}
	}
	after, _ := in.Progress()
	// Files are read ahead; what is not compressed is no smaller than its records.
	s.diskBytes = max(min(after-before, s.rawBytes+s.records), 1)
	return s, nil
}

func readSome(ctx context.Context, u *Unit) (records []mortise.Record, end bool, err error) {
	r, err := u.Open(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var rec mortise.Record
	for size := 0; len(records) < sampledRecords && size < sampledBytes; size += len(rec.Value) {
		err := r.Next(&rec)
		if errors.Is(err, io.EOF) {
			return records, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		kept := rec
		kept.Key, kept.Value = slices.Clone(rec.Key), slices.Clone(rec.Value)
		records = append(records, kept)
	}
	return records, false, nil
}

// expected is how many records the whole input has, by the size of these.
func (s *sampled) expected() int64 {
	if s.whole || s.records == 0 || s.totalBytes < 0 {
		return s.records
	}
	return max(int64(float64(s.records)*float64(s.totalBytes)/float64(s.diskBytes)), s.records)
}

// trim keeps a share of the records of each unit.
func (s *sampled) trim(share float64) {
	for i := range s.units {
		u := &s.units[i]
		u.records = u.records[:min(int(math.Ceil(share*float64(len(u.records)))), len(u.records))]
	}
}

// Units implements Input.
func (s *sampled) Units(int64) (units []Unit) {
	for _, u := range s.units {
		own := u.Unit
		own.Open = func(context.Context) (Reader, error) { return &sampledReader{u.records}, nil }
		units = append(units, own)
	}
	return units
}

// Identity implements Input.
func (s *sampled) Identity() []string { return nil }

// Bytes implements Input.
func (s *sampled) Bytes() int64 { return s.rawBytes }

// Progress implements Input.
func (s *sampled) Progress() (read, total int64) { return 0, s.rawBytes }

type sampledReader struct{ left []mortise.Record }

// Next implements Reader.
func (r *sampledReader) Next(rec *mortise.Record) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	topic := rec.Topic
	*rec = r.left[0]
	rec.Topic, r.left = topic, r.left[1:]
	return nil
}

// Close implements Reader.
func (r *sampledReader) Close() error { return nil }

// shelf is objects in memory: a Bucket, and by its folder a scratch folder.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func newShelf() *shelf { return &shelf{objects: map[string][]byte{}} }

// bytes is the size of the objects whose names end so.
func (s *shelf) bytes(suffix string) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, data := range s.objects {
		if strings.HasSuffix(key, suffix) {
			n += int64(len(data))
		}
	}
	return n
}

func (s *shelf) get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if !ok {
		return nil, &fs.PathError{Op: "reading", Path: key, Err: fs.ErrNotExist}
	}
	return data, nil
}

func (s *shelf) put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = data
}

// Create implements Bucket.
func (s *shelf) Create(_ context.Context, key string, body io.Reader) error {
	data := []byte{}
	if body != nil {
		var err error
		if data, err = io.ReadAll(body); err != nil {
			return err
		}
	}
	if _, err := s.get(key); err == nil {
		return &fs.PathError{Op: "creating", Path: key, Err: fs.ErrExist}
	}
	s.put(key, data)
	return nil
}

// Get implements Bucket.
func (s *shelf) Get(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	data, err := s.get(key)
	if err != nil {
		return nil, err
	}
	data = data[min(off, int64(len(data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// List implements Bucket.
func (s *shelf) List(_ context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	s.mu.Lock()
	keys := map[string]int64{}
	var names []string
	for key, data := range s.objects {
		if strings.HasPrefix(key, prefix) {
			names = append(names, key)
			keys[key] = int64(len(data))
		}
	}
	s.mu.Unlock()
	slices.Sort(names)
	for _, key := range names {
		if err := each(key, keys[key], time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// String implements Bucket and FS.
func (s *shelf) String() string { return "memory" }

// folder is a shelf as a scratch folder.
type folder struct{ *shelf }

// Create implements FS.
func (f folder) Create(name string) (io.WriteCloser, error) {
	return &sheet{shelf: f.shelf, name: name}, nil
}

// Open implements FS.
func (f folder) Open(name string) (extsort.File, int64, error) {
	data, err := f.get(name)
	return opened{bytes.NewReader(data)}, int64(len(data)), err
}

// Rename implements FS.
func (f folder) Rename(from, to string) error {
	data, err := f.get(from)
	if err != nil {
		return err
	}
	f.put(to, data)
	return f.Remove(from)
}

// Remove implements FS. What has been sorted is kept, to be weighed.
func (f folder) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasSuffix(name, spillSuffix) {
		delete(f.objects, name)
	}
	return nil
}

// List implements FS.
func (f folder) List() (names []string, err error) {
	err = f.shelf.List(context.Background(), "", func(key string, _ int64, _ time.Time) error {
		names = append(names, key)
		return nil
	})
	return names, err
}

// sheet is a file that is being written.
type sheet struct {
	bytes.Buffer
	shelf *shelf
	name  string
}

// Close implements io.Closer.
func (s *sheet) Close() error {
	s.shelf.put(s.name, s.Bytes())
	return nil
}

type opened struct{ *bytes.Reader }

// Close implements io.Closer.
func (opened) Close() error { return nil }
