package experiments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
)

// parkedRow is one experiment's row of a closed impression that waits for
// dimensions, or was written without them and may be corrected. It has all that the row is made of, so that nothing else has to be
// kept for it: the impression as the task keeps it, its labels, its features, and
// what was looked up.
//
// In the topic of parked rows it is a record, and no longer waits with the
// tombstone of its key:
//
//	key      EXPERIMENT/OFFSET of the impression
//	value    1, the format
//	         bits: positive, late, written
//	         since, until, event time, partition, offset    varints
//	         the revision, where it was written              varint
//	         weight                                          8 bytes
//	         instance_id
//	         labels                                          name, sum, first, count
//	         features                                        ID, value
//	         dimensions                                      ID, bits, as of, key, its values, answer
//	         the impression's value
//
// Texts and lists have their length before them, as a uvarint. Labels, features
// and dimensions are named, so that a row is made whole by the next version of
// the experiment as well.
type parkedRow struct {
	exp      int
	entry    joiner.Entry // without key and source
	sinceMS  int64        // wall clock: when it began to wait
	untilMS  int64        // and when that is over
	revision int32        // of the row that was written last; notWritten where it waits to be
	positive bool
	late     bool
	weight   float64
	id       []byte
	labels   []parkedLabel
	features []parkedFeature
	dims     []parkedAnswer

	bytes int64 // of memory, about
	gone  bool  // it is written, or was thrown out
}

type parkedLabel struct {
	name  []byte
	value instances.LabelValue
}

type parkedFeature struct {
	id    []byte
	value mortise.Value
}

// parkedAnswer is a lookup as it was answered last.
type parkedAnswer struct {
	id      []byte
	dim     int // in Pipeline.Dimensions; -1 where rows no longer need it
	awaited bool
	answer  dimjoin.Answer
}

const (
	parkedFormat = 1

	parkedPositive byte = 1
	parkedLate     byte = 2
	parkedWritten  byte = 4

	notWritten int32 = -1

	answerAwaited byte = 1
	answerHasKey  byte = 2
)

// parkedOverhead is about what a row takes of memory beside its record, and
// parkedItem each label, feature and dimension of it.
const (
	parkedOverhead = 256
	parkedItem     = 128
)

func appendParkedKey(dst []byte, experiment string, offset int64) []byte {
	return strconv.AppendInt(append(append(dst, experiment...), '/'), offset, 10)
}

// readParkedKey splits what appendParkedKey wrote.
func readParkedKey(key []byte) (experiment string, offset int64, ok bool) {
	name, number, found := strings.Cut(string(key), "/")
	offset, err := strconv.ParseInt(number, 10, 64)
	return name, offset, found && err == nil
}

func appendText(dst, text []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// append writes the row's value.
func (p *parkedRow) append(dst []byte) []byte {
	bits := byte(0)
	if p.positive {
		bits |= parkedPositive
	}
	if p.late {
		bits |= parkedLate
	}
	if p.revision != notWritten {
		bits |= parkedWritten
	}
	dst = append(dst, parkedFormat, bits)
	for _, n := range [...]int64{p.sinceMS, p.untilMS, p.entry.TimeMS, int64(p.entry.Partition), p.entry.Offset} {
		dst = binary.AppendVarint(dst, n)
	}
	if p.revision != notWritten {
		dst = binary.AppendVarint(dst, int64(p.revision))
	}
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.weight))
	dst = appendText(dst, p.id)
	dst = binary.AppendUvarint(dst, uint64(len(p.labels)))
	for i := range p.labels {
		l := &p.labels[i]
		dst = appendText(dst, l.name)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(l.value.Value))
		dst = binary.AppendVarint(binary.AppendVarint(dst, l.value.FirstMS), l.value.Count)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.features)))
	for i := range p.features {
		dst = dimjoin.AppendValue(appendText(dst, p.features[i].id), p.features[i].value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.dims)))
	for i := range p.dims {
		dst = p.dims[i].append(dst)
	}
	return appendText(dst, p.entry.Value)
}

func (d *parkedAnswer) append(dst []byte) []byte {
	bits := byte(0)
	if d.awaited {
		bits |= answerAwaited
	}
	if d.answer.Key != nil {
		bits |= answerHasKey
	}
	dst = binary.AppendVarint(append(appendText(dst, d.id), bits), d.answer.AsOfMS)
	if d.answer.Key != nil {
		dst = appendValues(appendText(dst, d.answer.Key), d.answer.Values)
	}
	return appendText(dst, appendAnswer(nil, &d.answer))
}

var errParked = errors.New("a parked row is damaged, or of a later version")

// readParkedRow reads what append wrote. What it returns aliases value.
func readParkedRow(value []byte) (*parkedRow, error) {
	r := parkedReader{data: value}
	p := &parkedRow{bytes: int64(len(value)) + parkedOverhead}
	if r.byte() != parkedFormat {
		return nil, errParked
	}
	bits := r.byte()
	p.positive, p.late = bits&parkedPositive != 0, bits&parkedLate != 0
	p.sinceMS, p.untilMS, p.entry.TimeMS = r.varint(), r.varint(), r.varint()
	p.entry.Partition, p.entry.Offset = int32(r.varint()), r.varint()
	p.revision = notWritten
	if bits&parkedWritten != 0 {
		if p.revision = int32(r.varint()); p.revision < 0 {
			return nil, errParked
		}
	}
	p.weight, p.id = r.float(), r.text()
	for range r.items() {
		l := parkedLabel{name: r.text()}
		l.value = instances.LabelValue{Value: r.float(), FirstMS: r.varint(), Count: r.varint()}
		p.labels = append(p.labels, l)
	}
	for range r.items() {
		p.features = append(p.features, parkedFeature{r.text(), r.value()})
	}
	for range r.items() {
		p.dims = append(p.dims, r.answer())
	}
	p.entry.Value = r.text()
	if r.bad || len(r.data) > 0 {
		return nil, errParked
	}
	p.bytes += int64(len(p.labels)+len(p.features)+len(p.dims)) * parkedItem
	return p, nil
}

// parkedReader reads until the first fault, which it remembers.
type parkedReader struct {
	data []byte
	bad  bool
}

// take returns the next n bytes.
func (r *parkedReader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.data, r.bad = nil, true
		return nil
	}
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}

func (r *parkedReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *parkedReader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

func (r *parkedReader) float() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// length reads a length that the rest can have.
func (r *parkedReader) length() int {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > uint64(len(r.data)) {
		n = -1
	}
	if r.take(n); r.bad {
		return 0
	}
	return int(v)
}

func (r *parkedReader) text() []byte { return r.take(r.length()) }

// items yields as often as the list that follows has items, as long as they can be read.
func (r *parkedReader) items() func(yield func() bool) {
	n := r.length()
	return func(yield func() bool) {
		for ; n > 0 && !r.bad; n-- {
			if !yield() {
				return
			}
		}
	}
}

func (r *parkedReader) value() mortise.Value {
	v, end := dimjoin.ReadValue(r.data, 0)
	r.take(end)
	return v
}

func (r *parkedReader) values() mortise.Row {
	row, end := readValues(r.data, 0)
	r.take(end)
	return row
}

func (r *parkedReader) answer() (d parkedAnswer) {
	d.id = r.text()
	bits := r.byte()
	d.awaited = bits&answerAwaited != 0
	a := dimjoin.Answer{AsOfMS: r.varint()}
	if bits&answerHasKey != 0 {
		a.Key, a.Values = r.text(), r.values()
	}
	answer := r.text()
	if r.bad || !readAnswer(answer, 0, &d.answer) {
		r.data, r.bad = nil, true
		return d
	}
	d.answer.Key, d.answer.Values, d.answer.AsOfMS = a.Key, a.Values, a.AsOfMS
	return d
}

func (p *parkedRow) String() string {
	return fmt.Sprintf("%s of %d, offset %d, until %d", p.id, p.entry.TimeMS, p.entry.Offset, p.untilMS)
}
