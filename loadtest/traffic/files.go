package traffic

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// progressEvery is how many records lie between two calls of WriteFiles' progress.
const progressEvery = 1 << 14

// WriteFiles writes all that is left to one file a stream, such as
// dir/impressions.jsonl, each in order of arrival. ext is "jsonl", "jsonl.gz"
// or "jsonl.zst". Files appear under their names once they are whole; an error
// leaves none behind. progress, unless nil, is called now and then and at the
// end; an error that it returns, as when the user gives up, stops the writing.
func (g *Generator) WriteFiles(dir, ext string, progress func(*Summary) error) (Summary, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return g.summary, fmt.Errorf("making the directory for generated files: %w", err)
	}
	var files [NumStreams]*file
	defer func() {
		for _, f := range files {
			if f != nil {
				f.discard()
			}
		}
	}()
	for s := range files {
		f, err := createFile(filepath.Join(dir, Stream(s).String()+"."+strings.TrimPrefix(ext, ".")))
		if err != nil {
			return g.summary, err
		}
		files[s] = f
	}
	if progress == nil {
		progress = func(*Summary) error { return nil }
	}
	var e Event
	for n := 1; g.Next(&e); n++ {
		if err := files[e.Stream].writeLine(e.Line); err != nil {
			return g.summary, err
		}
		if n%progressEvery == 0 {
			if err := progress(&g.summary); err != nil {
				return g.summary, err
			}
		}
	}
	for _, f := range files {
		if err := f.publish(); err != nil {
			return g.summary, err
		}
	}
	return g.summary, progress(&g.summary)
}

// file is written aside as path + ".partial" and renamed when whole.
type file struct {
	path     string
	disk     *os.File
	buffered *bufio.Writer
	encoder  io.WriteCloser // nil for plain lines
	lines    io.Writer
}

func createFile(path string) (*file, error) {
	f := &file{path: path}
	newEncoder, err := encoderFor(path)
	if err != nil {
		return nil, err
	}
	if f.disk, err = os.Create(path + ".partial"); err != nil {
		return nil, fmt.Errorf("creating a generated file: %w", err)
	}
	f.buffered = bufio.NewWriterSize(f.disk, 1<<20)
	f.lines = f.buffered
	if newEncoder != nil {
		if f.encoder, err = newEncoder(f.buffered); err != nil {
			f.discard()
			return nil, fmt.Errorf("compressing %s: %w", path, err)
		}
		f.lines = bufio.NewWriterSize(f.encoder, 64<<10)
	}
	return f, nil
}

func encoderFor(path string) (func(io.Writer) (io.WriteCloser, error), error) {
	switch {
	case strings.HasSuffix(path, ".jsonl"):
		return nil, nil
	case strings.HasSuffix(path, ".jsonl.gz"):
		return func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }, nil
	case strings.HasSuffix(path, ".jsonl.zst"):
		return func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		}, nil
	}
	return nil, fmt.Errorf("traffic: cannot write %s: the extension must be jsonl, jsonl.gz or jsonl.zst", filepath.Base(path))
}

func (f *file) writeLine(line []byte) error {
	_, err := f.lines.Write(line)
	if err == nil {
		_, err = f.lines.Write(newline)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

var newline = []byte{'\n'}

func (f *file) publish() error {
	var err error
	if f.encoder != nil {
		err = errors.Join(f.lines.(*bufio.Writer).Flush(), f.encoder.Close())
	}
	err = errors.Join(err, f.buffered.Flush(), f.disk.Close())
	f.disk = nil
	if err == nil {
		err = os.Rename(f.path+".partial", f.path)
	}
	if err != nil {
		return fmt.Errorf("finishing %s: %w", f.path, err)
	}
	return nil
}

// discard closes and removes a file that has not been published.
func (f *file) discard() {
	if f.disk != nil {
		f.disk.Close()
		os.Remove(f.path + ".partial")
	}
}
