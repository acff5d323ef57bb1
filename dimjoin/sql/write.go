package sql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// writer writes one table.
type writer struct {
	*Table
	name []string
}

// Writer writes the table: a row replaces the one of its key. The table needs a
// unique index of the key's columns, and of the history's from behind them; columns
// that are no fields keep what they have, or their defaults.
//
// With history, the row that was valid before is ended where a new one begins. That a
// key has no row from some time on is kept as a row that is valid at no time, from
// and to both that time: so changes may come in any order.
func (t *Table) Writer(ctx context.Context) (dimjoin.Writer, error) { return t.writer(ctx, t.name) }

func (t *Table) writer(ctx context.Context, name []string) (*writer, error) {
	t.mu.Lock()
	known := t.unique[quoted(t.dialect, name)]
	t.mu.Unlock()
	if known {
		return &writer{t, name}, nil
	}
	var want []string
	for i := range t.layout.keys {
		want = append(want, t.layout.keys[i].name)
	}
	if t.layout.from.name != "" {
		want = append(want, t.layout.from.name)
	}
	slices.Sort(want)
	all, err := t.dialect.uniques(ctx, t.db, name)
	if err != nil {
		return nil, t.fail("opening for writing", err)
	}
	for _, columns := range all {
		slices.Sort(columns)
		if slices.Equal(columns, want) {
			t.mu.Lock()
			t.unique[quoted(t.dialect, name)] = true
			t.mu.Unlock()
			return &writer{t, name}, nil
		}
	}
	return nil, t.fail("opening for writing", fmt.Errorf("there is no unique index of %s, without which a row could be there twice: make one", strings.Join(want, ", ")))
}

// readLists collects the second column by the first, which comes in order.
func readLists(rows *sql.Rows, err error) ([][]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]string
	last := ""
	for rows.Next() {
		var of, item string
		if err := rows.Scan(&of, &item); err != nil {
			return nil, err
		}
		if of != last || len(out) == 0 {
			out, last = append(out, nil), of
		}
		out[len(out)-1] = append(out[len(out)-1], item)
	}
	return out, rows.Err()
}

// What is written at once.
const (
	maxRecords    = 500
	maxBytes      = 4 << 20
	maxParameters = 30_000
)

// Write implements dimjoin.Writer. A few hundred records are one transaction.
func (w *writer) Write(ctx context.Context, records []dimjoin.Record) error {
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && n < maxRecords && size < maxBytes {
			for _, v := range records[n].Row {
				size += 16 + len(v.Text())
			}
			n++
		}
		if err := w.transact(ctx, records[:n]); err != nil {
			return w.fail("writing to", err)
		}
		records = records[n:]
	}
	if err := ctx.Err(); err != nil {
		return w.fail("writing to", err)
	}
	return nil
}

func (w *writer) transact(ctx context.Context, records []dimjoin.Record) (err error) {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return w.reached(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tolerate(tx.Rollback()))
		}
	}()
	if w.layout.from.name != "" {
		err = w.writeHistory(ctx, tx, records)
	} else {
		err = w.writeLatest(ctx, tx, records)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// tolerate is nil for what a failed transaction may say when it is rolled back.
func tolerate(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// writeLatest writes the last record of each key.
func (w *writer) writeLatest(ctx context.Context, tx *sql.Tx, records []dimjoin.Record) error {
	last := map[string]int{}
	for i := range records {
		last[string(records[i].Key)] = i
	}
	var puts [][]any
	var ends []dimjoin.Record
	for i := range records {
		r := &records[i]
		if last[string(r.Key)] != i {
			continue
		}
		keys, err := w.keyArgs(r)
		if err != nil {
			return err
		}
		if r.Row == nil {
			ends = append(ends, *r)
			continue
		}
		puts = append(puts, append(keys, w.fieldArgs(r.Row)...))
	}
	if err := w.upsertAll(ctx, tx, append(slices.Clone(w.layout.keys), w.layout.fields...), len(w.layout.keys), puts); err != nil {
		return err
	}
	for i := range ends {
		args, err := w.keyArgs(&ends[i])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+quoted(w.dialect, w.name)+" WHERE "+w.equals(w.layout.keys, 1), args...); err != nil {
			return err
		}
	}
	return nil
}

// equals is the condition that columns are what the arguments from n on say.
func (w *writer) equals(columns []column, n int) string {
	var all []string
	for i := range columns {
		all = append(all, w.dialect.quote(columns[i].name)+" = "+w.dialect.put(&columns[i], w.dialect.placeholder(n+i)))
	}
	return strings.Join(all, " AND ")
}

func (w *writer) keyArgs(r *dimjoin.Record) ([]any, error) {
	if len(r.Values) != len(w.layout.keys) {
		return nil, fmt.Errorf("the key %q has %d parts, and the table has %d columns for it", r.Key, len(r.Values), len(w.layout.keys))
	}
	out := make([]any, len(r.Values))
	for i, v := range r.Values {
		out[i] = argument(v)
	}
	return out, nil
}

func (w *writer) fieldArgs(row mortise.Row) (out []any) {
	for _, v := range row {
		out = append(out, argument(v))
	}
	return out
}

// argument is a value as the text that puts take: moments in ms.
func argument(v mortise.Value) any {
	if v.IsNull() {
		return nil
	}
	return string(dimjoin.AppendText(nil, v))
}

// upsertAll puts rows of columns, the first few of which are a unique key.
func (w *writer) upsertAll(ctx context.Context, tx *sql.Tx, columns []column, unique int, rows [][]any) error {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = w.dialect.quote(columns[i].name)
	}
	head := "INSERT INTO " + quoted(w.dialect, w.name) + " (" + strings.Join(names, ", ") + ") VALUES "
	tail := w.dialect.upsert(names[:unique], names[unique:])
	for part := range slices.Chunk(rows, max(1, maxParameters/len(columns))) {
		var text strings.Builder
		var args []any
		text.WriteString(head)
		for n, row := range part {
			if n > 0 {
				text.WriteString(", ")
			}
			for i := range columns {
				text.WriteString(map[bool]string{true: "(", false: ", "}[i == 0])
				text.WriteString(w.dialect.put(&columns[i], w.dialect.placeholder(len(args)+i+1)))
			}
			text.WriteString(")")
			args = append(args, row...)
		}
		text.WriteString(tail)
		if _, err := tx.ExecContext(ctx, text.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

// writeHistory reads what is there of the records' keys, and writes what changes.
func (w *writer) writeHistory(ctx context.Context, tx *sql.Tx, records []dimjoin.Record) error {
	lines, err := w.timelines(ctx, tx, records)
	if err != nil {
		return err
	}
	for i := range records {
		if records[i].Row == nil && w.layout.to.name == "" {
			return errors.New("a row ends, which a history without a column for that cannot say: declare the history's to")
		}
		lines[string(records[i].Key)].put(&records[i], max(minMS, records[i].FromMS))
	}
	columns := append(slices.Clone(w.layout.keys), w.layout.from)
	unique := len(columns)
	if w.layout.to.name != "" {
		columns = append(columns, w.layout.to)
	}
	columns = append(columns, w.layout.fields...)
	var puts [][]any
	for i := range records {
		line := lines[string(records[i].Key)]
		keys, err := w.keyArgs(&records[i])
		if err != nil {
			return err
		}
		for k := range *line {
			switch e := &(*line)[k]; {
			case e.record != nil:
				puts = append(puts, w.entryArgs(keys, e))
			case e.moved:
				if err := w.move(ctx, tx, keys, e); err != nil {
					return err
				}
			}
		}
		*line = nil // all its records are done
	}
	slices.SortStableFunc(puts, func(a, b []any) int { // two writers lock in one order
		return cmp.Compare(fmt.Sprint(a[:unique]...), fmt.Sprint(b[:unique]...))
	})
	return w.upsertAll(ctx, tx, columns, unique, puts)
}

// entryArgs are the arguments of an entry: of a mark, fields that may not be null are
// zero.
func (w *writer) entryArgs(keys []any, e *entry) []any {
	out := append(slices.Clone(keys), w.timeArg(&w.layout.from, e.fromMS))
	if w.layout.to.name != "" {
		out = append(out, w.timeArg(&w.layout.to, e.toMS))
	}
	if e.record.Row == nil {
		return append(out, w.fieldArgs(zeroRow(w.def.Fields))...)
	}
	return append(out, w.fieldArgs(e.record.Row)...)
}

func zeroRow(fields mortise.Schema) mortise.Row {
	row := make(mortise.Row, len(fields))
	for i, f := range fields {
		switch {
		case f.Type.Nullable:
			row[i] = mortise.NullValue()
		case f.Type.Kind == mortise.String:
			row[i] = mortise.StringValue("")
		case f.Type.Kind == mortise.List:
			row[i] = mortise.ListValue(nil)
		case f.Type.Kind == mortise.Bool:
			row[i] = mortise.BoolValue(false)
		default:
			row[i] = mortise.IntValue(0)
		}
	}
	return row
}

// timeArg is a time as an argument: nil for none.
func (w *writer) timeArg(c *column, ms int64) any {
	if ms == dimjoin.Latest || ms == dimjoin.Always {
		return nil
	}
	if c.class == moment {
		return fmt.Sprint(ms)
	}
	return fmt.Sprint(w.def.History.Of(ms).Int())
}

// move ends a row that is there.
func (w *writer) move(ctx context.Context, tx *sql.Tx, keys []any, e *entry) error {
	if w.layout.to.name == "" {
		return nil // it ends where the next one begins
	}
	set := "UPDATE " + quoted(w.dialect, w.name) + " SET " + w.dialect.quote(w.layout.to.name) + " = " + w.dialect.put(&w.layout.to, w.dialect.placeholder(1))
	args := append([]any{w.timeArg(&w.layout.to, e.toMS)}, keys...)
	where := " WHERE " + w.equals(w.layout.keys, 2)
	if e.fromMS == dimjoin.Always {
		where += " AND " + w.dialect.quote(w.layout.from.name) + " IS NULL"
	} else {
		where += " AND " + w.equals([]column{w.layout.from}, len(args)+1)
		args = append(args, w.timeArg(&w.layout.from, e.fromMS))
	}
	_, err := tx.ExecContext(ctx, set+where, args...)
	return err
}

// timelines reads the histories of the records' keys, and locks them.
func (w *writer) timelines(ctx context.Context, tx *sql.Tx, records []dimjoin.Record) (map[string]*timeline, error) {
	out := map[string]*timeline{}
	var keys []key
	var order []*timeline
	for i := range records {
		if out[string(records[i].Key)] != nil {
			continue
		}
		k := key{parts: make([]string, len(w.layout.keys))}
		if !w.layout.keyTexts(k.parts, records[i].Values) {
			return nil, fmt.Errorf("the key %q does not fit the columns of the key", records[i].Key)
		}
		line := &timeline{}
		out[string(records[i].Key)] = line
		keys, order = append(keys, k), append(order, line)
	}
	to, lock := "NULL", " FOR UPDATE"
	if w.layout.to.name != "" {
		to = w.dialect.read(&w.layout.to, "t")
	}
	if _, ok := w.dialect.(postgres); ok {
		lock = " FOR UPDATE OF t"
	}
	text := "SELECT l.n, " + w.dialect.read(&w.layout.from, "t") + ", " + to + " FROM " + w.dialect.keySelect(w.layout, len(keys), false) +
		" JOIN " + quoted(w.dialect, w.name) + " t ON " + w.keysEqual("t") + lock
	rows, err := tx.QueryContext(ctx, text, w.dialect.args(w.layout, keys, len(keys), false)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := &reader{Table: w.Table}
	var n, from, end cell
	for rows.Next() {
		if err := rows.Scan(&n, &from, &end); err != nil {
			return nil, err
		}
		line := order[n.Int()-1]
		*line = append(*line, entry{fromMS: r.ms(&from, dimjoin.Always), toMS: r.ms(&end, dimjoin.Latest), there: true})
	}
	for _, line := range order {
		slices.SortFunc(*line, func(a, b entry) int { return cmp.Compare(a.fromMS, b.fromMS) })
	}
	return out, rows.Err()
}

// Close implements dimjoin.Writer. The table stays open.
func (w *writer) Close() error { return nil }
