package joiner

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"
)

// labelIndex finds the labels of a key. It is a hash table with chaining over
// nodes of 32 bytes that lie in small chunks, each chunk of one label file (one
// bucket of event time). A bucket expires as a whole: its nodes are unlinked
// one after the other, its chunks reused. Nothing in it holds a pointer, so the
// garbage collector passes it by.
type labelIndex struct {
	shards  [labelShards]labelShard
	pages   [][]labelNode // nodes, chunksPerPage chunks a page
	chunks  []labelChunk  // per chunk: which file it belongs to
	free    []uint32      // chunks to be reused
	buckets map[uint32]*labelBucket
	nodes   int
	labels  int // nodes that are owners
}

const (
	labelShards   = 64 // a shard grows alone, so that no growth takes long
	chunkNodes    = 64
	chunksPerPage = 64
	noNode        = ^uint32(0)
	behindBit     = 1 << 31 // in owner: the label came behind the watermark
)

type labelShard struct {
	heads []uint32
	count int
}

// labelNode is one key of one label. A label with several key sets has a node a
// set; the first is the owner and keeps the account.
type labelNode struct {
	hash     uint64
	deltaMS  uint32 // event time since the chunk's base
	off      uint32 // Ref.Off; Ref.File is the chunk's
	next     uint32
	owner    uint32 // node id of the owner, and behindBit
	attached uint32 // experiments that it attached to (of the owner)
	accept   uint32 // experiments that take it (of the owner)
}

type labelChunk struct {
	bucket *labelBucket
	first  uint32 // number, within the bucket, of its first node
}

type labelBucket struct {
	file   uint32
	baseMS int64
	endMS  int64 // exclusive bound on its labels' event times
	chunks []uint32
	used   int // nodes used in the last chunk

	labels, fates *pack // what of it is in memory only
}

func newLabelIndex() *labelIndex {
	ix := &labelIndex{buckets: map[uint32]*labelBucket{}}
	for i := range ix.shards {
		ix.shards[i].heads = []uint32{noNode, noNode, noNode, noNode}
	}
	return ix
}

// hashLabel hashes a label's key; source and key set are part of it, so that a
// probe meets only labels that could match.
func hashLabel(key []byte, source, keySet int) uint64 {
	return xxh3.HashSeed(key, uint64(source)<<32|uint64(keySet))
}

func (ix *labelIndex) node(id uint32) *labelNode {
	chunk := id / chunkNodes
	return &ix.pages[chunk/chunksPerPage][chunk%chunksPerPage*chunkNodes+id%chunkNodes]
}

func (ix *labelIndex) bucketOf(id uint32) *labelBucket { return ix.chunks[id/chunkNodes].bucket }

func (ix *labelIndex) timeMS(id uint32) int64 {
	return ix.bucketOf(id).baseMS + int64(ix.node(id).deltaMS)
}

func (ix *labelIndex) ref(id uint32) Ref { return Ref{ix.bucketOf(id).file, ix.node(id).off} }

// number returns which node of its bucket id is, in the order of add: the same
// after reopening.
func (ix *labelIndex) number(id uint32) uint32 {
	return ix.chunks[id/chunkNodes].first + id%chunkNodes
}

// add links a node. owner is noNode for a label's first key. Buckets are of the
// given span; ref.File never holds labels of two buckets.
func (ix *labelIndex) add(hash uint64, timeMS, spanMS int64, ref Ref, owner, accept uint32, behind bool) uint32 {
	b := ix.buckets[ref.File]
	if b == nil {
		b = ix.newBucket(ref.File, floorTo(timeMS, spanMS), spanMS)
	}
	id := ix.newNode(b)
	if owner == noNode {
		owner = id
		ix.labels++
	}
	if behind {
		owner |= behindBit
	}
	*ix.node(id) = labelNode{hash: hash, deltaMS: uint32(timeMS - b.baseMS), off: ref.Off, owner: owner, accept: accept}
	ix.link(id)
	return id
}

func (ix *labelIndex) newBucket(file uint32, baseMS, spanMS int64) *labelBucket {
	b := &labelBucket{file: file, baseMS: baseMS, endMS: baseMS + spanMS, used: chunkNodes, labels: newPack(packLabels, baseMS), fates: newPack(packFates, baseMS)}
	b.labels.key = binary.LittleEndian.AppendUint32(nil, file)
	b.fates.key, b.fates.first = b.labels.key, b.labels
	ix.buckets[file] = b
	return b
}

// newNode returns the bucket's next node, unlinked.
func (ix *labelIndex) newNode(b *labelBucket) uint32 {
	if b.used == chunkNodes {
		b.chunks = append(b.chunks, ix.newChunk(b))
		b.used = 0
	}
	id := b.chunks[len(b.chunks)-1]*chunkNodes + uint32(b.used)
	b.used++
	ix.nodes++
	return id
}

func (ix *labelIndex) link(id uint32) {
	n := ix.node(id)
	s := &ix.shards[n.hash>>58]
	if s.count >= len(s.heads) {
		ix.grow(s)
	}
	head := &s.heads[n.hash&uint64(len(s.heads)-1)]
	n.next, *head = *head, id
	s.count++
}

func (ix *labelIndex) newChunk(b *labelBucket) uint32 {
	var c uint32
	if n := len(ix.free); n > 0 {
		c, ix.free = ix.free[n-1], ix.free[:n-1]
	} else {
		c = uint32(len(ix.chunks))
		ix.chunks = append(ix.chunks, labelChunk{})
		if int(c)/chunksPerPage == len(ix.pages) {
			ix.pages = append(ix.pages, make([]labelNode, chunksPerPage*chunkNodes))
		}
	}
	ix.chunks[c] = labelChunk{b, uint32(len(b.chunks) * chunkNodes)}
	return c
}

// grow doubles a shard: each chain splits into two, walked once.
func (ix *labelIndex) grow(s *labelShard) {
	old := s.heads
	n := uint64(len(old))
	s.heads = make([]uint32, 2*n)
	for i, id := range old {
		low, high := noNode, noNode
		for id != noNode {
			nd := ix.node(id)
			next := nd.next
			if nd.hash&n == 0 {
				nd.next, low = low, id
			} else {
				nd.next, high = high, id
			}
			id = next
		}
		s.heads[i], s.heads[uint64(i)+n] = low, high
	}
}

// first returns the first node with the hash, noNode if none; after continues.
func (ix *labelIndex) first(hash uint64) uint32 {
	s := &ix.shards[hash>>58]
	return ix.seek(s.heads[hash&uint64(len(s.heads)-1)], hash)
}

func (ix *labelIndex) after(id uint32, hash uint64) uint32 { return ix.seek(ix.node(id).next, hash) }

func (ix *labelIndex) seek(id uint32, hash uint64) uint32 {
	for id != noNode && ix.node(id).hash != hash {
		id = ix.node(id).next
	}
	return id
}

// expire unlinks every bucket that ends at or before timeMS, after telling
// each owner's fate to settle. settle may read the label: its file still stands.
// drop is told of each bucket that is gone.
func (ix *labelIndex) expire(timeMS int64, settle func(id uint32, n *labelNode) error, drop func(b *labelBucket)) error {
	var over []uint32
	for file, b := range ix.buckets {
		if b.endMS <= timeMS {
			over = append(over, file)
		}
	}
	slices.Sort(over) // the same order on every run
	for _, file := range over {
		b := ix.buckets[file]
		for i, c := range b.chunks {
			for k := range b.usedOf(i) {
				id := c*chunkNodes + uint32(k)
				n := ix.node(id)
				if n.owner&^behindBit == id {
					if err := settle(id, n); err != nil {
						return err
					}
					ix.labels--
				}
				ix.unlink(id, n)
			}
			ix.chunks[c].bucket = nil
			ix.free = append(ix.free, c)
		}
		delete(ix.buckets, file)
		drop(b)
	}
	return nil
}

// usedOf returns how many nodes of the bucket's i-th chunk are taken.
func (b *labelBucket) usedOf(i int) int {
	if i == len(b.chunks)-1 {
		return b.used
	}
	return chunkNodes
}

// each calls fn for every label's owner node, in no particular order.
func (ix *labelIndex) each(fn func(n *labelNode)) {
	for _, b := range ix.buckets {
		_ = ix.eachOf(b, func(_ uint32, n *labelNode) error {
			fn(n)
			return nil
		})
	}
}

// eachInOrder calls fn for every label's owner node in the order of files and,
// within one, of add, until the first error.
func (ix *labelIndex) eachInOrder(fn func(id uint32, n *labelNode) error) error {
	for _, file := range slices.Sorted(maps.Keys(ix.buckets)) {
		if err := ix.eachOf(ix.buckets[file], fn); err != nil {
			return err
		}
	}
	return nil
}

func (ix *labelIndex) eachOf(b *labelBucket, fn func(id uint32, n *labelNode) error) error {
	for i, c := range b.chunks {
		for k := range b.usedOf(i) {
			id := c*chunkNodes + uint32(k)
			if n := ix.node(id); n.owner&^behindBit == id {
				if err := fn(id, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (ix *labelIndex) unlink(id uint32, n *labelNode) {
	s := &ix.shards[n.hash>>58]
	at := &s.heads[n.hash&uint64(len(s.heads)-1)]
	for *at != id {
		at = &ix.node(*at).next
	}
	*at = n.next
	s.count--
	ix.nodes--
}

// load adds the nodes of a pack, in the order in which they were added first,
// unlinked.
func (ix *labelIndex) load(key []byte, baseMS, spanMS int64, rows []byte) error {
	if len(key) != 4 || len(rows)%labelRow != 0 {
		return badRows(packLabels, "length")
	}
	le := binary.LittleEndian
	file := le.Uint32(key)
	b := ix.buckets[file]
	if b == nil {
		b = ix.newBucket(file, baseMS, spanMS)
	}
	owner := noNode
	if b.used < chunkNodes {
		owner = ix.node(b.chunks[len(b.chunks)-1]*chunkNodes+uint32(b.used)-1).owner &^ behindBit
	}
	for ; len(rows) > 0; rows = rows[labelRow:] {
		flags := rows[20]
		id := ix.newNode(b)
		switch {
		case flags&rowSibling == 0:
			owner = id
			ix.labels++
		case owner == noNode:
			return badRows(packLabels, "a key of no label")
		}
		linked := owner
		if flags&rowBehind != 0 {
			linked |= behindBit
		}
		*ix.node(id) = labelNode{hash: le.Uint64(rows), deltaMS: le.Uint32(rows[8:]), off: le.Uint32(rows[12:]), next: noNode, owner: linked, accept: le.Uint32(rows[16:])}
	}
	return nil
}

// apply takes over the fates of a pack, behind the labels that they are of.
func (ix *labelIndex) apply(key, rows []byte) error {
	if len(key) != 4 || len(rows)%fateRow != 0 {
		return badRows(packFates, "length")
	}
	le := binary.LittleEndian
	b := ix.buckets[le.Uint32(key)]
	if b == nil {
		return badRows(packFates, "of a file without labels")
	}
	for ; len(rows) > 0; rows = rows[fateRow:] {
		number := le.Uint32(rows)
		if int64(number) >= int64(len(b.chunks)-1)*chunkNodes+int64(b.used) {
			return badRows(packFates, "of a label that does not exist")
		}
		n := ix.node(b.chunks[number/chunkNodes]*chunkNodes + number%chunkNodes)
		if n.off != le.Uint32(rows[4:]) {
			return badRows(packFates, "of another label")
		}
		if mask := le.Uint32(rows[8:]); rows[12]&rowRefused != 0 {
			n.accept &^= mask
		} else {
			n.attached |= mask
		}
	}
	return nil
}

// linkAll links what load added, in the order of the files' numbers, which is
// that of their time within a bucket.
func (ix *labelIndex) linkAll() {
	size := 4
	for size < ix.nodes/labelShards {
		size *= 2
	}
	for i := range ix.shards {
		ix.shards[i].heads = newHeads(size)
	}
	for _, file := range slices.Sorted(maps.Keys(ix.buckets)) {
		b := ix.buckets[file]
		for i, c := range b.chunks {
			for k := range b.usedOf(i) {
				ix.link(c*chunkNodes + uint32(k))
			}
		}
	}
}
