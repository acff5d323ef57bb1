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
// comes while what has come is worked on.
type ahead struct {
	r     io.ReadCloser
	stop  func() // ends a read that is under way
	full  chan block
	free  chan []byte
	done  chan struct{}
	begin sync.Once
	ended sync.WaitGroup

	cur  []byte // what is left of the block
	back []byte // the block itself
	err  error
}

type block struct {
	data []byte
	err  error
}

// readAhead begins to read r when it is first read itself. stop ends a read of r
// that is under way.
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
	a.begin.Do(a.start)
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
	a.begin.Do(func() {})
	a.stop()
	close(a.done)
	a.ended.Wait()
	return a.r.Close()
}
