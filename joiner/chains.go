package joiner

// chains finds numbered things by a hash: a hash table with chaining whose nodes
// are the numbers themselves, 0, 1, 2 and so on, and hold no pointers. It is
// split into shards that grow alone, so that no growth takes long.
type chains struct {
	shards [chainShards]chainShard
	pages  [][]chainNode
}

const (
	chainShards = 64
	chainPage   = 1 << 12
)

type chainShard struct {
	heads []uint32
	count int
}

type chainNode struct {
	hash uint64
	next uint32
}

func newChains() chains {
	var c chains
	for i := range c.shards {
		c.shards[i].heads = []uint32{noNode, noNode, noNode, noNode}
	}
	return c
}

func (c *chains) node(id uint32) *chainNode { return &c.pages[id/chainPage][id%chainPage] }

// set gives number id a hash, without linking it.
func (c *chains) set(id uint32, hash uint64) {
	for int(id/chainPage) >= len(c.pages) {
		c.pages = append(c.pages, make([]chainNode, chainPage))
	}
	*c.node(id) = chainNode{hash, noNode}
}

func (c *chains) link(id uint32) {
	n := c.node(id)
	s := &c.shards[n.hash>>58]
	if s.count >= len(s.heads) {
		c.grow(s)
	}
	head := &s.heads[n.hash&uint64(len(s.heads)-1)]
	n.next, *head = *head, id
	s.count++
}

// reserve makes room for as many numbers with hashes spread evenly, before any
// is linked.
func (c *chains) reserve(n int) {
	size := 4
	for size < n/chainShards {
		size *= 2
	}
	for i := range c.shards {
		c.shards[i].heads = newHeads(size)
	}
}

func newHeads(n int) []uint32 {
	heads := make([]uint32, n)
	for i := range heads {
		heads[i] = noNode
	}
	return heads
}

// grow doubles a shard: each chain splits into two, walked once.
func (c *chains) grow(s *chainShard) {
	old := s.heads
	n := uint64(len(old))
	s.heads = make([]uint32, 2*n)
	for i, id := range old {
		low, high := noNode, noNode
		for id != noNode {
			nd := c.node(id)
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

func (c *chains) unlink(id uint32) {
	n := c.node(id)
	s := &c.shards[n.hash>>58]
	at := &s.heads[n.hash&uint64(len(s.heads)-1)]
	for *at != id {
		at = &c.node(*at).next
	}
	*at = n.next
	s.count--
}

// first returns the number with the hash that was linked last, noNode if there
// is none; after continues with the one before it.
func (c *chains) first(hash uint64) uint32 {
	s := &c.shards[hash>>58]
	return c.seek(s.heads[hash&uint64(len(s.heads)-1)], hash)
}

func (c *chains) after(id uint32, hash uint64) uint32 { return c.seek(c.node(id).next, hash) }

func (c *chains) seek(id uint32, hash uint64) uint32 {
	for id != noNode && c.node(id).hash != hash {
		id = c.node(id).next
	}
	return id
}
