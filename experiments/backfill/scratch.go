package backfill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
)

// FS is the folder in which a backfill keeps what it has sorted, for as long as it
// takes. Any goroutine may use it. Directory is one.
type FS interface {
	// Create makes a file, or empties the one there is.
	Create(name string) (io.WriteCloser, error)
	// Open opens a file for reading, and tells its size. The error wraps
	// fs.ErrNotExist when there is none.
	Open(name string) (f extsort.File, size int64, err error)
	Rename(from, to string) error
	Remove(name string) error
	// List names all files.
	List() ([]string, error)
	// String names the folder, for messages.
	String() string
}

const (
	manifestName  = "backfill.json"
	spillSuffix   = ".spill"
	partialSuffix = ".partial" // of a spill that is being written
)

// manifest says what the spills of a folder are of.
type manifest struct {
	Plan   string `json:"plan"`
	Cut    int64  `json:"cut"`
	Shard  int    `json:"shard"`
	Shards int    `json:"shards"`
	Kept   []int  `json:"kept"` // splits whose records are there
}

// scratch is the spills of one shard.
type scratch struct {
	fs     FS
	seq    atomic.Int64
	spills []*extsort.Spill
	notes  []note // of spills
}

// openScratch opens a folder, and takes up what an earlier run of the same
// manifest has left there; what is of another is removed. The splits that are
// kept may have been more.
func openScratch(folder FS, want manifest) (*scratch, error) {
	s := &scratch{fs: folder}
	there, err := s.readManifest()
	if err != nil {
		return nil, err
	}
	if there == nil || !there.serves(&want) {
		if err := s.clear(there != nil); err != nil {
			return nil, err
		}
		err = s.writeManifest(&want)
	} else {
		err = s.load()
	}
	return s, err
}

func (m *manifest) serves(want *manifest) bool {
	for _, split := range want.Kept {
		if !slices.Contains(m.Kept, split) {
			return false
		}
	}
	return m.Plan == want.Plan && m.Cut == want.Cut && m.Shard == want.Shard && m.Shards == want.Shards
}

func (s *scratch) readManifest() (*manifest, error) {
	f, size, err := s.fs.Open(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.fault(err)
	}
	text := make([]byte, size)
	_, err = f.ReadAt(text, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, s.fault(err)
	}
	m := &manifest{}
	if json.Unmarshal(text, m) != nil {
		m = &manifest{} // it was being written
	}
	return m, nil
}

func (s *scratch) writeManifest(m *manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.fault(s.write(manifestName, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(text))
		return err
	}))
}

// clear removes what is there. A folder that is not a backfill's must be empty.
func (s *scratch) clear(ours bool) error {
	names, err := s.fs.List()
	if err != nil {
		return s.fault(err)
	}
	for _, name := range names {
		if !ours && !strings.HasSuffix(name, partialSuffix) {
			return fmt.Errorf("scratch folder %s holds %s, which is no backfill's: name an empty folder with --scratch", s.fs, name)
		}
		if err := s.fs.Remove(name); err != nil {
			return s.fault(err)
		}
	}
	return nil
}

// load reads which spills there are. Those that were being written are removed, as
// are those that a merged one replaces.
func (s *scratch) load() error {
	names, err := s.fs.List()
	if err != nil {
		return s.fault(err)
	}
	slices.Sort(names)
	var replaced []string
	for _, name := range names {
		if !strings.HasSuffix(name, spillSuffix) {
			if name != manifestName {
				replaced = append(replaced, name)
			}
			continue
		}
		var seq int64
		if _, err := fmt.Sscanf(name, "%d"+spillSuffix, &seq); err == nil {
			s.seq.Store(max(s.seq.Load(), seq))
		}
		spill, n, err := s.read(name)
		if errors.Is(err, extsort.ErrCorrupt) {
			return fmt.Errorf("scratch folder %s: %w: remove the folder, and run the same command again", s.fs, err)
		}
		if err != nil {
			return s.fault(err)
		}
		s.spills, s.notes = append(s.spills, spill), append(s.notes, n)
		replaced = append(replaced, n.Replaces...)
	}
	for _, name := range replaced {
		if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.fault(err)
		}
		if i := slices.IndexFunc(s.spills, func(sp *extsort.Spill) bool { return sp.Name == name }); i >= 0 {
			s.spills, s.notes = slices.Delete(s.spills, i, i+1), slices.Delete(s.notes, i, i+1)
		}
	}
	return nil
}

func (s *scratch) read(name string) (*extsort.Spill, note, error) {
	f, size, err := s.fs.Open(name)
	if err != nil {
		return nil, note{}, err
	}
	spill, err := extsort.ReadSpill(name, f, size)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, note{}, err
	}
	var n note
	if err := json.Unmarshal(spill.Note, &n); err != nil {
		return nil, note{}, fmt.Errorf("%s: note: %w", name, extsort.ErrCorrupt)
	}
	return spill, n, nil
}

// spill writes one spill file, whole or not at all.
func (s *scratch) spill(splits int, n *note, fill func(w *extsort.Writer, note []byte) error) (*extsort.Spill, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%06d%s", s.seq.Add(1), spillSuffix)
	err = s.write(name, func(w io.Writer) error { return fill(extsort.NewWriter(w, splits), text) })
	if err != nil {
		return nil, s.fault(err)
	}
	spill, _, err := s.read(name)
	return spill, s.fault(err)
}

// write writes a file aside and gives it its name when it is whole.
func (s *scratch) write(name string, fill func(io.Writer) error) error {
	f, err := s.fs.Create(name + partialSuffix)
	if err != nil {
		return err
	}
	err = fill(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename(name+partialSuffix, name)
	}
	if err != nil {
		_ = s.fs.Remove(name + partialSuffix) // what is left of it is removed by the next run
	}
	return err
}

// OpenSpill implements extsort.Opener.
func (s *scratch) OpenSpill(name string) (extsort.File, error) {
	f, _, err := s.fs.Open(name)
	if err != nil {
		return nil, s.fault(err)
	}
	return f, nil
}

// fault says where an error came from.
func (s *scratch) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("scratch folder %s: %w; the same command goes on from here, with --scratch in another place from the beginning", s.fs, err)
}

// remove removes everything: the backfill is done.
func (s *scratch) remove() error {
	names, err := s.fs.List()
	if err != nil {
		return s.fault(err)
	}
	for _, name := range names { // a manifest that is alone holds nobody up
		if err := s.fs.Remove(name); err != nil {
			return s.fault(err)
		}
	}
	return nil
}
