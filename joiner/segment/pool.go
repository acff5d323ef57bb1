package segment

// Pool keeps the buffers of blocks that nobody holds any more. One goroutine
// uses it.
type Pool struct {
	// MaxBytes is the size above which a block's buffer is left to the garbage
	// collector: one huge entry must not stay in memory for ever.
	MaxBytes int

	free  []*Block
	spare int // the least len(free) since the last Trim: blocks that nobody needed
}

// Get returns a block that the caller holds once.
func (p *Pool) Get() *Block {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		p.spare = min(p.spare, n-1)
		b.refs = 1
		return b
	}
	return &Block{refs: 1}
}

// Hold makes one more holder of the block; each calls Release.
func (b *Block) Hold() *Block {
	b.refs++
	return b
}

// Release ends one hold on b, which may be nil. After the last one the block is reused.
func (p *Pool) Release(b *Block) {
	if b == nil {
		return
	}
	if b.refs--; b.refs == 0 && cap(b.data) <= p.MaxBytes {
		p.free = append(p.free, b)
	}
}

// Trim lets go of half of the blocks that were not needed since the last Trim,
// so that memory follows the load down.
func (p *Pool) Trim() {
	drop := (p.spare + 1) / 2
	keep := len(p.free) - drop
	clear(p.free[keep:])
	p.free = p.free[:keep]
	p.spare = keep
}
