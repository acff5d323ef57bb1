package compare

import (
	"bytes"
	"encoding/binary"
)

// newest passes on, of the final rows of one instance and event time, those of the
// latest revision: the others have been corrected. What it reads has the event time
// where records have their revision, and the other way round; what it passes on is as
// records are, with revision 0.
type newest struct {
	from    cursor
	summary *SideSummary
	begun   bool
	ahead   []byte // the record after the one at hand
	buf     []byte
}

// next implements cursor.
func (n *newest) next() (rec []byte, err error) {
	if !n.begun {
		n.begun = true
		if n.ahead, err = n.from.next(); err != nil {
			return nil, err
		}
	}
	for n.ahead != nil {
		n.buf = append(n.buf[:0], n.ahead...)
		if n.ahead, err = n.from.next(); err != nil {
			return nil, err
		}
		at := len(idPart(n.buf))
		timeMS, revision := n.buf[at:at+8], n.buf[at+8:at+16]
		if n.ahead == nil || !bytes.HasPrefix(n.ahead, n.buf[:at+8]) || bytes.Equal(n.ahead[at+8:at+16], revision) {
			copy(revision, timeMS)
			binary.BigEndian.PutUint64(timeMS, signBit)
			return n.buf, nil
		}
		n.summary.Provisional++
		n.summary.Rows--
	}
	return nil, nil
}
