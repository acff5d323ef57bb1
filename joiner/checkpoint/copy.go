package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner/disk"
)

// copy puts the packs into the bucket, an object each, and lets go of the files
// that need no copying.
func (t *task) copy(ctx context.Context, capture *disk.Capture, p *plan) error {
	packs := p.packs(&t.c.opts)
	needed := make([]bool, len(capture.Files))
	for _, pack := range packs {
		for _, pc := range pack {
			needed[pc.file] = true
		}
	}
	for i := range capture.Files {
		if !needed[i] {
			if err := capture.Files[i].Release(); err != nil {
				return err
			}
		}
	}
	u := t.upload
	first := u.copied
	u.copied += len(packs)
	return t.c.each(ctx, len(packs), func(ctx context.Context, i int) error {
		object := fmt.Sprintf("%s.%06d", u.id, first+i+1)
		sizeBytes, err := t.copyPack(ctx, capture, packs[i], object)
		if err != nil {
			return fmt.Errorf("writing object %s: %w", object, err)
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		p.objects[object] = sizeBytes
		for _, pc := range packs[i] {
			pc.object = object
			u.parts = append(u.parts, copied{capture.Files[pc.file].ID, pc.placed, sizeBytes})
		}
		return nil
	})
}

func (t *task) copyPack(ctx context.Context, capture *disk.Capture, pack []*piece, object string) (sizeBytes int64, err error) {
	r := &packReader{files: capture.Files, pack: pack}
	err = t.c.bucket.Put(ctx, partKey(t.name, object), r)
	err = errors.Join(err, r.close())
	if err != nil {
		return 0, err
	}
	if r.at < len(pack) {
		return 0, fmt.Errorf("the bucket took %d of its %d parts and said no error", r.at, len(pack))
	}
	return r.bytes, nil
}

// packReader reads the pieces of a pack, one after another, and sums each up.
type packReader struct {
	files []disk.CapturedFile
	pack  []*piece
	at    int   // piece being read
	done  int64 // bytes of it
	bytes int64 // read in all
	hash  xxh3.Hasher
	open  interface {
		io.ReaderAt
		io.Closer
	}
}

// Read implements io.Reader.
func (r *packReader) Read(buf []byte) (int, error) {
	if r.at == len(r.pack) {
		return 0, io.EOF
	}
	pc := r.pack[r.at]
	f := &r.files[pc.file]
	if r.open == nil {
		var err error
		if r.open, err = f.Open(); err != nil {
			return 0, err
		}
		r.hash.Reset()
	}
	buf = buf[:min(int64(len(buf)), pc.bytes-r.done)]
	n, err := r.open.ReadAt(buf, pc.from+r.done)
	_, _ = r.hash.Write(buf[:n]) // never fails
	r.done += int64(n)
	r.bytes += int64(n)
	if n < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, fmt.Errorf("reading byte %d of segment file %d: %w", pc.from+r.done, f.ID.Number, err)
	}
	if r.done < pc.bytes {
		return n, nil
	}
	pc.sum = r.hash.Sum64()
	r.at, r.done = r.at+1, 0
	return n, r.close()
}

func (r *packReader) close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
