package features

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A chunk holds the tiles of one group and entity at one level over one span of
// event time: for each column its tiles in order of time.
//
//	chunk  = format, column…
//	column = uvarint number<<4 | kind, uvarint bytes that follow of it, tile…
//	tile   = uvarint place after the last tile's less 1, uvarint bytes, state
//
// Columns come in order of number, and of equal tiles the bytes are equal. A
// count's state stands without its length.
const chunkFormat = 1

// columnKey is a column's number and the kind of its states.
type columnKey uint32

func newColumnKey(number uint32, k kind) columnKey { return columnKey(number<<4) | columnKey(k) }

func (c columnKey) kind() kind { return kind(c & 15) }

// maxPlace bounds the tiles of a chunk.
const maxPlace = 1 << 12

// chunkReader reads a chunk column by column, and each column tile by tile.
type chunkReader struct {
	d      decoder
	last   int64 // column read last, -1 before the first
	tiles  decoder
	column columnKey
	place  int
}

func readChunk(data []byte) chunkReader {
	r := chunkReader{d: decoder{data: data}, last: -1}
	if r.d.byte() != chunkFormat {
		r.d.fail()
	}
	return r
}

// nextColumn goes on to the next column, leaving out what is unread of this one.
func (r *chunkReader) nextColumn() bool {
	if r.tiles.bad {
		r.d.fail()
	}
	if len(r.d.data) == 0 {
		return false
	}
	key := r.d.uvarint()
	r.tiles = decoder{data: r.d.text()}
	if r.column = columnKey(key); key > 1<<31 || int64(key) <= r.last || r.column.kind() >= numKinds {
		r.d.fail()
	}
	r.last, r.place = int64(key), -1
	return !r.d.bad
}

// nextTile returns the next tile of the column: its place in the chunk and its state.
func (r *chunkReader) nextTile() (place int, state []byte, ok bool) {
	t := &r.tiles
	if len(t.data) == 0 {
		return 0, nil, false
	}
	gap := t.uvarint()
	if r.column.kind() == kindCount {
		from := t.data
		t.uvarint()
		state = from[:len(from)-len(t.data)]
	} else {
		state = t.text()
	}
	if gap >= maxPlace || r.place+1+int(gap) >= maxPlace || t.bad {
		t.fail()
		return 0, nil, false
	}
	r.place += 1 + int(gap)
	return r.place, state, true
}

// err returns ErrCorrupt if what was read so far is no chunk.
func (r *chunkReader) err() error {
	if r.d.bad || r.tiles.bad {
		return ErrCorrupt
	}
	return nil
}

// chunkWriter writes a chunk, columns in order of key, tiles in order of place.
type chunkWriter struct {
	dst    []byte
	column columnKey
	tiles  []byte
	place  int
}

func (w *chunkWriter) start(dst []byte) {
	w.dst = dst
	w.dst = append(w.dst, chunkFormat)
}

func (w *chunkWriter) startColumn(key columnKey) { w.column, w.tiles, w.place = key, w.tiles[:0], -1 }

func (w *chunkWriter) tile(place int, state []byte) {
	w.tiles = binary.AppendUvarint(w.tiles, uint64(place-w.place-1))
	if w.column.kind() != kindCount {
		w.tiles = binary.AppendUvarint(w.tiles, uint64(len(state)))
	}
	w.tiles = append(w.tiles, state...)
	w.place = place
}

// endColumn writes the column, unless it has no tile.
func (w *chunkWriter) endColumn() {
	if len(w.tiles) > 0 {
		w.dst = appendText(binary.AppendUvarint(w.dst, uint64(w.column)), w.tiles)
	}
}

// Merger merges chunks of one key. It keeps its buffers; one goroutine uses it.
type Merger struct {
	refs   []tileRef
	states [numKinds]states
	writer chunkWriter
	state  []byte
}

// tileRef is a tile of one of the chunks that are being merged.
type tileRef struct {
	column columnKey
	place  uint16
	state  []byte
}

// Merge appends to dst the chunk of everything that the given chunks of one key
// hold, in whatever order they come. It needs no definitions: a column that
// nothing reads any more merges like any other. An error wraps ErrCorrupt.
func (m *Merger) Merge(dst []byte, chunks ...[]byte) ([]byte, error) {
	m.refs = m.refs[:0]
	for _, c := range chunks {
		if err := m.collect(c); err != nil {
			return dst, err
		}
	}
	if len(chunks) > 1 {
		slices.SortFunc(m.refs, func(a, b tileRef) int {
			return cmp.Or(cmp.Compare(a.column, b.column), cmp.Compare(a.place, b.place))
		})
	}
	m.writer.start(dst)
	for refs := m.refs; len(refs) > 0; {
		column := refs[0].column
		m.writer.startColumn(column)
		for len(refs) > 0 && refs[0].column == column {
			n := 1
			for n < len(refs) && refs[n].column == column && refs[n].place == refs[0].place {
				n++
			}
			state, err := m.mergeTile(refs[:n])
			if err != nil {
				return dst, err
			}
			m.writer.tile(int(refs[0].place), state)
			refs = refs[n:]
		}
		m.writer.endColumn()
	}
	return m.writer.dst, nil
}

func (m *Merger) collect(chunk []byte) error {
	r := readChunk(chunk)
	for r.nextColumn() {
		for place, state, ok := r.nextTile(); ok; place, state, ok = r.nextTile() {
			m.refs = append(m.refs, tileRef{r.column, uint16(place), state})
		}
	}
	return r.err()
}

// mergeTile merges the states of one tile.
func (m *Merger) mergeTile(refs []tileRef) ([]byte, error) {
	if len(refs) == 1 {
		return refs[0].state, nil
	}
	k := refs[0].column.kind()
	if m.states[k] == nil {
		m.states[k] = newStates(k, params{})
	}
	s := m.states[k]
	s.resize(1)
	for _, ref := range refs {
		if err := s.absorb(0, ref.state, 0); err != nil {
			return nil, err
		}
	}
	m.state = s.append(m.state[:0], 0, 0)
	return m.state, nil
}
