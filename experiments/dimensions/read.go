package dimensions

import (
	"context"
	"sync"

	"github.com/mortise-dev/mortise/dimjoin"
)

// reader reads the dimensions of one pipeline, each with those that are read as one
// with it.
type reader []*jointly

// jointly is the dimensions of a pipeline that one dimjoin.Reader answers.
type jointly struct {
	reader *dimjoin.Reader
	dims   []int
	parts  []*dimjoin.Part // of dims; nil for whole rows
	free   sync.Pool       // of *[]dimjoin.Answer
}

// add adds the dimension dim of the pipeline.
func (r *reader) add(dim int, at place) {
	for _, j := range *r {
		if j.reader == at.reader {
			j.dims, j.parts = append(j.dims, dim), append(j.parts, at.part)
			return
		}
	}
	*r = append(*r, &jointly{reader: at.reader, dims: []int{dim}, parts: []*dimjoin.Part{at.part}})
}

// Read implements experiments.Dimensions: all at the same time.
func (r reader) Read(ctx context.Context, lookups [][]dimjoin.Answer) error {
	last := -1
	var wg sync.WaitGroup
	for i, j := range r {
		if !j.asked(lookups) {
			continue
		}
		if last >= 0 {
			one := r[last]
			wg.Go(func() { one.read(ctx, lookups) })
		}
		last = i
	}
	if last >= 0 {
		r[last].read(ctx, lookups)
	}
	wg.Wait()
	return nil
}

func (j *jointly) asked(lookups [][]dimjoin.Answer) bool {
	for _, dim := range j.dims {
		if len(lookups[dim]) > 0 {
			return true
		}
	}
	return false
}

// read answers the lookups of its dimensions: in one go, so that a key that several
// have is looked up once.
func (j *jointly) read(ctx context.Context, lookups [][]dimjoin.Answer) {
	if len(j.dims) == 1 {
		j.reader.Read(ctx, lookups[j.dims[0]])
	} else {
		j.readAll(ctx, lookups)
	}
	for i, dim := range j.dims {
		if j.parts[i] != nil {
			j.parts[i].Answer(j.reader, lookups[dim])
		}
	}
}

func (j *jointly) readAll(ctx context.Context, lookups [][]dimjoin.Answer) {
	all, _ := j.free.Get().(*[]dimjoin.Answer)
	if all == nil {
		all = new([]dimjoin.Answer)
	}
	for _, dim := range j.dims {
		*all = append(*all, lookups[dim]...)
	}
	j.reader.Read(ctx, *all)
	from := 0
	for _, dim := range j.dims {
		from += copy(lookups[dim], (*all)[from:])
	}
	clear(*all)
	*all = (*all)[:0]
	j.free.Put(all)
}
