package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/zeebo/xxh3"
)

const (
	// fetchBytes is how much one request reads at most, but for a larger part.
	fetchBytes = 16 << 20
	// gapBytes is how much is rather read and thrown away than asked for apart.
	gapBytes = 256 << 10
	// fetchTries is how often a request is made whose answer breaks off or does not verify.
	fetchTries = 3
	bufferSize = 256 << 10
)

// wanted is a part to read, and where its bytes belong.
type wanted struct {
	object string
	off    int64
	bytes  int64
	sum    uint64
	file   int   // of the checkpoint
	from   int64 // in the file
}

// wholePlan lists all parts of a checkpoint.
func wholePlan(m *Manifest) (parts []wanted) {
	for i := range m.Files {
		from := int64(0)
		for _, p := range m.Files[i].Parts {
			parts = append(parts, wanted{m.Objects[p.Object].Name, p.Off, p.Bytes, uint64(p.Sum), i, from})
			from += p.Bytes
		}
	}
	return parts
}

// requests groups parts into runs that one request each reads. It sorts parts.
func requests(parts []wanted) (runs [][]wanted) {
	slices.SortFunc(parts, func(a, b wanted) int { return cmp.Or(cmp.Compare(a.object, b.object), cmp.Compare(a.off, b.off)) })
	for first, i := 0, 1; i <= len(parts); i++ {
		if i < len(parts) {
			a, b, start := &parts[i-1], &parts[i], parts[first].off
			if gap := b.off - a.off - a.bytes; a.object == b.object && gap >= 0 && gap <= gapBytes && b.off+b.bytes-start <= fetchBytes {
				continue
			}
		}
		runs = append(runs, parts[first:i])
		first = i
	}
	return runs
}

// target opens what a file's bytes are written to.
type target func(file int) (w io.WriterAt, done func() error, err error)

// fetch reads and verifies the parts, and writes each to its file where open is
// not nil. Errors that wrap ErrDamaged are the checkpoint's own.
func (t *task) fetch(ctx context.Context, parts []wanted, open target) error {
	runs := requests(parts)
	return t.c.each(ctx, len(runs), func(ctx context.Context, i int) error {
		return t.fetchRun(ctx, runs[i], open)
	})
}

// errAgain marks an error that another request may not see.
var errAgain = errors.New("asked again")

func (t *task) fetchRun(ctx context.Context, run []wanted, open target) (err error) {
	for range fetchTries {
		if err = t.tryRun(ctx, run, open); !errors.Is(err, errAgain) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (t *task) tryRun(ctx context.Context, run []wanted, open target) (err error) {
	again := func(err error) error { return fmt.Errorf("object %s: %w (%w)", run[0].object, err, errAgain) }
	start, last := run[0].off, run[len(run)-1]
	body, err := t.c.bucket.Get(ctx, partKey(t.name, run[0].object), start, last.off+last.bytes-start)
	if isMissing(err) {
		return fmt.Errorf("object %s is missing: %w", run[0].object, ErrDamaged)
	}
	if err != nil {
		return again(err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	buf := make([]byte, min(bufferSize, max(last.off+last.bytes-start, 1)))
	at := start
	for i := range run {
		w := &run[i]
		_, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{io.LimitReader(body, w.off-at)}, buf)
		if err != nil {
			return again(err)
		}
		if err := fetchPart(body, w, buf, open); errors.Is(err, errRead) {
			return again(err)
		} else if err != nil {
			return err
		}
		at = w.off + w.bytes
	}
	return nil
}

// errRead marks a fault of reading, as against one of writing.
var errRead = errors.New("reading failed")

func fetchPart(body io.Reader, w *wanted, buf []byte, open target) (err error) {
	var out io.WriterAt
	if open != nil {
		var done func() error
		if out, done, err = open(w.file); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	var hash xxh3.Hasher
	for done := int64(0); done < w.bytes; {
		chunk := buf[:min(int64(len(buf)), w.bytes-done)]
		n, err := io.ReadFull(body, chunk)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it ends at byte %d of a part of %d: %w", errRead, done+int64(n), w.bytes, ErrDamaged)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errRead, err)
		}
		_, _ = hash.Write(chunk) // never fails
		if out != nil {
			if _, err := out.WriteAt(chunk, w.from+done); err != nil {
				return fmt.Errorf("writing a restored file: %w", err)
			}
		}
		done += int64(n)
	}
	if hash.Sum64() != w.sum {
		return fmt.Errorf("%w: checksum of %d bytes at byte %d: %w", errRead, w.bytes, w.off, ErrDamaged)
	}
	return nil
}
