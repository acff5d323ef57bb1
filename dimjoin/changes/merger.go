package changes

import (
	"bytes"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Merger holds the logs of the keys that are being changed between two commits to
// a table. One goroutine uses it.
type Merger struct {
	fields mortise.Schema
	latest bool // the table keeps only the latest row of a key
	open   map[string]*entry
	dirty  []*entry // since the last Drain, in the order of their first change
	bytes  int      // of what has been taken in since
}

type entry struct {
	key     []byte
	values  mortise.Row
	log     *Log
	dirty   bool
	records []dimjoin.Record // of a table with history
	written mortise.Row      // of a table without: what it has
}

// NewMerger makes one for a table whose rows have these fields; latest says that
// it keeps only the latest row of a key.
func NewMerger(fields mortise.Schema, latest bool) *Merger {
	return &Merger{fields: fields, latest: latest, open: map[string]*entry{}}
}

// Has reports whether the log of a key is there.
func (m *Merger) Has(key []byte) bool { return m.open[string(key)] != nil }

// Open puts a key's log there: out of its note, or, where that is nil, out of the
// table's latest row.
func (m *Merger) Open(key []byte, values mortise.Row, note []byte, found *dimjoin.Lookup) error {
	e := &entry{key: bytes.Clone(key), values: cloneRow(values)}
	if note != nil {
		var err error
		if e.log, err = ParseLog(m.fields, note); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	} else {
		e.log = NewLog(m.fields, found.Row, found.FromMS)
	}
	e.written, _ = e.log.Latest()
	m.open[string(key)] = e
	return nil
}

// Take takes a change of a key in whose log is there. Late is a change that has to
// come by TakeLate; a table without history leaves it out.
func (m *Merger) Take(c *Change) Outcome {
	e := m.open[string(c.Key)]
	own := *c
	own.Key, own.Values = e.key, e.values
	records, outcome := e.log.Apply(e.records, &own)
	m.keep(e, records, c)
	return outcome
}

// TakeLate takes a change in that was too late, with what the table answers as of
// its time. All that was drained before has to be in the table.
func (m *Merger) TakeLate(c *Change, found *dimjoin.Lookup) Outcome {
	e := m.open[string(c.Key)]
	own := *c
	own.Key, own.Values = e.key, e.values
	records, outcome := e.log.ApplyLate(e.records, &own, found)
	m.keep(e, records, c)
	return outcome
}

func (m *Merger) keep(e *entry, records []dimjoin.Record, c *Change) {
	if e.records = records; m.latest {
		e.records = nil
	}
	if !e.dirty {
		e.dirty = true
		m.dirty = append(m.dirty, e)
	}
	m.bytes += 64 + len(c.Key)
	for _, v := range c.Row {
		m.bytes += 32 + len(v.Text()) + 32*len(v.List())
	}
}

// Bytes is about what has been taken in since the last Drain.
func (m *Merger) Bytes() int { return m.bytes }

// MaxKeys bounds the logs that stay between commits.
const MaxKeys = 100_000

// Drain returns what has to be written to the table, in one, for all that has been
// taken in since the last call, and the notes beside it. What was said before
// forgetMS is no longer told apart.
func (m *Merger) Drain(forgetMS int64) (records []dimjoin.Record, notes []dimjoin.Note) {
	for _, e := range m.dirty {
		if m.latest {
			if row, fromMS := e.log.Latest(); !EqualRows(row, e.written) {
				records = append(records, dimjoin.Record{Key: e.key, Values: e.values, Row: row, FromMS: fromMS})
				e.written = row
			}
		}
		records = append(records, e.records...)
		e.log.Forget(forgetMS)
		notes = append(notes, dimjoin.Note{Key: e.key, Value: e.log.Append(nil)})
		e.dirty, e.records = false, nil
	}
	m.dirty, m.bytes = m.dirty[:0], 0
	if len(m.open) > MaxKeys {
		clear(m.open)
	}
	return records, notes
}
