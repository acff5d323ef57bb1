package experiments

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/joiner"
)

// How observations outlive the process. They are entries of the log Observed, which
// is committed, copied and dropped with the rest of the task's state:
//
//	time       the latest event time of the impressions that have the row, as far as known
//	offset     of the first that has it
//	source     observedSource, so that no input is taken to be read again for it
//	flags      whether the row was read yet
//	key        the dimension's ID, 16 bytes, and the key
//	value      the key's values; then, where it was read, the answer
//
// A version is written when it begins, and again for each bucket of event time in
// which an impression has it: buckets are dropped as a whole. What waits to be read
// is written at the latest with the commit that takes its impressions for read; a
// task that is opened there asks again.

const (
	observedSource        = math.MaxUint16
	observedAsked  uint16 = 1
)

// keepVersion writes a version that the log does not have up to its last impression.
func (o *observations) keepVersion(dim int, row *observedRow, v *observedVersion) error {
	if v.loggedMS != joiner.NoTimeMS && o.bucket(v.lastMS) <= o.bucket(v.loggedMS) {
		return nil
	}
	v.loggedMS = v.lastMS
	o.value = appendAnswer(appendValues(o.value[:0], row.values), &v.answer)
	return o.keep(dim, row, v.from, v.lastMS, 0)
}

func (o *observations) bucket(timeMS int64) int64 {
	b := timeMS / o.spanMS
	if timeMS < b*o.spanMS {
		b--
	}
	return b
}

// keepAsked writes what waits to be read.
func (o *observations) keepAsked() error {
	for i := range o.dims {
		for _, row := range o.dims[i].asked {
			if err := o.keepAsk(i, row, &row.asked); err != nil {
				return err
			}
		}
		if o.flight == nil {
			continue
		}
		for _, row := range o.flight.keys[i] {
			if err := o.keepAsk(i, row, &row.flying); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *observations) keepAsk(dim int, row *observedRow, a *ask) error {
	if a.noted && o.bucket(a.lastMS) <= o.bucket(a.notedMS) {
		return nil
	}
	a.noted, a.notedMS = true, a.lastMS
	o.value = appendValues(o.value[:0], row.values)
	return o.keep(dim, row, a.from, a.lastMS, observedAsked)
}

func (o *observations) keep(dim int, row *observedRow, from, lastMS int64, flags uint16) error {
	o.key = append(append(o.key[:0], o.dims[dim].id...), row.key...)
	_, err := o.log.Append(&joiner.Entry{TimeMS: lastMS, Offset: from, Source: observedSource, Flags: flags, Key: o.key, Value: o.value})
	if err != nil {
		return fmt.Errorf("keeping what was looked up on arrival: %w", err)
	}
	return nil
}

// restore reads back what the log has.
func (o *observations) restore() error {
	err := o.log.Each(math.MinInt64, func(_ joiner.Ref, e *joiner.Entry) error { return o.restoreEntry(e) })
	if err != nil {
		return fmt.Errorf("reading back what was looked up on arrival: %w", err)
	}
	for i := range o.dims {
		for _, row := range o.dims[i].rows {
			slices.SortFunc(row.versions, func(a, b observedVersion) int { return cmp.Compare(a.from, b.from) })
		}
	}
	return o.askAgain()
}

// restoreEntry adds one entry. Impressions up to the end of its bucket may have it.
func (o *observations) restoreEntry(e *joiner.Entry) error {
	const idBytes = 16
	if len(e.Key) < idBytes {
		return fmt.Errorf("a key of %d bytes: %w", len(e.Key), joiner.ErrCorrupt)
	}
	dim := slices.IndexFunc(o.dims, func(d observedDimension) bool { return d.id != "" && d.id == string(e.Key[:idBytes]) })
	if dim < 0 {
		return nil // of an experiment that has left, or has changed
	}
	lastMS := (o.bucket(e.TimeMS)+1)*o.spanMS - 1
	data := slices.Clone(e.Value)
	values, at := readValues(data, 0)
	if at < 0 {
		return fmt.Errorf("key values of offset %d: %w", e.Offset, joiner.ErrCorrupt)
	}
	d, key := &o.dims[dim], string(e.Key[idBytes:])
	row := d.rows[key]
	if row == nil {
		row = &observedRow{key: []byte(key), values: values}
		d.rows[key] = row
	}
	v := row.versionFrom(e.Offset)
	if v == nil {
		row.newest = max(row.newest, e.Offset)
		row.versions = append(row.versions, observedVersion{from: e.Offset, lastMS: lastMS, loggedMS: joiner.NoTimeMS})
		v = &row.versions[len(row.versions)-1]
	}
	v.lastMS = max(v.lastMS, lastMS)
	if e.Flags&observedAsked != 0 {
		return nil
	}
	if v.loggedMS = max(v.loggedMS, e.TimeMS); !readAnswer(data, at, &v.answer) {
		return fmt.Errorf("the row of offset %d: %w", e.Offset, joiner.ErrCorrupt)
	}
	return nil
}

func (r *observedRow) versionFrom(offset int64) *observedVersion {
	for i := range r.versions {
		if r.versions[i].from == offset {
			return &r.versions[i]
		}
	}
	return nil
}

// askAgain asks for what had not been read: all that a key is unknown from.
func (o *observations) askAgain() error {
	for i := range o.dims {
		d := &o.dims[i]
		for _, key := range sortedKeys(d.rows) {
			row := d.rows[key]
			for n := range row.versions {
				v := &row.versions[n]
				if v.answer.Row != nil {
					continue
				}
				row.asked = ask{open: true, noted: true, from: v.from, lastMS: v.lastMS, notedMS: v.lastMS}
				for _, later := range row.versions[n+1:] {
					row.asked.lastMS, row.asked.also = max(row.asked.lastMS, later.lastMS), append(row.asked.also, later.from)
				}
				row.versions = row.versions[:n]
				d.asked = append(d.asked, row)
				o.asked++
				break
			}
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func appendValues(dst []byte, row mortise.Row) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(row)))
	for _, v := range row {
		dst = dimjoin.AppendValue(dst, v)
	}
	return dst
}

func readValues(data []byte, at int) (row mortise.Row, end int) {
	n, width := binary.Uvarint(data[at:])
	if width <= 0 || n > uint64(len(data)) {
		return nil, -1
	}
	row = make(mortise.Row, n)
	for at, i := at+width, 0; ; i++ {
		if i == len(row) {
			return row, at
		}
		if row[i], at = dimjoin.ReadValue(data, at); at < 0 {
			return nil, -1
		}
	}
}

// What an answer's first byte says beside how it was served.
const (
	answerAbsent = 0x40
	answerReject = 0x80
)

func appendAnswer(dst []byte, a *dimjoin.Answer) []byte {
	first := byte(a.Served)
	if a.Absent {
		first |= answerAbsent
	}
	if a.Reject != nil {
		dst = append(dst, first|answerReject)
		dst = dimjoin.AppendValue(dst, mortise.StringValue(a.Reject.Detail))
		return appendValues(dst, a.Row)
	}
	return appendValues(append(dst, first), a.Row)
}

func readAnswer(data []byte, at int, a *dimjoin.Answer) bool {
	if at >= len(data) {
		return false
	}
	first := data[at]
	*a = dimjoin.Answer{Served: dimjoin.Served(first &^ (answerAbsent | answerReject)), Absent: first&answerAbsent != 0}
	at++
	if first&answerReject != 0 {
		var detail mortise.Value
		if detail, at = dimjoin.ReadValue(data, at); at < 0 || detail.Kind != mortise.String {
			return false
		}
		a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Detail: string(detail.Text())}
	}
	a.Row, at = readValues(data, at)
	return at == len(data) && a.Served <= dimjoin.ServedMissing
}
