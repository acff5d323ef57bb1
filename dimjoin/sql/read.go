package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Read implements dimjoin.Table.
func (t *Table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	const tries = 5
	for range tries {
		again, err := t.readAll(ctx, lookups)
		if err != nil {
			return t.fail("reading", err)
		}
		if !again {
			return nil
		}
	}
	return t.fail("reading", errors.New("its version changed again and again meanwhile"))
}

// readAll reads all lookups, a chunk at a time. Several chunks could be of two
// versions: then it asks for another try.
func (t *Table) readAll(ctx context.Context, lookups []dimjoin.Lookup) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	r := newReader(t, lookups)
	before := ""
	if len(r.asked) > t.opts.Chunk {
		if before, err = t.Current(ctx); err != nil {
			return false, err
		}
	}
	for at := 0; at < len(r.asked); at += t.opts.Chunk {
		if err := r.read(ctx, at, min(len(r.asked), at+t.opts.Chunk)); err != nil {
			return false, err
		}
	}
	if len(r.asked) > t.opts.Chunk {
		after, err := t.Current(ctx)
		return after != before, err
	}
	return false, nil
}

// reader reads lookups.
type reader struct {
	*Table
	history bool
	lookups []dimjoin.Lookup
	asked   []int // the lookups whose keys the columns can have
	keys    []key
	best    []int64 // with history, of those asked: from when the row found holds
	cells   []cell
	scan    []any
}

func newReader(t *Table, lookups []dimjoin.Lookup) *reader {
	r := &reader{Table: t, history: t.def.History.Kept(), lookups: lookups}
	parts := make([]string, len(lookups)*len(t.layout.keys))
	for i := range lookups {
		l := &lookups[i]
		l.Row, l.Err, l.FromMS, l.ToMS = nil, nil, 0, 0
		if r.history {
			l.FromMS, l.ToMS = dimjoin.Always, dimjoin.Latest
		}
		k := key{parts: parts[:len(t.layout.keys):len(t.layout.keys)]}
		if parts = parts[len(t.layout.keys):]; !t.layout.keyTexts(k.parts, l.Values) {
			continue
		}
		if r.history {
			k.at = t.columnTime(l.AsOfMS)
		}
		r.asked, r.keys = append(r.asked, i), append(r.keys, k)
	}
	n := 2 + len(t.layout.fields)
	if r.history {
		n, r.best = n+4, make([]int64, len(r.asked))
	}
	r.cells = make([]cell, n)
	for i := range r.cells {
		r.scan = append(r.scan, &r.cells[i])
	}
	return r
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// keyTexts writes a key's parts as the columns read them; false where a column can
// hold no such value, as an integer no letters.
func (l *layout) keyTexts(dst []string, values mortise.Row) bool {
	if len(values) != len(l.keys) {
		return false
	}
	for i, v := range values {
		text := string(dimjoin.AppendText(nil, v))
		switch l.keys[i].class {
		case integer:
			if l.keys[i].typ == "tinyint(1)" && v.Kind == mortise.Bool {
				text = map[bool]string{true: "1", false: "0"}[v.Bool()]
			}
			if n, err := strconv.ParseInt(text, 10, 64); err != nil || strconv.FormatInt(n, 10) != text {
				return false
			}
		case boolean:
			if text != "true" && text != "false" {
				return false
			}
		case uuid:
			if !uuidForm.MatchString(text) {
				return false
			}
		default:
			for k := range text {
				if text[k] == 0 {
					return false // which no text column holds
				}
			}
		}
		dst[i] = text
	}
	return true
}

// columnTime is a time in the history's column's terms: the last moment of it.
func (t *Table) columnTime(ms int64) int64 {
	ms = max(minMS, min(maxMS, ms))
	if t.layout.from.class == moment {
		return ms
	}
	switch t.def.History.Unit {
	case "s":
		return time.UnixMilli(ms).Unix()
	case "us":
		return ms*1e3 + 999
	case "ns":
		const most = math.MaxInt64/1_000_000 - 1
		return max(-most, min(most, ms))*1_000_000 + 999_999
	}
	return ms
}

// timeText writes a time as an argument: a number, or the last moment of a
// millisecond.
func timeText(c *column, at int64, zone string) string {
	if c.class != moment {
		return strconv.FormatInt(at, 10)
	}
	return time.UnixMilli(at).UTC().Add(999*time.Microsecond).Format("2006-01-02 15:04:05.000000") + zone
}

// read reads the keys [from, to) of those that are asked.
func (r *reader) read(ctx context.Context, from, to int) error {
	n := 0 // a statement takes any number
	if _, ok := r.dialect.(mysql); ok {
		n = 1 << bits.Len(uint(to-from-1))
	}
	s, err := r.statement(ctx, n) //nolint:sqlclosecheck // it is kept, and closed with the table
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, r.dialect.args(r.layout, r.keys[from:to], n, r.history)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(r.scan...); err != nil {
			return err
		}
		if n := int(r.cells[0].Int()) - 1; n >= 0 && from+n < to {
			r.answer(from + n)
		}
	}
	return rows.Err()
}

// answer takes a row of the result, of one of those asked. Of a key's overlapping
// versions the one whose from is later wins.
func (r *reader) answer(n int) {
	l, cells := &r.lookups[r.asked[n]], r.cells[1:]
	if r.history {
		next, last, from, to := &cells[0], &cells[1], &cells[2], &cells[3]
		cells = cells[4:]
		l.FromMS, l.ToMS = max(l.FromMS, r.ms(last, dimjoin.Always)), min(l.ToMS, r.ms(next, dimjoin.Latest))
		if !cells[0].Bool() { // the bits of an integer, too
			return
		}
		begin := r.ms(from, dimjoin.Always)
		l.FromMS, l.ToMS = max(l.FromMS, begin), min(l.ToMS, r.ms(to, dimjoin.Latest))
		if (l.Row != nil || l.Err != nil) && begin < r.best[n] {
			return
		}
		r.best[n] = begin
	}
	l.Row, l.Err = r.row(cells[1:])
}

// ms reads a time of the history.
func (r *reader) ms(c *cell, null int64) int64 {
	if c.IsNull() {
		return null
	}
	v := c.Value
	if r.layout.from.class == moment {
		v = mortise.TimestampValue(c.Int())
	}
	ms, ok := r.def.History.Begin(v)
	if null == dimjoin.Latest {
		ms, ok = r.def.History.End(v)
	}
	if !ok {
		return null
	}
	return ms
}

// row makes a row of what was scanned.
func (r *reader) row(cells []cell) (mortise.Row, error) {
	size := 0
	for i := range cells {
		size += len(cells[i].Text())
	}
	if size > dimjoin.MaxRowBytes {
		return nil, dimjoin.ErrTooLarge(size)
	}
	row := make(mortise.Row, len(cells))
	for i := range cells {
		v, err := convert(&r.def.Fields[i], &r.layout.fields[i], cells[i].Value)
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	if err := dimjoin.FitRow(r.def.Fields, row); err != nil {
		return nil, err
	}
	return row, nil
}

// convert makes what was scanned of a column what comes before Fit.
func convert(f *mortise.Field, c *column, v mortise.Value) (mortise.Value, error) {
	switch {
	case v.IsNull():
		return v, nil
	case c.class == moment && v.Kind == mortise.Int:
		return mortise.TimestampValue(v.Int()), nil
	case f.Type.Kind == mortise.Bool && v.Kind == mortise.Int:
		return mortise.BoolValue(v.Int() != 0), nil
	case v.Kind == mortise.String && f.Type.Kind != mortise.String: // lists, and numbers that come as text
		out, ok := dimjoin.ParseText(f.Type, v.Text())
		if !ok || f.Type.Kind == mortise.List && out.IsNull() {
			return v, fmt.Errorf("field %s is the text %s, and %s is declared", f.Name, dimjoin.Excerpt(v.Text()), f.Type)
		}
		return out, nil
	}
	return v, nil
}

// cell is a value as the driver gives it.
type cell struct{ mortise.Value }

// Scan implements sql.Scanner. Bytes are the driver's until the next row.
func (c *cell) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		c.Value = mortise.NullValue()
	case int64:
		c.Value = mortise.IntValue(v)
	case uint64:
		if c.Value = mortise.IntValue(int64(v)); v > math.MaxInt64 {
			c.Value = mortise.StringValue(strconv.FormatUint(v, 10))
		}
	case float64:
		c.Value = mortise.FloatValue(v)
	case float32:
		c.Value = mortise.FloatValue(float64(v))
	case bool:
		c.Value = mortise.BoolValue(v)
	case []byte:
		c.Value = mortise.TextValue(append([]byte{}, v...))
	case string:
		c.Value = mortise.StringValue(v)
	default:
		return fmt.Errorf("a column is %T, which is not read", src)
	}
	return nil
}

var _ sql.Scanner = (*cell)(nil)
