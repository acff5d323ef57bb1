package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mortise-dev/mortise/instances"
)

// PartInfo is a part of the dataset.
type PartInfo struct {
	Origin string
	Range
	Rows  int64
	Bytes int64
	Files []FileInfo // by key, one a folder; none when there were no rows
}

// FileInfo is one file of a part.
type FileInfo struct {
	Key    string // below the dataset's folder
	Rows   int64
	Bytes  int64
	SHA256 string // hex
	MinMS  int64  // the least event time, ms UTC
	MaxMS  int64  // the greatest
}

// PartWriter collects the rows of one part. One goroutine uses it.
type PartWriter struct {
	dataset *Dataset
	origin  string
	from    int64
	version int    // of the experiment that made the rows
	config  string // the hash of its file

	slots map[int64]*slot
	last  *slot // that took the last row
	row   []byte
	kept  *temp // rows for which there is no memory
	rows  int64
	bytes int64 // of the rows as they are kept
	err   error // no more rows are taken, and nothing is published

	manifest *manifest // once the part is encoded
	encoded  *temp     // its files, one behind the other
	files    []extent  // where in encoded
	there    int       // how many of them have been put
}

var (
	errClosed    = errors.New("dataset: the part is published or aborted")
	errPublished = errors.New("dataset: the part is being published: it takes no more rows")
)

// MadeBy says which version of the experiment made the part's rows, and the hash of
// its file, where that is not the one of the dataset's options: rows wait in a
// topic while an experiment goes on to its next version. Such rows may lack columns
// that the experiment has now, which are null then, though they are declared as
// never null. Call it before Publish.
func (w *PartWriter) MadeBy(version int, config string) { w.version, w.config = version, config }

// Append adds one row, copied. Rows come in the origin's order. An error is of
// the local disk: the part cannot be published any more.
func (w *PartWriter) Append(in *instances.Instance) error {
	switch {
	case w.err != nil:
		return w.err
	case w.manifest != nil:
		return errPublished
	}
	number := slotOf(in.TimeMS, w.dataset.spanMS)
	if w.last == nil || w.last.number != number {
		w.turn(number)
	}
	w.row = appendRow(w.row[:0], in)
	if err := w.last.add(w.row, in.TimeMS, &w.dataset.memory, w.spill); err != nil {
		w.err = fmt.Errorf("part of %s from %d: %w", w.origin, w.from, err)
		return w.err
	}
	w.rows++
	w.bytes += int64(len(w.row))
	return nil
}

// turn goes to another folder's rows.
func (w *PartWriter) turn(number int64) {
	if w.slots == nil {
		w.slots = map[int64]*slot{}
	}
	w.last = w.slots[number]
	if w.last == nil {
		w.last = &slot{number: number}
		w.slots[number] = w.last
	}
}

func (w *PartWriter) spill() (*temp, error) {
	if w.kept != nil {
		return w.kept, nil
	}
	var err error
	w.kept, err = openTemp(w.dataset.opts.TempDir)
	return w.kept, err
}

// inOrder returns the slots in order of their folders.
func (w *PartWriter) inOrder() []*slot {
	slots := make([]*slot, 0, len(w.slots))
	for _, s := range w.slots {
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b *slot) int { return cmp.Compare(a.number, b.number) })
	return slots
}

// Rows returns how many rows have been appended.
func (w *PartWriter) Rows() int64 { return w.rows }

// Bytes returns how large the part's files would be about, if it were published
// now: by how much earlier parts have shrunk.
func (w *PartWriter) Bytes() int64 { return w.dataset.estimate(w.bytes) }

// Abort drops what has not been published. Calling it after Publish is allowed.
func (w *PartWriter) Abort() error {
	if w.err == nil {
		w.err = errClosed
	}
	return w.free()
}

// free gives back memory and disk.
func (w *PartWriter) free() error {
	for _, s := range w.slots {
		s.release(&w.dataset.memory)
	}
	err := errors.Join(w.kept.close(), w.encoded.close())
	w.slots, w.last, w.kept, w.encoded = nil, nil, nil, nil
	return err
}
