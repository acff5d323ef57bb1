package disk

import (
	"crypto/rand"
	"encoding/binary"
)

// newOpening draws the number that tells the files of one opening of a store
// from those of every other: of another opening, another store, another machine.
// Files are only appended to by the opening that made them, so two copies of a
// file that have the number and the file number in common are one another's
// beginning. Checkpoints rely on it.
func newOpening() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
