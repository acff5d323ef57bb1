package disk

import (
	"fmt"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// frameGuess is how much Read reads of a frame whose length it does not know:
// most labels come with one read.
const frameGuess = 4 << 10

// load reads block number ordinal of the file. The caller releases it.
func (l *log) load(f *file, ordinal int) (*segment.Block, error) {
	block := l.pool.Get()
	if err := l.fill(block, f, ordinal); err != nil {
		l.pool.Release(block)
		return nil, err
	}
	return block, nil
}

func (l *log) fill(block *segment.Block, f *file, ordinal int) (err error) {
	ix := &f.index[ordinal]
	if l.layout == segment.Frames {
		if err := l.s.handles.read(f, block.Room(int(ix.Bytes)), int64(ix.Off)); err != nil {
			return err
		}
		err = block.LoadFrames(f.place, ix)
	} else {
		data := l.s.room(int(ix.Bytes))
		if err := l.s.handles.read(f, data, int64(ix.Off)); err != nil {
			return err
		}
		err = block.Load(f.place, ix, ordinal, data)
	}
	if err != nil {
		return fmt.Errorf("reading segment %s: %w", l.s.handles.path(f), err)
	}
	return nil
}

// Read implements joiner.Log.
func (l *log) Read(ref joiner.Ref, e *joiner.Entry) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	f := l.files[ref.File]
	if f == nil {
		return l.unknown(ref)
	}
	buf := f.bucket.buf
	if files := f.bucket.files; files[len(files)-1] != f {
		buf = nil
	}
	if l.layout == segment.Frames {
		return l.readFrame(f, buf, ref, e)
	}
	ordinal, i := int(ref.Off/segment.MaxEntries), int(ref.Off%segment.MaxEntries)
	switch {
	case ordinal < len(f.index):
		block, err := l.loadCached(f, ordinal)
		if err != nil {
			return err
		}
		l.hold(block)
	case ordinal == len(f.index) && buf != nil:
		l.hold(buf.Hold())
	default:
		return l.unknown(ref)
	}
	if i >= l.held.Len() {
		return l.unknown(ref)
	}
	l.held.Entry(i, e)
	return nil
}

func (l *log) unknown(ref joiner.Ref) error {
	return fmt.Errorf("reading %s of task %q: there is no entry at file %d, offset %d", logNames[l.kind], l.s.task, ref.File, ref.Off)
}

// loadCached reads a block, or finds it where the last Read left it. The caller
// releases it.
func (l *log) loadCached(f *file, ordinal int) (*segment.Block, error) {
	c := &l.cached
	if c.file == f && c.ordinal == ordinal {
		return c.block.Hold(), nil
	}
	block, err := l.load(f, ordinal)
	if err != nil || block.Bytes() > l.pool.MaxBytes {
		return block, err
	}
	l.pool.Release(c.block)
	c.file, c.ordinal, c.block = f, ordinal, block
	return block.Hold(), nil
}

// readFrame reads a single frame, from the unwritten ones or with a small read.
func (l *log) readFrame(f *file, buf *segment.Block, ref joiner.Ref, e *joiner.Entry) error {
	if buf != nil && int64(ref.Off) >= f.end() {
		i := buf.FrameAt(int64(ref.Off))
		if i < 0 {
			return l.unknown(ref)
		}
		l.hold(buf.Hold())
		buf.Entry(i, e)
		return nil
	}
	ordinal := f.blockAt(ref.Off)
	if ordinal < 0 {
		return l.unknown(ref)
	}
	// The length in the frame is believed only as far as the block that it lies in reaches.
	ix := &f.index[ordinal]
	most := int(ix.Off+ix.Bytes) - int(ref.Off)
	for need := min(frameGuess, most); need > 0; {
		if need > most {
			return fmt.Errorf("reading segment %s: frame at byte %d has %d bytes of at most %d: %w", l.s.handles.path(f), ref.Off, need, most, joiner.ErrCorrupt)
		}
		if cap(l.frame) < need || cap(l.frame) > 16*labelBytes {
			l.frame = make([]byte, max(need, frameGuess))
		}
		data := l.frame[:need]
		if err := l.s.handles.read(f, data, int64(ref.Off)); err != nil {
			return err
		}
		var err error
		if need, err = segment.ReadFrame(&f.place, data, int64(ref.Off), e); err != nil {
			return fmt.Errorf("reading segment %s: %w", l.s.handles.path(f), err)
		}
	}
	return nil
}

// Each implements joiner.Log.
func (l *log) Each(sinceMS int64, fn func(ref joiner.Ref, e *joiner.Entry) error) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	first, _ := l.find(segment.BucketOf(sinceMS, l.spanMS))
	for _, b := range l.buckets[first:] {
		for n, f := range b.files {
			for ordinal := range f.index {
				block, err := l.load(f, ordinal)
				if err != nil {
					return err
				}
				if err := l.eachOf(f, ordinal, block, fn); err != nil {
					return err
				}
			}
			if n < len(b.files)-1 || b.buf == nil {
				continue
			}
			if err := l.eachOf(f, len(f.index), b.buf.Hold(), fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachOf calls fn for the entries of a block, and releases it.
func (l *log) eachOf(f *file, ordinal int, block *segment.Block, fn func(ref joiner.Ref, e *joiner.Entry) error) error {
	defer l.pool.Release(block)
	var e joiner.Entry
	for i := range block.Len() {
		ref := joiner.Ref{File: f.number, Off: uint32(ordinal*segment.MaxEntries + i)}
		if l.layout == segment.Frames {
			ref.Off = uint32(block.FrameOff(i))
		}
		block.Entry(i, &e)
		if err := fn(ref, &e); err != nil {
			return err
		}
	}
	return nil
}
