package changing

import (
	"context"

	"github.com/mortise-dev/mortise/dimjoin"
)

// View is the stream's table as those see it who may keep its answers: an answer
// as of an event time counts no further than the stream has been read.
type View struct {
	dimjoin.Table
	stream *Stream
}

// View returns the stream's table for readers.
func (s *Stream) View() *View { return &View{Table: s.table, stream: s} }

// Read implements dimjoin.Table.
func (v *View) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	final := v.stream.FinalMS() // before the rows: what is read is at least as new
	if err := v.Table.Read(ctx, lookups); err != nil {
		return err
	}
	for i := range lookups {
		l := &lookups[i]
		if l.AsOfMS == dimjoin.Latest || l.FromMS == 0 && l.ToMS == 0 {
			continue
		}
		l.ToMS = min(l.ToMS, max(final, l.AsOfMS+1))
	}
	return nil
}
