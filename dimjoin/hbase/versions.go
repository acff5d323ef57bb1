package hbase

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/tsuna/gohbase/filter"
	"github.com/tsuna/gohbase/hrpc"

	"github.com/mortise-dev/mortise/dimjoin"
)

// A version's rows lie under the same row keys as all others, so that a table's
// regions serve it as they serve the one before: its columns begin with a mark of
// its own. A row that no key can have says which version is read, and which marks
// there are.
//
// A mark is never used again. What HBase deletes it hides up to a time, and cells of
// a history are older than any deletion.
const (
	versionsRow   = `\versions` // in a key a backslash stands before another, or a |, alone
	currentColumn = "@current"  // the mark and the name of the version that is read
	begunColumn   = "version:"  // and a name: the mark of a version that was begun
	markEnd       = "@"         // which no field's name has
)

var versionName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// version is which of the table's rows are meant.
type version struct {
	name string // empty: rows that are of no version
	mark string // what their columns begin with
	// families are the columns that are asked for.
	families map[string][]string
}

func (t *Table) versionOf(name, mark string) *version {
	v := &version{name: name, mark: mark}
	columns := []string{v.column(rowColumn)}
	for _, f := range t.def.Fields {
		columns = append(columns, v.column(f.Name))
	}
	v.families = map[string][]string{t.family: columns}
	return v
}

func (v *version) column(name string) string { return v.mark + name }

// readVersion asks which version is current, and keeps it for what is read next.
func (t *Table) readVersion(ctx context.Context) (*version, error) {
	text, _, err := t.meta(ctx, currentColumn)
	if err != nil {
		return nil, err
	}
	mark, name, _ := strings.Cut(text, " ")
	known := t.version.Load()
	if known != nil && known.name == name && known.mark == mark {
		return known, nil
	}
	v := t.versionOf(name, mark)
	t.version.Store(v)
	return v, nil
}

// meta reads a column of the row of versions, with its time; empty for none.
func (t *Table) meta(ctx context.Context, column string) (text string, ms uint64, err error) {
	g, err := hrpc.NewGetStr(ctx, t.def.Store.HBase.Table, versionsRow, hrpc.Families(map[string][]string{t.family: {column}}), hrpc.MaxVersions(1))
	if err != nil {
		return "", 0, err
	}
	result, err := t.client.Get(g)
	if err != nil {
		return "", 0, err
	}
	for _, c := range result.Cells {
		if string(c.Qualifier) == column {
			return string(c.Value), *c.Timestamp, nil
		}
	}
	return "", 0, nil
}

// putMeta writes a column of the row of versions, later than what is there, whatever
// the clocks say.
func (t *Table) putMeta(ctx context.Context, column, text string, afterMS uint64) error {
	ms := max(uint64(max(0, t.opts.Now().UnixMilli())), afterMS+1)
	p, err := hrpc.NewPutStr(ctx, t.def.Store.HBase.Table, versionsRow, map[string]map[string][]byte{t.family: {column: []byte(text)}}, hrpc.TimestampUint64(ms))
	if err == nil {
		_, err = t.client.Put(p)
	}
	return err
}

// Current implements dimjoin.Versioned.
func (t *Table) Current(ctx context.Context) (string, error) {
	v, err := t.readVersion(ctx)
	if err != nil {
		return "", t.fail("reading the version of", err)
	}
	return v.name, nil
}

// Prepare implements dimjoin.Versioned.
func (t *Table) Prepare(ctx context.Context, name string) (dimjoin.Writer, error) {
	mark, err := t.begin(ctx, name)
	if err != nil {
		return nil, t.fail("preparing version "+name+" of", err)
	}
	return &writer{t: t, version: t.versionOf(name, mark)}, nil
}

// begin finds the mark of a version, or gives it one.
func (t *Table) begin(ctx context.Context, name string) (mark string, err error) {
	if !versionName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a version: letters, digits, and _ . -, 100 at most", name)
	}
	column := begunColumn + name
	mark, ms, err := t.meta(ctx, column)
	if err != nil || mark != "" {
		return mark, err
	}
	mark = strconv.FormatInt(max(t.opts.Now().UnixNano(), 1), 36) + markEnd
	if err := t.putMeta(ctx, column, mark, ms); err != nil {
		return "", err
	}
	if there, _, err := t.meta(ctx, column); err != nil || there != mark {
		return "", errors.Join(err, fmt.Errorf("it has the mark %q, and another load gives it %q: let one of them load", mark, there))
	}
	return mark, nil
}

// Switch implements dimjoin.Versioned.
func (t *Table) Switch(ctx context.Context, name string) error {
	mark, _, err := t.meta(ctx, begunColumn+name)
	if err == nil && mark == "" {
		err = errors.New("it was never filled")
	}
	var ms uint64
	if err == nil {
		_, ms, err = t.meta(ctx, currentColumn)
	}
	if err == nil {
		err = t.putMeta(ctx, currentColumn, mark+" "+name, ms)
	}
	if err != nil {
		return t.fail("switching to version "+name+" of", err)
	}
	return nil
}

// Drop implements dimjoin.Versioned. It goes through the whole table, and deletes a
// row's columns at once: a reader finds all of them, or none.
func (t *Table) Drop(ctx context.Context, name string) error {
	if err := t.drop(ctx, name); err != nil {
		return t.fail("dropping version "+name+" of", err)
	}
	return nil
}

func (t *Table) drop(ctx context.Context, name string) error {
	current, err := t.readVersion(ctx)
	if err != nil {
		return err
	}
	if current.name == name {
		return errors.New("it is the one that is read: switch to another first")
	}
	column := begunColumn + name
	mark, ms, err := t.meta(ctx, column)
	if err != nil || mark == "" {
		return err
	}
	if err := t.deleteColumns(ctx, mark); err != nil {
		return err
	}
	return t.delete(ctx, []byte(versionsRow), map[string][]byte{column: nil}, hrpc.TimestampUint64(ms))
}

// dropRows is how many rows are deleted at once.
const dropRows = 2000

// deleteColumns deletes, of every row, the columns that begin with a mark.
func (t *Table) deleteColumns(ctx context.Context, mark string) error {
	only := filter.NewList(filter.MustPassAll, filter.NewColumnPrefixFilter([]byte(mark)), filter.NewKeyOnlyFilter(false))
	scan, err := hrpc.NewScanStr(ctx, t.def.Store.HBase.Table, hrpc.Families(map[string][]string{t.family: nil}), hrpc.Filters(only), hrpc.MaxVersions(1), hrpc.CacheBlocks(false))
	if err != nil {
		return err
	}
	scanner := t.client.Scan(scan)
	defer scanner.Close()
	type row struct {
		key     []byte
		columns map[string][]byte
	}
	var rows []row
	flush := func() error {
		err := t.each(len(rows), func(i int) error { return t.delete(ctx, rows[i].key, rows[i].columns) })
		rows = rows[:0]
		return err
	}
	for {
		result, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return err
		}
		if len(result.Cells) == 0 {
			continue
		}
		r := row{key: bytes.Clone(result.Cells[0].Row), columns: map[string][]byte{}}
		for _, c := range result.Cells {
			r.columns[string(c.Qualifier)] = nil
		}
		if rows = append(rows, r); len(rows) == dropRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

func (t *Table) delete(ctx context.Context, key []byte, columns map[string][]byte, options ...func(hrpc.Call) error) error {
	d, err := hrpc.NewDel(ctx, []byte(t.def.Store.HBase.Table), key, map[string]map[string][]byte{t.family: columns}, options...)
	if err == nil {
		_, err = t.client.Delete(d)
	}
	return err
}
