package changes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Formats of change streams.
const (
	Debezium = "debezium"
	Canal    = "canal"
)

// Change is what one record says of one row.
type Change struct {
	Key    []byte      // as dimjoin.AppendKey writes it
	Values mortise.Row // of the key
	AtMS   int64       // when the database made it, ms UTC

	// Row is what the row's fields are from then on, in the order of
	// Options.Fields: a zero Value where the change says nothing of a field, which
	// then stays as it is. It is nil where the row is deleted.
	Row mortise.Row
	// Tombstone says that the record marks its key for compaction, and that AtMS is
	// only when it was written: the deletion itself has come before it, unless
	// compaction has removed it.
	Tombstone bool
}

// Options say what is read of a change stream.
type Options struct {
	Format string
	// Table, where set, is the only table whose changes are read: its name, or
	// database.table or schema.table, or database.schema.table.
	Table  string
	Key    mortise.Schema // the columns of the key, in the order of the store's key
	Fields mortise.Schema // of the dimension
	// Unit is what a number means where a time is wanted and the record does not
	// say: s, ms, us or ns. The default is ms.
	Unit string
	// Unavailable is what Debezium writes where it does not know a value that has
	// not changed (unavailable.value.placeholder). The default is Debezium's.
	Unavailable string
}

// DefaultUnavailable is what Debezium writes for a toasted column that an update
// did not touch.
const DefaultUnavailable = "__debezium_unavailable_value"

// Parser reads the records of one change stream. One goroutine uses it.
type Parser struct {
	opts   Options
	nanos  int64 // of a plain number that is a time
	read   func(p *Parser, rec *mortise.Record) error
	schema connectSchema // Debezium's, as the last record had it

	out    []Change
	fault  *mortise.RecordError
	timeMS int64 // of the record; 0 where it has none
}

var unitNanos = map[string]int64{"": 1e6, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

// NewParser makes one. The error says what the options lack.
func NewParser(opts Options) (*Parser, error) {
	p := &Parser{opts: opts}
	switch opts.Format {
	case Debezium:
		p.read = (*Parser).readDebezium
	case Canal:
		p.read = (*Parser).readCanal
	default:
		return nil, fmt.Errorf("a change stream's format is %s or %s, not %q", Debezium, Canal, opts.Format)
	}
	if p.opts.Unavailable == "" {
		p.opts.Unavailable = DefaultUnavailable
	}
	var ok bool
	if p.nanos, ok = unitNanos[opts.Unit]; !ok {
		return nil, fmt.Errorf("the unit of times is s, ms, us or ns, not %q", opts.Unit)
	}
	if len(opts.Key) == 0 {
		return nil, fmt.Errorf("a change stream needs the columns of its table's key")
	}
	return p, nil
}

// Parse returns the changes of a record, none where it is about something else:
// another table, a change of columns, a heartbeat. They are valid until the next
// call, and as long as the record is.
//
// An error is a *mortise.RecordError and says what part of the record cannot be
// used; the changes that come with it can.
func (p *Parser) Parse(rec *mortise.Record) ([]Change, error) {
	p.out, p.fault, p.timeMS = p.out[:0], nil, 0
	if err := p.read(p, rec); err != nil {
		return p.out, err
	}
	if p.fault != nil {
		return p.out, p.fault
	}
	return p.out, nil
}

// TimeMS is when the database made what the last record tells of, though it be of
// another table; false where it tells no time.
func (p *Parser) TimeMS() (ms int64, ok bool) { return p.timeMS, p.timeMS > 0 }

// open checks that a value is one JSON object.
func open(value []byte) ([]byte, error) {
	value = bytes.TrimSpace(value)
	switch {
	case !utf8.Valid(value):
		return nil, badJSON("it is not valid UTF-8")
	case !json.Valid(value):
		return nil, badJSON("it is not JSON; Avro and Protobuf are not read here: use the JSON converter")
	case len(value) == 0 || value[0] != '{':
		return nil, badJSON("it is JSON, but not an object")
	}
	return value, nil
}

func badJSON(detail string) error {
	return &mortise.RecordError{Reason: mortise.ReasonBadJSON, Detail: detail}
}

func badField(field, format string, args ...any) *mortise.RecordError {
	return &mortise.RecordError{Reason: mortise.ReasonBadField, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// truncated says of a truncation that nobody follows it: it names no rows.
func truncated(field string) *mortise.RecordError {
	return badField(field, "the table was truncated, which names no rows: those that it had stay as they were here; load the table anew, or delete rows one by one")
}

// put notes that part of the record cannot be used; the first such part counts.
func (p *Parser) put(why *mortise.RecordError) {
	if p.fault == nil {
		p.fault = why
	}
}

// wanted reports whether a table is the one that is read. Its names come from the
// outermost on; those that are not known are empty.
func (p *Parser) wanted(names ...string) bool {
	if p.opts.Table == "" {
		return true
	}
	var known []string
	for _, name := range names {
		if name != "" {
			known = append(known, name)
		}
	}
	for i := range known {
		if p.opts.Table == strings.Join(known[i:], ".") {
			return true
		}
	}
	// database.table, of a database whose tables lie in schemas
	return len(known) == 3 && p.opts.Table == known[0]+"."+known[2]
}

// columns are the members of a row, by name.
type columns map[string][]byte

func columnsOf(object []byte) columns {
	c := columns{}
	members(object, func(name, value []byte) { c[string(name)] = value })
	return c
}

// key reads the key out of columns.
func (p *Parser) key(c columns, r reading) (key []byte, values mortise.Row, why *mortise.RecordError) {
	values = make(mortise.Row, len(p.opts.Key))
	for i, f := range p.opts.Key {
		raw, ok := c[f.Name]
		if !ok || isNull(raw) {
			return nil, nil, &mortise.RecordError{Reason: mortise.ReasonMissingKey, Field: f.Name, Detail: "the row has no such column, or it is null"}
		}
		f.Type.Nullable = false
		v, err := r.of(f.Name).value(raw, f.Type)
		if err != nil {
			return nil, nil, badField(f.Name, "%s", err)
		}
		values[i] = v
	}
	key, ok := dimjoin.AppendKey(nil, values...)
	if !ok {
		return nil, nil, &mortise.RecordError{Reason: mortise.ReasonMissingKey, Detail: "a part of the key is null"}
	}
	return key, values, nil
}

// row reads the fields that columns have.
func (p *Parser) row(c columns, r reading) (mortise.Row, *mortise.RecordError) {
	row := make(mortise.Row, len(p.opts.Fields))
	for i, f := range p.opts.Fields {
		raw, ok := c[f.Name]
		if !ok || r.unavailable(raw) {
			continue
		}
		v, err := r.of(f.Name).value(raw, f.Type)
		if err != nil {
			return nil, badField(f.Name, "%s", err)
		}
		row[i] = v
	}
	return row, nil
}

// upsert adds the change that a row's columns make.
func (p *Parser) upsert(c columns, r reading, key []byte, values mortise.Row, atMS int64) {
	row, why := p.row(c, r)
	if why != nil {
		p.put(why)
		return
	}
	p.out = append(p.out, Change{Key: key, Values: values, AtMS: atMS, Row: row})
}
