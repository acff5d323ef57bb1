package recorded

import (
	"io"
	"sync"
)

const (
	aheadBlocks     = 4
	aheadBlockBytes = 256 << 10
)

// ahead reads ahead of its reader, a few blocks and no more, so that what is far
// comes while what has come is worked on. It begins when a block has been read:
// who looks at the beginning only needs no more.
type ahead struct {
	r     io.ReadCloser
	stop  func() // ends a read that is under way
	full  chan block
	free  chan []byte
	done  chan struct{}
	ended sync.WaitGroup
	read  int // bytes, before it began; -1 since

	cur  []byte // what is left of the block
	back []byte // the block itself
	err  error
}

type block struct {
	data []byte
	err  error
}

// readAhead reads r ahead. stop ends a read of r that is under way.
func readAhead(r io.ReadCloser, stop func()) *ahead {
	return &ahead{r: r, stop: stop, full: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), done: make(chan struct{})}
}

func (a *ahead) start() {
	for range aheadBlocks {
		a.free <- make([]byte, aheadBlockBytes)
	}
	a.ended.Go(func() {
		for {
			var data []byte
			select {
			case data = <-a.free:
			case <-a.done:
				return
			}
			n, err := a.r.Read(data[:cap(data)])
			select {
			case a.full <- block{data[:n], err}: // there is room for every block
			case <-a.done:
				return
			}
			if err != nil {
				return
			}
		}
	})
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	if a.read >= 0 {
		if a.read < aheadBlockBytes {
			n, err := a.r.Read(p)
			a.read += n
			return n, err
		}
		a.read = -1
		a.start()
	}
	for len(a.cur) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.back != nil {
			a.free <- a.back
		}
		b := <-a.full
		a.cur, a.back, a.err = b.data, b.data, b.err
	}
	n := copy(p, a.cur)
	a.cur = a.cur[n:]
	return n, nil
}

// Close implements io.Closer.
func (a *ahead) Close() error {
	a.stop()
	close(a.done)
	a.ended.Wait()
	return a.r.Close()
}
