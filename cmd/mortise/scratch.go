package main

import (
	"fmt"
	"io"
	"os"

	"github.com/mortise-dev/mortise/instances/compare"
)

// scratchFiles are files for a while, in a directory.
type scratchFiles struct{ dir string }

// Create implements compare.Spill.
func (s *scratchFiles) Create() (compare.Scratch, error) {
	f, err := scratchFile(s.dir)
	if err != nil {
		return nil, err
	}
	return scratch{f}, nil
}

type scratch struct{ *os.File }

// Rewind implements compare.Scratch.
func (s scratch) Rewind() (io.Reader, error) {
	_, err := s.Seek(0, io.SeekStart)
	return s.File, err
}

// Close implements compare.Scratch.
func (s scratch) Close() error {
	err := s.File.Close()
	_ = os.Remove(s.Name()) // where it could not be removed while it was open
	return err
}

// scratchFile makes a file without a name, so that nothing stays however the
// process ends. Where a file that is open cannot be removed, it stays until it
// is closed.
func scratchFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "mortise-*")
	if err != nil {
		return nil, fmt.Errorf("making a file for what does not fit into memory: %w; name another directory with --temp", err)
	}
	_ = os.Remove(f.Name())
	return f, nil
}
