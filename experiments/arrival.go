package experiments

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// How dimensions are read as impressions come in. Intake notes the keys; once a
// round, all that were noted are read beside it, in one go; closing waits for the
// reads of the impressions that it closes, intake for none.

// noteArrival notes the keys of an impression that some experiments take.
func (r *runner) noteArrival(reader *clean.Reader, accept uint32, offset, timeMS int64) {
	o, g := r.prog.seen, r.prog
	for dim := range o.dims {
		d := &o.dims[dim]
		if d.experts&accept == 0 {
			continue
		}
		g.entity = g.entity[:0]
		for _, at := range d.key {
			g.entity = append(g.entity, reader.Taken(at))
		}
		key, ok := dimjoin.AppendKey(g.keyText[:0], g.entity...)
		g.keyText = key
		if ok {
			o.ask(dim, key, g.entity, offset, timeMS)
		}
	}
}

// readArrivals takes what a read under way has found, and begins the next.
func (r *runner) readArrivals() error {
	o := r.prog.seen
	if o == nil {
		return nil
	}
	if o.flight != nil {
		select {
		case <-o.flight.done:
		default:
			return nil
		}
		if err := o.flight.err; err != nil {
			return fmt.Errorf("reading dimensions of impressions that came in: %w", err)
		}
		if err := o.end(); err != nil {
			return err
		}
	}
	if f := o.begin(); f != nil {
		r.spawn(func() {
			defer close(f.done)
			f.err = readDimensions(r.life, r.dims, f.lookups)
		})
	}
	return nil
}

// readDimensions reads, and makes sure that what was interrupted counts for nothing.
func readDimensions(ctx context.Context, dims Dimensions, lookups [][]dimjoin.Answer) error {
	if err := dims.Read(ctx, lookups); err != nil {
		return err
	}
	return ctx.Err()
}

// arrived reports whether all that a batch waits for on arrival has been read.
func (r *runner) arrived(b *Batch) bool { return b.observed == nil || r.prog.seen.done >= b.arrivals }

// takeObserved gives the rows of a batch what was read when they came in.
func (r *runner) takeObserved(b *Batch) {
	if b.observed == nil {
		return
	}
	for i := range b.Impressions {
		im := &b.Impressions[i]
		for dim := range im.answers {
			if p := im.answers[dim]; p.list == inObserved {
				r.prog.seen.answer(dim, &b.observed[dim][p.at], im.entry.Offset)
			}
		}
	}
}

// keepArrivals writes, before the state is committed, what waits to be read.
func (r *runner) keepArrivals() error {
	if r.prog.seen == nil {
		return nil
	}
	return r.prog.seen.keepAsked()
}

// forgetArrivals drops now and then what no impression that is held needs.
func (r *runner) forgetArrivals() error {
	at := r.task.Cursor().TimeMS
	if r.prog.seen == nil || r.away() || at < r.forgotMS+max(r.pipeline.Join.DelayMS/forgetParts, 1000) {
		return nil
	}
	r.forgotMS = at
	return r.prog.seen.forgetBefore(at)
}

// forgetParts is how often within a delay observations are gone through.
const forgetParts = 8
