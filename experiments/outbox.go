package experiments

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/profile"
)

// outbox keeps what a task puts out during a round, in one buffer, until the
// worker produces it. Rows that someone else takes pass it by.
type outbox struct {
	encoders []instances.Encoder // per experiment
	take     func(exp int, in *instances.Instance) error

	profile    []*profile.Profile // per experiment, since the last commit; nil where nobody asks
	newProfile func(exp int) *profile.Profile

	buf  []byte
	rows []outRow
	dead []deadLetter
	size int // bytes of dead letters

	waits []outRow // what becomes of rows that wait: their records, without exp and time
}

type outRow struct {
	exp          int
	timeMS       int64
	key, row, to int // key is buf[key:row], the row buf[row:to]
}

// park takes the record of a row that begins to wait.
func (o *outbox) park(key, value []byte) {
	w := outRow{key: len(o.buf)}
	o.buf = append(o.buf, key...)
	w.row = len(o.buf)
	o.buf = append(o.buf, value...)
	w.to = len(o.buf)
	o.waits = append(o.waits, w)
}

// endParked takes the tombstone of a row that waits no longer.
func (o *outbox) endParked(key []byte) { o.park(key, nil) }

type deadLetter struct {
	mask   uint32
	letter mortise.DeadLetter
}

func newOutbox(p *Pipeline) (o outbox, err error) {
	o.encoders = make([]instances.Encoder, len(p.columns))
	for exp := range o.encoders {
		if o.encoders[exp], err = p.rowEncoder(exp); err != nil {
			return o, err
		}
	}
	return o, nil
}

// Row implements Sink.
func (o *outbox) Row(exp int, in *instances.Instance) error {
	if o.profile != nil {
		o.observe(exp, in)
	}
	if o.take != nil {
		return o.take(exp, in)
	}
	r := outRow{exp: exp, timeMS: in.TimeMS, key: len(o.buf)}
	o.buf = append(o.buf, in.ID...)
	r.row = len(o.buf)
	o.buf = o.encoders[exp].Append(o.buf, in)
	r.to = len(o.buf)
	o.rows = append(o.rows, r)
	return nil
}

// DeadLetter implements Sink.
func (o *outbox) DeadLetter(mask uint32, dl *mortise.DeadLetter) error {
	kept := *dl
	kept.Raw = append([]byte(nil), dl.Raw...)
	o.dead = append(o.dead, deadLetter{mask, kept})
	o.size += len(kept.Raw)
	return nil
}

func (o *outbox) empty() bool { return len(o.rows)+len(o.dead)+len(o.waits) == 0 }

func (o *outbox) reset() {
	clear(o.dead)
	o.buf, o.rows, o.dead, o.size, o.waits = o.buf[:0], o.rows[:0], o.dead[:0], 0, o.waits[:0]
}
