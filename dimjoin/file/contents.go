package file

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// contents are the rows of a file. Once built they never change. A row costs its
// packed form and its key's text, and some 16 bytes for finding it:
//
//	slots → number of the key → keys → in arena: uvarint length, key, row
//	row: uvarint length of its values + 1, the values in the fields' order; 0: too large
//
// With history the key's record has no row: versions.go says where they are.
type contents struct {
	fields   mortise.Schema
	arena    arena
	seed     maphash.Seed
	slots    []uint32 // number of a key, plus 1; 0: free
	keys     []address
	versions *versions // nil without history
	rows     int
}

// arena holds records, each in one block. Only the blocks are allocations.
type arena struct{ blocks [][]byte }

// address is where a record begins: its block and the byte within.
type address uint64

const blockBytes = 1 << 20

func (a *arena) add(parts ...[]byte) address {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	last := len(a.blocks) - 1
	if last < 0 || len(a.blocks[last])+size > cap(a.blocks[last]) {
		a.blocks = append(a.blocks, make([]byte, 0, max(size, blockBytes)))
		last++
	}
	at := address(last)<<32 | address(len(a.blocks[last]))
	for _, p := range parts {
		a.blocks[last] = append(a.blocks[last], p...)
	}
	return at
}

func (a *arena) at(at address) []byte { return a.blocks[at>>32][uint32(at):] }

// key returns a key's text, and what follows it.
func (c *contents) key(number uint32) (key, rest []byte) {
	data := c.arena.at(c.keys[number])
	n, used := binary.Uvarint(data)
	return data[used : used+int(n)], data[used+int(n):]
}

// find finds a key's number.
func (c *contents) find(key []byte) (number uint32, ok bool) {
	if len(c.slots) == 0 {
		return 0, false
	}
	at := c.slot(key)
	return c.slots[at] - 1, c.slots[at] != 0
}

// slot is where a key is, or would be.
func (c *contents) slot(key []byte) int {
	mask := len(c.slots) - 1
	for at := int(maphash.Bytes(c.seed, key)) & mask; ; at = (at + 1) & mask {
		if c.slots[at] == 0 {
			return at
		}
		if found, _ := c.key(c.slots[at] - 1); bytes.Equal(found, key) {
			return at
		}
	}
}

// insert gives a new key, whose record is at, the next number.
func (c *contents) insert(key []byte, at address) error {
	if len(c.keys) == math.MaxUint32-1 {
		return fmt.Errorf("there are more than %d keys", len(c.keys))
	}
	if 3*len(c.slots) <= 4*len(c.keys) {
		c.grow()
	}
	slot := c.slot(key)
	c.keys = append(c.keys, at)
	c.slots[slot] = uint32(len(c.keys))
	return nil
}

func (c *contents) grow() {
	c.slots = make([]uint32, max(64, 2*len(c.slots)))
	for i := range c.keys {
		key, _ := c.key(uint32(i))
		c.slots[c.slot(key)] = uint32(i + 1)
	}
}

// bytes is what the contents take in memory.
func (c *contents) bytes() int {
	n := 4*cap(c.slots) + 8*cap(c.keys)
	for _, b := range c.arena.blocks {
		n += cap(b)
	}
	if c.versions != nil {
		n += c.versions.bytes()
	}
	return n
}

// answer answers a lookup.
func (c *contents) answer(l *dimjoin.Lookup) {
	number, ok := c.find(l.Key)
	if c.versions != nil {
		c.versions.answer(c, number, ok, l)
		return
	}
	if ok {
		_, row := c.key(number)
		c.read(row, l)
	}
}

// read reads a row into an answer.
func (c *contents) read(data []byte, l *dimjoin.Lookup) {
	n, used := binary.Uvarint(data)
	if n == 0 {
		l.Err = dimjoin.ErrTooLarge(int(binary.LittleEndian.Uint64(data[used:])))
		return
	}
	values := bytes.Clone(data[used : used+int(n)-1]) // which the texts of the row lie in
	row := make(mortise.Row, len(c.fields))
	at := 0
	for i := range row {
		row[i], at = dimjoin.ReadValue(values, at)
	}
	l.Row = row
}

// builder fills contents.
type builder struct {
	*contents
	history bool
	lines   []uint32 // of the keys, without history
	all     []version
	buf     []byte
	head    []byte
}

func newBuilder(fields mortise.Schema, history bool) *builder {
	return &builder{contents: &contents{fields: fields, seed: maphash.MakeSeed()}, history: history}
}

// add adds a row. The error names the line of another row of its key.
func (b *builder) add(key []byte, row mortise.Row, fromMS, toMS int64, line int) error {
	data := b.pack(row)
	b.rows++
	number, known := b.find(key)
	if b.history {
		if !known {
			number = uint32(len(b.keys))
			if err := b.insert(key, b.arena.add(b.keyHead(key), key)); err != nil {
				return err
			}
		}
		b.all = append(b.all, version{number, uint32(line), fromMS, toMS, b.arena.add(data)})
		return nil
	}
	if known {
		return fmt.Errorf("the key %s is on line %d already; keep one row a key, or declare the table's history", dimjoin.Excerpt(key), b.lines[number])
	}
	b.lines = append(b.lines, uint32(line))
	return b.insert(key, b.arena.add(b.keyHead(key), key, data))
}

func (b *builder) keyHead(key []byte) []byte {
	b.head = binary.AppendUvarint(b.head[:0], uint64(len(key)))
	return b.head
}

// pack writes a row's record, valid until the next call.
func (b *builder) pack(row mortise.Row) []byte {
	const room = binary.MaxVarintLen64
	b.buf = append(b.buf[:0], make([]byte, room)...)
	for _, v := range row {
		b.buf = dimjoin.AppendValue(b.buf, v)
	}
	size := len(b.buf) - room
	if size > dimjoin.MaxRowBytes {
		return binary.LittleEndian.AppendUint64(append(b.buf[:0], 0), uint64(size))
	}
	var head [room]byte
	n := binary.PutUvarint(head[:], uint64(size+1))
	copy(b.buf[room-n:], head[:n])
	return b.buf[room-n:]
}

// build ends building.
func (b *builder) build() (*contents, error) {
	if b.history {
		v, err := resolve(b.all, len(b.keys))
		if err != nil {
			return nil, err
		}
		b.versions = v
	}
	return b.contents, nil
}
