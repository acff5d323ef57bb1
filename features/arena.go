package features

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// arena hands out copies of bytes from blocks of its own. What it handed out is
// never moved; reset takes all of it back.
type arena struct {
	blocks [][]byte
	used   int // blocks in use; the last of them is being filled
}

const arenaBlock = 1 << 18

func (a *arena) copy(b []byte) []byte {
	if a.used == 0 || cap(a.blocks[a.used-1])-len(a.blocks[a.used-1]) < len(b) {
		a.next(len(b))
	}
	block := &a.blocks[a.used-1]
	start := len(*block)
	*block = append(*block, b...)
	return (*block)[start:len(*block):len(*block)]
}

func (a *arena) next(least int) {
	for a.used < len(a.blocks) {
		a.used++
		if block := &a.blocks[a.used-1]; cap(*block) >= least {
			*block = (*block)[:0]
			return
		}
	}
	a.blocks = append(a.blocks, make([]byte, 0, max(least, arenaBlock)))
	a.used = len(a.blocks)
}

// reset takes everything back, and lets go of what is far more than was used.
func (a *arena) reset() {
	if len(a.blocks) > 2*a.used+4 {
		a.blocks = slices.Delete(a.blocks, 2*a.used+4, len(a.blocks))
	}
	a.used = 0
}

// keepValue makes v independent of the buffers that it aliases.
func keepValue(v mortise.Value) mortise.Value {
	switch v.Kind {
	case mortise.String:
		return mortise.TextValue(slices.Clone(v.Text()))
	case mortise.List:
		list := make([]mortise.Value, len(v.List()))
		for i, item := range v.List() {
			list[i] = keepValue(item)
		}
		return mortise.ListValue(list)
	}
	return v
}
