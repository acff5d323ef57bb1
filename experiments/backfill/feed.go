package backfill

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/experiments/offline"
)

// feed is the experiments.Transport of one split: a partition a lane, whose
// records come in order of event time. One goroutine uses it.
//
// The join orders what has one event time by partition and offset. For records of
// topics these are their own. For lines of files they are how far ahead the file
// was, and file and position as one number: the order in which a replay publishes
// them, and so that of the offsets that the stream sees.
type feed struct {
	merge   *extsort.Merge
	lanes   []lane
	units   []unit
	ordered bool // lanes are delivered as they are merged, not apart
	letter  func(line []byte) error
	taken   *atomic.Int64

	batch    []experiments.Fetched
	arena    []byte
	latestMS int64
	fresh    bool
	done     chan struct{}
	ended    bool
	assigned bool
	started  bool // nothing is read before: there is nobody yet to take it
}

const (
	// A line's place is file and position as one offset: half a million files, of 16
	// TiB of text each.
	positionBits = 44
	maxFile      = 1<<(63-positionBits) - 1
)

// fedRecords bounds a poll: few enough for what it holds to stay in cache, enough
// for a round to cost nothing.
const fedRecords = 2048

func newFeed(merge *extsort.Merge, lanes []lane, units []unit, ordered bool, letter func([]byte) error, taken *atomic.Int64) *feed {
	return &feed{merge: merge, lanes: lanes, units: units, ordered: ordered, letter: letter, taken: taken, fresh: true, done: make(chan struct{})}
}

// Assigned implements experiments.Transport.
func (f *feed) Assigned() (experiments.Assignment, error) {
	if f.assigned {
		return experiments.Assignment{}, nil
	}
	f.assigned = true
	owned := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for i := range f.lanes {
		owned[experiments.TopicPartition{Topic: f.lanes[i].topic}] = experiments.CommittedOffset{Next: -1}
	}
	return experiments.Assignment{Gained: owned}, nil
}

// Poll implements experiments.Transport. Offsets say where records are from, not
// how many there are: that there is more to come is all that the ends tell.
func (f *feed) Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error) {
	if !f.started {
		return nil, ctx.Err()
	}
	if f.ended {
		offline.Rest(ctx, wait)
	}
	f.batch, f.arena = f.batch[:0], f.arena[:0]
	last := -1
	n := 0
	for ; n < maxRecords && !f.ended; n++ {
		r, err := f.merge.Next()
		if errors.Is(err, io.EOF) {
			f.ended = true
			close(f.done)
			break
		}
		if err != nil {
			return nil, err
		}
		lane := int(r.Lane)
		if !f.ordered {
			last = f.indexOf(lane)
		} else if last < 0 || f.batch[last].Topic != f.lanes[lane].topic {
			last = f.begin(lane)
		}
		if err := f.add(&f.batch[last], r); err != nil {
			return nil, err
		}
	}
	f.taken.Add(int64(n))
	for lane := range f.lanes { // each says how far it has come
		f.complete(lane)
	}
	return f.batch, ctx.Err()
}

// indexOf returns where a lane's records are in the batch.
func (f *feed) indexOf(lane int) int {
	for i := range f.batch {
		if f.batch[i].Topic == f.lanes[lane].topic {
			return i
		}
	}
	return f.begin(lane)
}

// begin adds a stretch of one lane's records to the batch, reusing its memory.
func (f *feed) begin(lane int) int {
	n := len(f.batch)
	if n < cap(f.batch) {
		f.batch = f.batch[:n+1]
	} else {
		f.batch = append(f.batch, experiments.Fetched{})
	}
	b := &f.batch[n]
	*b = experiments.Fetched{TopicPartition: experiments.TopicPartition{Topic: f.lanes[lane].topic}, Records: b.Records[:0]}
	return n
}

// complete says how far a lane has come: nothing is earlier than the last record
// of the batch, and others of its time may come.
func (f *feed) complete(lane int) {
	b := &f.batch[f.lastOf(lane)]
	b.CompleteMS = max(f.latestMS-1, 0)
	if !f.ended {
		b.HighWatermark = 1 // more may come
	}
}

// lastOf returns the last stretch of a lane in the batch, an empty one if it has none.
func (f *feed) lastOf(lane int) int {
	for i := len(f.batch) - 1; i >= 0; i-- {
		if f.batch[i].Topic == f.lanes[lane].topic {
			return i
		}
	}
	return f.begin(lane)
}

// add copies a record into the batch.
func (f *feed) add(b *experiments.Fetched, r *extsort.Record) error {
	l, u := &f.lanes[r.Lane], &f.units[r.Unit]
	from := len(f.arena)
	f.arena = append(f.arena, r.Value...)
	rec := mortise.Record{Topic: l.origin, Partition: r.AheadMS, Offset: int64(u.File)<<positionBits | r.Position, Value: f.arena[from:len(f.arena):len(f.arena)]}
	if u.Topic {
		rec.Partition, rec.Offset = u.Partition, r.Position
	}
	if len(r.Extra) > 0 {
		if err := readExtra(append([]byte(nil), r.Extra...), &rec); err != nil {
			return fmt.Errorf("%s: %w", u.Place, err)
		}
	}
	b.Records = append(b.Records, rec)
	f.latestMS = max(f.latestMS, r.TimeMS)
	return nil
}

// locate puts into a dead letter where its record is from.
func (f *feed) locate(p *experiments.Pipeline, dl *mortise.DeadLetter) {
	for i := range f.lanes {
		l := &f.lanes[i]
		for _, in := range l.inputs {
			if p.Sources[in].Specs[0].Name != dl.Source {
				continue
			}
			dl.Topic = l.origin
			file := int(dl.Offset >> positionBits)
			for k := range f.units {
				if u := &f.units[k]; u.lane == i && !u.Topic && u.File == file {
					dl.Topic, dl.Partition, dl.Offset = u.Place, 0, dl.Offset&(1<<positionBits-1)
					return
				}
			}
			return
		}
	}
}

// Ends implements experiments.Transport: where reading stands, for all has been read.
func (f *feed) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends := map[experiments.TopicPartition]int64{}
	for _, tp := range parts {
		ends[tp] = 0
	}
	return ends, nil
}

// Produce implements experiments.Transport: rows are taken elsewhere, so that it
// is a dead letter.
func (f *feed) Produce(out *experiments.Output) error { return f.letter(out.Value) }

// Start implements experiments.Transport; a split is read from its beginning.
func (f *feed) Start(map[experiments.TopicPartition]int64) error {
	f.started = true
	return nil
}

// Release implements experiments.Transport; nothing is ever revoked.
func (f *feed) Release([]experiments.TopicPartition) error { return nil }

// Abort implements experiments.Transport. The whole split begins again instead.
func (f *feed) Abort(context.Context) error {
	return errors.New("a split cannot begin again in its middle")
}

// SetPaused implements experiments.Transport; lanes do not run ahead of one another.
func (f *feed) SetPaused([]experiments.TopicPartition) {}

// Commit implements experiments.Transport: what counts is what the dataset holds.
func (f *feed) Commit(context.Context, map[experiments.TopicPartition]experiments.CommittedOffset) error {
	return nil
}

// Close implements experiments.Transport.
func (f *feed) Close() error { return f.merge.Close() }

// appendExtra keeps what a clean function may ask of a record besides its value.
func appendExtra(dst []byte, rec *mortise.Record) []byte {
	dst = binary.AppendVarint(dst, rec.TimestampMS)
	dst = appendText(dst, rec.Key)
	dst = binary.AppendUvarint(dst, uint64(len(rec.Headers)))
	for _, h := range rec.Headers {
		dst = appendText(appendText(dst, []byte(h.Key)), h.Value)
	}
	return dst
}

// appendText writes text behind its length plus one; 0 is nil.
func appendText(dst, text []byte) []byte {
	if text == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
}

// readExtra reads what appendExtra wrote; the record aliases it.
func readExtra(extra []byte, rec *mortise.Record) error {
	timestampMS, n := binary.Varint(extra)
	if n <= 0 {
		return errExtra
	}
	rec.TimestampMS, extra = timestampMS, extra[n:]
	var ok bool
	if rec.Key, extra, ok = readText(extra); !ok {
		return errExtra
	}
	count, n := binary.Uvarint(extra)
	if n <= 0 || count > uint64(len(extra)) {
		return errExtra
	}
	extra = extra[n:]
	for range count {
		var key, value []byte
		if key, extra, ok = readText(extra); !ok {
			return errExtra
		}
		if value, extra, ok = readText(extra); !ok {
			return errExtra
		}
		rec.Headers = append(rec.Headers, mortise.Header{Key: string(key), Value: value})
	}
	return nil
}

var errExtra = errors.New("a record's key and headers are not what was kept")

func readText(data []byte) (text, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n)+1 {
		return nil, nil, false
	}
	if data = data[n:]; size == 0 {
		return nil, data, true
	}
	return data[: size-1 : size-1], data[size-1:], true
}
