package joiner

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
)

// Snapshot is where a task stands: what a commit says beside the offsets. It
// goes into the store's manifest and into the committed offset's metadata, so
// that any worker can take the task over.
type Snapshot struct {
	Plan        uint64  // fingerprint of what the state depends on; the owner's
	Offsets     []int64 // per source: the next offset to read
	Lows        []int64 // per source: where a rebuild from nothing starts reading
	WatermarkMS int64
	MaxMainMS   int64
	Cursor      Cursor
	Ledgers     []mortise.Ledger
	// Labels is how many labels are held, whatever became of them so far; -1 when
	// an earlier version of the program wrote the snapshot and did not say.
	Labels int64
	// Ahead says which of the records that may be read again were refused for the
	// wall clock's sake; the owner's.
	Ahead []AheadSpan
}

// AheadSpan is a stretch of a source's records of which exactly those with event
// times from LeastMS on were refused: they lay too far ahead of the wall clock when
// they came.
type AheadSpan struct {
	Source   int
	From, To int64 // offsets [From, To)
	LeastMS  int64
}

const (
	snapshotVersion = 3
	plainVersion    = 2 // without Ahead; written as long as there is none
	firstVersion    = 1 // without Labels
)

// ErrOtherVersion says that a snapshot was written by another version of the program.
var ErrOtherVersion = errors.New("written by another version")

// Append writes the snapshot in its binary form: varints, zero counts left out.
func (s *Snapshot) Append(dst []byte) []byte {
	version := byte(plainVersion)
	if len(s.Ahead) > 0 {
		version = snapshotVersion
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, version), s.Plan)
	dst = binary.AppendUvarint(dst, uint64(len(s.Offsets)))
	for i := range s.Offsets {
		dst = binary.AppendVarint(dst, s.Offsets[i])
		dst = binary.AppendVarint(dst, s.Offsets[i]-s.Lows[i])
	}
	dst = binary.AppendVarint(dst, s.WatermarkMS)
	dst = binary.AppendVarint(dst, s.MaxMainMS)
	dst = binary.AppendVarint(dst, s.Cursor.TimeMS)
	dst = binary.AppendVarint(dst, int64(s.Cursor.Partition))
	dst = binary.AppendVarint(dst, s.Cursor.Offset)
	dst = binary.AppendUvarint(dst, uint64(len(s.Ledgers)))
	for i := range s.Ledgers {
		dst = appendLedger(dst, &s.Ledgers[i])
	}
	dst = binary.AppendVarint(dst, s.Labels)
	if len(s.Ahead) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Ahead)))
	for _, a := range s.Ahead {
		dst = binary.AppendUvarint(dst, uint64(a.Source))
		dst = binary.AppendVarint(dst, s.Offsets[a.Source]-a.From)
		dst = binary.AppendVarint(dst, a.To-a.From)
		dst = binary.AppendVarint(dst, a.LeastMS-s.WatermarkMS)
	}
	return dst
}

// ParseSnapshot reads what Append wrote.
func ParseSnapshot(b []byte) (*Snapshot, error) {
	if len(b) < 9 {
		return nil, fmt.Errorf("snapshot of %d bytes: %w", len(b), ErrCorrupt)
	}
	if b[0] < firstVersion || b[0] > snapshotVersion {
		return nil, fmt.Errorf("snapshot version %d, this program writes %d: %w", b[0], snapshotVersion, ErrOtherVersion)
	}
	r := varints{b: b[9:]}
	s := &Snapshot{Plan: binary.LittleEndian.Uint64(b[1:]), Labels: -1}
	for n := r.count(); n > 0; n-- {
		off := r.signed()
		s.Offsets, s.Lows = append(s.Offsets, off), append(s.Lows, off-r.signed())
	}
	s.WatermarkMS, s.MaxMainMS = r.signed(), r.signed()
	s.Cursor = Cursor{r.signed(), int32(r.signed()), r.signed()}
	for n := r.count(); n > 0; n-- {
		s.Ledgers = append(s.Ledgers, r.ledger())
	}
	if b[0] != firstVersion {
		s.Labels = r.signed()
	}
	if b[0] == snapshotVersion {
		r.ahead(s)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("snapshot of %d bytes: %w", len(b), ErrCorrupt)
	}
	return s, nil
}

// Equal reports whether both say the same; a nil one equals nothing.
func (s *Snapshot) Equal(o *Snapshot) bool {
	return s != nil && o != nil && bytes.Equal(s.Append(nil), o.Append(nil))
}

const metadataPrefix = "mortise1:"

// Metadata renders the snapshot as text for a committed offset.
func (s *Snapshot) Metadata() string {
	return metadataPrefix + base64.RawStdEncoding.EncodeToString(s.Append(nil))
}

// ParseMetadata reads what Metadata wrote.
func ParseMetadata(text string) (*Snapshot, error) {
	body, ok := strings.CutPrefix(text, metadataPrefix)
	if !ok {
		return nil, fmt.Errorf("offset metadata %.40q is not mortise's: %w", text, ErrOtherVersion)
	}
	b, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("reading offset metadata: %w: %w", err, ErrCorrupt)
	}
	return ParseSnapshot(b)
}

// counters lists a ledger's counts in their stored order; new ones go at the end.
func counters(l *mortise.Ledger) []*int64 {
	c := []*int64{&l.Impressions.In, &l.Impressions.Emitted, &l.Impressions.Pending, &l.Labels.In, &l.Labels.Attached,
		&l.Labels.Unmatched, &l.Labels.Late, &l.Labels.Pending, &l.Instances, &l.Positives, &l.Provisional, &l.LateEmitted}
	for r := range l.Impressions.Dropped {
		c = append(c, &l.Impressions.Dropped[r], &l.Labels.Dropped[r])
	}
	return c
}

// firstFar is the stored place of the first of farCounters: far behind those of
// the reasons, which may become more.
const firstFar = 1000

// farCounters lists the counts that most ledgers do not have, in their stored
// order; new ones go at the end.
func farCounters(l *mortise.Ledger) [3]*int64 {
	return [...]*int64{&l.Impressions.Parked, &l.Remembered, &l.Corrected}
}

func appendLedger(dst []byte, l *mortise.Ledger) []byte {
	all, far := counters(l), farCounters(l)
	n := 0
	for _, c := range far {
		if *c != 0 {
			n++
		}
	}
	for _, c := range all {
		if *c != 0 {
			n++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for i, c := range all {
		if *c != 0 {
			dst = binary.AppendUvarint(dst, uint64(i))
			dst = binary.AppendVarint(dst, *c)
		}
	}
	for i, c := range far {
		if *c != 0 {
			dst = binary.AppendUvarint(dst, uint64(firstFar+i))
			dst = binary.AppendVarint(dst, *c)
		}
	}
	return dst
}

// varints reads numbers until the first fault, which it remembers.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) signed() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) unsigned() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a length that the rest of the input can hold.
func (r *varints) count() int {
	v := r.unsigned()
	if v > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(v)
}

func (r *varints) ahead(s *Snapshot) {
	for n := r.count(); n > 0; n-- {
		source := r.unsigned()
		if source >= uint64(len(s.Offsets)) {
			r.bad = true
			return
		}
		a := AheadSpan{Source: int(source), From: s.Offsets[source] - r.signed()}
		a.To, a.LeastMS = a.From+r.signed(), s.WatermarkMS+r.signed()
		s.Ahead = append(s.Ahead, a)
	}
}

func (r *varints) ledger() (l mortise.Ledger) {
	all, far := counters(&l), farCounters(&l)
	for n := r.count(); n > 0; n-- {
		switch i, v := r.unsigned(), r.signed(); {
		case i < uint64(len(all)):
			*all[i] = v
		case i >= firstFar && i < uint64(firstFar+len(far)):
			*far[i-firstFar] = v
		default:
			r.bad = true
			return l
		}
	}
	return l
}

// Snapshot says where the task stands; offsets are per source, the next to read.
func (t *Task) Snapshot(plan uint64, offsets []int64) *Snapshot {
	s := &Snapshot{
		Plan: plan, Offsets: append([]int64(nil), offsets...), Lows: append([]int64(nil), offsets...),
		WatermarkMS: t.watermarkMS, MaxMainMS: t.maxMainMS, Cursor: t.cursor,
		Ledgers: append([]mortise.Ledger(nil), t.ledgers...), Labels: int64(t.labels.labels),
	}
	lows := map[uint16]int64{uint16(t.opts.Main): t.packs.low()}
	for kind := range NumLogs {
		t.store.Log(kind).Lows(lows)
	}
	for src, off := range lows {
		if int(src) < len(s.Lows) {
			s.Lows[src] = min(s.Lows[src], off)
		}
	}
	return s
}

// Commit makes the state durable together with the snapshot, which must be the
// present one.
func (t *Task) Commit(s *Snapshot) error {
	if err := t.packs.writeAll(); err != nil {
		return err
	}
	return t.store.Commit(s.Append(nil))
}
