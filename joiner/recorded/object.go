package recorded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

const (
	// triesInVain is how often an object is tried again without a byte of progress.
	triesInVain = 8
	firstPause  = 100 * time.Millisecond
	longPause   = 10 * time.Second
	// tailBytes are read of an object's end at once: there Parquet has its footer.
	tailBytes = 64 << 10
)

// object is a file in an object store.
type object struct {
	sizeBytes int64
	modified  time.Time
	fetch     func(ctx context.Context, off, lengthBytes int64) (io.ReadCloser, error)
	look      func(ctx context.Context) (sizeBytes int64, modified time.Time, err error)
	permanent func(err error) bool
	sleep     func(ctx context.Context, d time.Duration) error
	// session begins a context below the one that the files were opened with.
	session func() (context.Context, context.CancelFunc)
}

var errChanged = errors.New("the object is not the one that it was")

// farError is what a store gave up with.
type farError struct {
	error
	do string // what to do
}

// Error says what to do, too.
func (e *farError) Error() string { return e.error.Error() + ": " + e.do }

// Unwrap returns the store's error.
func (e *farError) Unwrap() error { return e.error }

// isFar reports whether an error is the store's, and not the data's.
func isFar(err error) bool {
	var far *farError
	return errors.As(err, &far)
}

// open implements place. The first request is made by the first read.
func (o *object) open(off int64) (io.ReadCloser, error) {
	r := &objectReader{visit: o.visit(), at: off, end: o.sizeBytes}
	return readAhead(r, r.cancel), nil
}

// openAt implements place.
func (o *object) openAt() (readerAt, error) { return &objectAt{visit: o.visit()}, nil }

// visit is an object while it is read. One goroutine uses it.
type visit struct {
	*object
	get    func(off, lengthBytes int64) (io.ReadCloser, error)
	pause  func(d time.Duration) error
	same   func() error // reports errChanged
	cancel context.CancelFunc
}

func (o *object) visit() visit {
	ctx, cancel := o.session()
	return visit{object: o, cancel: cancel,
		get:   func(off, lengthBytes int64) (io.ReadCloser, error) { return o.fetch(ctx, off, lengthBytes) },
		pause: func(d time.Duration) error { return o.sleep(ctx, d) },
		same: func() error {
			size, modified, err := o.look(ctx)
			if err == nil && (size != o.sizeBytes || !modified.Equal(o.modified)) {
				err = errChanged
			}
			return err
		}}
}

// again waits before another try, the n-th without progress. The error says that
// there is none, and what to do.
func (v *visit) again(n int, at int64, err error) error {
	gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, errChanged)
	if n < triesInVain && !gone && !v.permanent(err) {
		return v.pause(min(firstPause<<n, longPause))
	}
	where := fmt.Errorf("at byte %d of %d, %d times in vain: %w", at, v.sizeBytes, n+1, err)
	if gone {
		return &farError{where, "it was replaced or deleted while it was read; run this again when it is at rest"}
	}
	return &farError{where, "see that the store can be reached and read, and run this again"}
}

// objectReader reads bytes [at, end) of an object. Where the connection breaks
// it goes on at that byte with another one.
type objectReader struct {
	visit
	at   int64
	end  int64
	body io.ReadCloser
	vain int // tries without progress
	seen bool
}

// Read implements io.Reader.
func (r *objectReader) Read(p []byte) (int, error) {
	for r.at < r.end {
		n, err := r.try(p)
		if n > 0 {
			r.at += int64(n)
			r.vain, r.seen = 0, true
			return n, nil
		}
		if err == nil {
			continue
		}
		r.hangUp()
		if err := r.again(r.vain, r.at, err); err != nil {
			return 0, err
		}
		r.vain++
	}
	return 0, io.EOF
}

// try reads once.
func (r *objectReader) try(p []byte) (n int, err error) {
	if r.body == nil {
		if r.seen { // another connection: is it the same object?
			if err := r.same(); err != nil {
				return 0, err
			}
		}
		if r.body, err = r.get(r.at, r.end-r.at); err != nil {
			return 0, err
		}
	}
	n, err = r.body.Read(p[:min(int64(len(p)), r.end-r.at)])
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("the store ended the object too early: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

// hangUp closes the connection.
func (r *objectReader) hangUp() {
	if r.body != nil {
		_ = r.body.Close() // it has been read, or has failed
		r.body = nil
	}
}

// Close implements io.Closer.
func (r *objectReader) Close() error {
	r.cancel()
	r.hangUp()
	return nil
}

// objectAt reads an object in any order, a request each time but for its end.
// One goroutine uses it.
type objectAt struct {
	visit
	tail []byte
}

// Section returns bytes [off, off+lengthBytes) as a stream of its own, which is
// read ahead. The caller closes it.
func (r *objectAt) Section(off, lengthBytes int64) io.ReadCloser {
	s := &objectReader{visit: r.object.visit(), at: off, end: off + lengthBytes}
	return readAhead(s, s.cancel)
}

// ReadAt implements io.ReaderAt.
func (r *objectAt) ReadAt(p []byte, off int64) (int, error) {
	from := max(0, r.sizeBytes-tailBytes)
	if off >= from && r.tail == nil {
		tail := make([]byte, r.sizeBytes-from)
		if _, err := r.fill(tail, from); err != nil {
			return 0, err
		}
		r.tail = tail
	}
	if off >= from {
		n := copy(p, r.tail[min(off-from, int64(len(r.tail))):])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	return r.fill(p, off)
}

// fill reads what there is from byte off on.
func (r *objectAt) fill(p []byte, off int64) (n int, err error) {
	want := int(min(int64(len(p)), max(0, r.sizeBytes-off)))
	for vain := 0; n < want; {
		got, err := r.try(p[n:want], off+int64(n))
		if n += got; got > 0 {
			vain = 0
		}
		if err == nil {
			continue
		}
		if err := r.again(vain, off+int64(n), err); err != nil {
			return n, err
		}
		vain++
	}
	if want < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *objectAt) try(p []byte, off int64) (n int, err error) {
	body, err := r.get(off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err = io.ReadFull(body, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, errors.Join(err, body.Close())
}

// Close implements io.Closer.
func (r *objectAt) Close() error {
	r.cancel()
	return nil
}
