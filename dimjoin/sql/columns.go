package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// class is what kinds of columns have in common.
type class uint8

const (
	other class = iota
	text
	integer
	float // and decimals
	boolean
	moment // a date, or a date and time
	document
	array
	uuid
)

var classNames = [...]string{"of a type that is not read", "text", "an integer", "a number", "a bool", "a time", "JSON", "an array", "a UUID"}

// column is one of the table's.
type column struct {
	name  string
	typ   string // as the database calls it, with its size
	class class
	// zoned says of a moment that it has a time zone; collation is a text's, where the
	// database needs to be told.
	zoned     bool
	charset   string
	collation string
}

// layout is which columns of the table are what.
type layout struct {
	keys   []column
	fields []column
	from   column
	to     column // without a name where there is none
}

// errNoTable is what a dialect's columns wraps where there is no table.
var errNoTable = errors.New("there is no such table: make it, or correct its name")

// readLayout looks the dimension's columns up.
func readLayout(ctx context.Context, db *sql.DB, d dialect, table []string, def *dimjoin.Definition) (*layout, error) {
	all, err := d.columns(ctx, db, table)
	if err != nil {
		return nil, err
	}
	var names []string
	byName := map[string]column{}
	for _, c := range all {
		names, byName[c.name] = append(names, c.name), c
	}
	find := func(name, what string) (column, error) {
		c, ok := byName[name]
		if !ok {
			return c, fmt.Errorf("it has no column %s, which is %s; %s", name, what, dimjoin.DidYouMean(name, names))
		}
		return c, nil
	}
	l := &layout{}
	for i, name := range def.Key {
		c, err := find(name, "declared as the key")
		if err != nil {
			return nil, err
		}
		if err := checkKey(&c, def, i); err != nil {
			return nil, err
		}
		l.keys = append(l.keys, c)
	}
	for i := range def.Fields {
		f := &def.Fields[i]
		c, err := find(f.Name, "declared as a field")
		if err != nil {
			return nil, err
		}
		if !c.fits(f.Type) {
			return nil, fmt.Errorf("field %s is %s (%s), and %s is declared", f.Name, classNames[c.class], c.typ, f.Type)
		}
		l.fields = append(l.fields, c)
	}
	err = l.readHistory(def, find)
	return l, err
}

func (l *layout) readHistory(def *dimjoin.Definition, find func(name, what string) (column, error)) (err error) {
	h := &def.History
	if !h.Kept() {
		return nil
	}
	if l.from, err = find(h.From, "the history's from"); err != nil {
		return err
	}
	if h.To != "" {
		if l.to, err = find(h.To, "the history's to"); err != nil {
			return err
		}
	}
	for _, c := range []column{l.from, l.to} {
		if c.name == "" || c.class == moment || c.class == integer && h.Unit != "rfc3339" {
			continue
		}
		return fmt.Errorf("the history's column %s is %s (%s), unit %q: it must be a time, or an integer and its unit ms, s, us or ns", c.name, classNames[c.class], c.typ, h.Unit)
	}
	return nil
}

// checkKey reports why a column cannot be a part of the key, or nil.
func checkKey(c *column, def *dimjoin.Definition, i int) error {
	switch c.class {
	case text, integer, boolean, uuid:
	default:
		return fmt.Errorf("the key column %s is %s (%s): a key is text, an integer, a bool or a UUID", c.name, classNames[c.class], c.typ)
	}
	if i >= len(def.KeyTypes) {
		return nil
	}
	declared := def.KeyTypes[i].Kind
	ok := declared == mortise.String
	switch declared {
	case mortise.Int, mortise.Timestamp:
		ok = c.class == integer || c.class == text
	case mortise.Bool:
		ok = c.class == boolean || c.class == text || c.class == integer && c.typ == "tinyint(1)"
	}
	if !ok {
		return fmt.Errorf("the key column %s is %s (%s), and the main source's %s is %s", c.name, classNames[c.class], c.typ, def.Key[i], def.KeyTypes[i])
	}
	return nil
}

// fits reports whether a column can be read as a type.
func (c *column) fits(t mortise.Type) bool {
	switch t.Kind {
	case mortise.String:
		return c.class == text || c.class == uuid || c.class == document
	case mortise.Int:
		return c.class == integer || c.class == moment
	case mortise.Float:
		return c.class == float || c.class == integer
	case mortise.Bool:
		return c.class == boolean || c.class == integer && c.typ == "tinyint(1)"
	case mortise.Timestamp:
		return c.class == moment || c.class == integer
	case mortise.List:
		return c.class == array || c.class == document || c.class == text
	}
	return false
}
