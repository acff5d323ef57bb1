package disk

import (
	"math"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// scan is where Next stands: a position, and the merge of the bucket that holds
// the entries after it.
type scan struct {
	from   joiner.Cursor // nothing before it is returned any more
	bucket *bucket       // being merged; nil when the merge is to be set up from from
	merge  segment.Merge
}

// Seek implements joiner.Log.
func (l *log) Seek(c joiner.Cursor) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	l.scan.stop()
	l.scan.from = c
	return nil
}

func (sc *scan) stop() {
	sc.merge.Reset()
	sc.bucket = nil
}

// appended takes notice of an entry that was appended to b: one that comes
// before the bucket being merged, but not before the position, makes the scan
// go back. Nothing of the bucket being merged was returned then.
func (sc *scan) appended(b *bucket, e *joiner.Entry) {
	if sc.bucket != nil && b.index < sc.bucket.index && !e.Position().Less(sc.from) {
		sc.stop()
	}
}

// Next implements joiner.Log.
func (l *log) Next(beforeMS int64, e *joiner.Entry) (bool, error) {
	if err := l.s.usable(); err != nil {
		return false, err
	}
	sc := &l.scan
	for {
		if sc.bucket == nil {
			if !l.enter(segment.BucketOf(sc.from.TimeMS, l.spanMS), beforeMS) {
				return false, nil
			}
		} else {
			sc.catchUp()
		}
		block, err := sc.merge.Next(beforeMS, sc.from, l, e)
		if err != nil {
			return false, err
		}
		if block != nil {
			l.hold(block)
			sc.from = segment.After(e.Position())
			return true, nil
		}
		if !sc.merge.Empty() || sc.bucket.index == math.MaxInt64 || !l.enter(sc.bucket.index+1, beforeMS) {
			return false, nil
		}
	}
}

// enter begins to merge the first bucket at or after index that starts before
// beforeMS; when there is none it changes nothing and returns false.
func (l *log) enter(index, beforeMS int64) bool {
	at, _ := l.find(index)
	if at == len(l.buckets) || beforeMS == math.MinInt64 {
		return false
	}
	b, sc := l.buckets[at], &l.scan
	if b.index > segment.BucketOf(beforeMS-1, l.spanMS) {
		return false
	}
	sc.stop()
	sc.bucket, b.seen = b, 0
	for n, f := range b.files {
		for ordinal := range f.index {
			ix := &f.index[ordinal]
			if f.place.StartMS+int64(ix.MaxTimeMS) >= sc.from.TimeMS {
				sc.merge.Wait(ix.Min(f.place.StartMS), blockID(n, ordinal))
			}
		}
	}
	sc.merge.Start()
	sc.catchUp()
	return true
}

// catchUp adds the unwritten entries of the bucket being merged that the merge
// does not have yet.
func (sc *scan) catchUp() {
	b := sc.bucket
	if b.buf == nil || b.seen == b.buf.Len() {
		return
	}
	last := len(b.files) - 1
	sc.merge.Add(b.buf, blockID(last, len(b.files[last].index)), b.seen, b.buf.Len(), sc.from)
	b.seen = b.buf.Len()
}

// blockID names a block of the bucket being merged; ids ascend in append order.
func blockID(file, ordinal int) uint64 { return uint64(file)<<32 | uint64(ordinal) }

// LoadBlock implements segment.Loader.
func (l *log) LoadBlock(id uint64) (*segment.Block, error) {
	return l.load(l.scan.bucket.files[id>>32], int(uint32(id)))
}
