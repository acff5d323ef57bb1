package loading

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mortise-dev/mortise/dimjoin"
)

// mark is how far a store has been filled.
type mark struct {
	Pass  int   `json:"pass"`
	Lines int64 `json:"lines"` // of the pass that are done
}

// sink writes records of one store and how far it has come: in one where the
// store can, or to a file after the rows.
type sink struct {
	writer dimjoin.Writer
	with   marked // nil where the store keeps no positions
	path   string // of the file otherwise
}

// markName is what a load's position is kept under.
const markName = "load"

func openSink(w dimjoin.Writer, path string) *sink {
	s := &sink{writer: w, path: path}
	s.with, _ = w.(marked)
	return s
}

// begin reads how far the store is.
func (s *sink) begin(ctx context.Context) (at mark, err error) {
	var text []byte
	if s.with != nil {
		all, err := s.with.Positions(ctx)
		if err != nil {
			return at, err
		}
		text = all[markName]
	} else if text, err = os.ReadFile(s.path); errors.Is(err, os.ErrNotExist) {
		return at, nil
	} else if err != nil {
		return at, fmt.Errorf("reading how far the load is: %w", err)
	}
	if text == nil {
		return at, nil
	}
	if err := json.Unmarshal(text, &at); err != nil {
		return at, fmt.Errorf("how far the load is does not verify: %w; begin again with --restart", err)
	}
	return at, nil
}

// write writes records and how far they go.
func (s *sink) write(ctx context.Context, records []dimjoin.Record, at mark) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	if s.with != nil {
		return s.with.WriteAt(ctx, records, map[string][]byte{markName: text})
	}
	if err := s.writer.Write(ctx, records); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o777); err != nil {
		return fmt.Errorf("noting how far the load is: %w", err)
	}
	if err := os.WriteFile(s.path+".new", text, 0o666); err != nil {
		return fmt.Errorf("noting how far the load is: %w", err)
	}
	return os.Rename(s.path+".new", s.path)
}

// done forgets how far it is: the load is over.
func (s *sink) done(ctx context.Context) error {
	if s.with != nil {
		return s.with.WriteAt(ctx, nil, map[string][]byte{markName: nil})
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
