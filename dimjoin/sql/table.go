package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Table is a dimension table in a database: a dimjoin.Table, and dimjoin.Versioned.
type Table struct {
	def     *dimjoin.Definition
	opts    Options
	dialect dialect
	secrets []string
	name    []string
	layout  *layout
	db      *sql.DB

	mu         sync.Mutex
	statements map[int]*sql.Stmt // that read so many keys
	unique     map[string]bool   // tables whose keys are known to be
}

// Open connects to the table of a dimension, and checks its columns against what
// is declared. The error wraps dimjoin.ErrUnreachable if the database does not
// answer. It never has the DSN in it.
func Open(ctx context.Context, def *dimjoin.Definition, opts Options) (*Table, error) {
	t := &Table{def: def, opts: opts, statements: map[int]*sql.Stmt{}, unique: map[string]bool{}}
	if err := t.open(ctx); err != nil {
		return nil, t.fail("opening", err)
	}
	return t, nil
}

func (t *Table) open(ctx context.Context) (err error) {
	if err := t.def.History.Check(); err != nil {
		return err
	}
	if t.dialect, err = dialectOf(t.def.Store.SQL.Driver); err != nil {
		return err
	}
	t.opts.EnsureDefaults(t.dialect)
	if t.name, err = tableName(t.def.Store.SQL.Table); err != nil {
		return err
	}
	if t.db, t.secrets, err = t.dialect.open(t.def.Store.SQL.DSN); err != nil {
		return err
	}
	t.db.SetMaxOpenConns(t.opts.Connections)
	t.db.SetMaxIdleConns(t.opts.Connections)
	t.db.SetConnMaxIdleTime(t.opts.Idle)
	if err := t.db.PingContext(ctx); err != nil {
		return errors.Join(t.reached(err), t.db.Close())
	}
	if t.layout, err = readLayout(ctx, t.db, t.dialect, t.name, t.def); err != nil {
		return errors.Join(err, t.db.Close())
	}
	return nil
}

// Close implements dimjoin.Table.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, s := range t.statements {
		err = errors.Join(err, s.Close())
	}
	t.statements = nil
	if err = errors.Join(err, t.db.Close()); err != nil {
		return t.fail("closing", err)
	}
	return nil
}

// statement is the one that reads n keys, prepared once.
func (t *Table) statement(ctx context.Context, n int) (*sql.Stmt, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.statements[n]; s != nil {
		return s, nil
	}
	if t.statements == nil {
		return nil, errors.New("it was closed")
	}
	s, err := t.db.PrepareContext(ctx, t.selectText(n)) //nolint:sqlclosecheck // it is kept, and closed with the table
	if err == nil {
		t.statements[n] = s
	}
	return s, err
}

// selectText is a statement that reads n keys. Its columns are the key's number,
// with history the bounds of the answer and the row's own, whether there is a row,
// and the fields.
func (t *Table) selectText(n int) string {
	l, d, history := t.layout, t.dialect, t.def.History.Kept()
	table := quoted(d, t.name)
	out := []string{"l.n"}
	on := t.keysEqual("t")
	if history {
		from := "t." + d.quote(l.from.name)
		on += fmt.Sprintf(" AND (%s IS NULL OR %s <= l.at)", from, from)
		next := fmt.Sprintf("(SELECT min(x.%s) FROM %s x WHERE %s AND x.%s > l.at)", d.quote(l.from.name), table, t.keysEqual("x"), d.quote(l.from.name))
		out = append(out, t.readOf(&l.from, next))
		if l.to.name == "" {
			out = append(out, "NULL", d.read(&l.from, "t"), "NULL")
		} else {
			to := "t." + d.quote(l.to.name)
			on += fmt.Sprintf(" AND (%s IS NULL OR %s > l.at)", to, to)
			last := fmt.Sprintf("(SELECT max(x.%s) FROM %s x WHERE %s AND x.%s <= l.at)", d.quote(l.to.name), table, t.keysEqual("x"), d.quote(l.to.name))
			out = append(out, t.readOf(&l.to, last), d.read(&l.from, "t"), d.read(&l.to, "t"))
		}
	}
	out = append(out, "t."+d.quote(l.keys[0].name)+" IS NOT NULL")
	for i := range l.fields {
		out = append(out, d.read(&l.fields[i], "t"))
	}
	join := " JOIN "
	if history {
		join = " LEFT JOIN "
	}
	return "SELECT " + strings.Join(out, ", ") + " FROM " + d.keySelect(l, n, history) + join + table + " t ON " + on
}

// readOf reads an expression that is of a column's type.
func (t *Table) readOf(c *column, expr string) string {
	named := *c
	named.name = "\x00"
	return strings.ReplaceAll(t.dialect.read(&named, "y"), "y."+t.dialect.quote("\x00"), expr)
}

// keysEqual is the condition that a row is one of the keys.
func (t *Table) keysEqual(of string) string {
	var all []string
	for i := range t.layout.keys {
		all = append(all, t.dialect.equal(&t.layout.keys[i], of+"."+t.dialect.quote(t.layout.keys[i].name), fmt.Sprint("l.k", i)))
	}
	return strings.Join(all, " AND ")
}
