package pebble

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/features"
)

// valueMerger merges the chunks of one key. It keeps them until the end, for
// merging all at once is cheaper than one after the other; how many there are is
// bounded by the commits that lie in one memtable, and by the levels.
type valueMerger struct {
	merger   features.Merger
	operands [][]byte
	buffer   []byte
	result   []byte
}

var valueMergers = sync.Pool{New: func() any { return &valueMerger{} }}

func newValueMerger(_, value []byte) (pebble.ValueMerger, error) {
	m := valueMergers.Get().(*valueMerger)
	m.operands, m.buffer = m.operands[:0], m.buffer[:0]
	m.add(value)
	return m, nil
}

// add copies an operand, for Pebble reuses its memory.
func (m *valueMerger) add(value []byte) {
	if cap(m.buffer)-len(m.buffer) < len(value) { // what lies in the old buffer stays there
		m.buffer = make([]byte, 0, max(2*cap(m.buffer), 4*len(value), 1<<10))
	}
	start := len(m.buffer)
	m.buffer = append(m.buffer, value...)
	m.operands = append(m.operands, m.buffer[start:len(m.buffer):len(m.buffer)])
}

// MergeNewer implements pebble.ValueMerger. The order of operands does not matter.
func (m *valueMerger) MergeNewer(value []byte) error {
	m.add(value)
	return nil
}

// MergeOlder implements pebble.ValueMerger.
func (m *valueMerger) MergeOlder(value []byte) error {
	m.add(value)
	return nil
}

// Finish implements pebble.ValueMerger. The result is the merger's, until Close.
func (m *valueMerger) Finish(bool) ([]byte, io.Closer, error) {
	if len(m.operands) == 1 {
		return m.operands[0], m, nil
	}
	var err error
	m.result, err = m.merger.Merge(m.result[:0], m.operands...)
	return m.result, m, err
}

// Close takes the merger back.
func (m *valueMerger) Close() error {
	const most = 1 << 20 // larger buffers are not kept
	if cap(m.buffer) <= most && cap(m.result) <= most {
		valueMergers.Put(m)
	}
	return nil
}
