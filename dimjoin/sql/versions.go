package sql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
)

// A version is a table beside the one that is read, of its name, "__v_" and the
// version's. To switch is to rename both. A table's comment says which version it
// is, whatever it is called.
const (
	versionInfix = "__v_"
	versionMark  = "mortise version "
	unnamed      = "__before" // a table that has no version, once it was renamed
)

var versionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// versionTable is the name of a version's table while it is not read.
func (t *Table) versionTable(version string) ([]string, error) {
	out := slices.Clone(t.name)
	last := &out[len(out)-1]
	if version == "" {
		*last += unnamed
		return out, nil
	}
	if *last += versionInfix + version; !versionName.MatchString(version) || len(*last) > 63 {
		return nil, fmt.Errorf("%q is no name of a version: letters, digits, _ and -, and with the table's name no more than 63", version)
	}
	return out, nil
}

// Current implements dimjoin.Versioned.
func (t *Table) Current(ctx context.Context) (string, error) {
	comment, err := t.dialect.tableComment(ctx, t.db, t.name)
	if err != nil {
		return "", t.fail("reading the version of", err)
	}
	version, ok := strings.CutPrefix(comment, versionMark)
	if !ok {
		version = ""
	}
	return version, nil
}

// Prepare implements dimjoin.Versioned. The new table is like the one that is read,
// its indexes included.
func (t *Table) Prepare(ctx context.Context, version string) (dimjoin.Writer, error) {
	w, err := t.prepare(ctx, version)
	if err != nil {
		return nil, t.fail("preparing version "+version+" of", err)
	}
	return w, nil
}

func (t *Table) prepare(ctx context.Context, version string) (*writer, error) {
	name, err := t.versionTable(version)
	if err != nil || version == "" {
		return nil, errors.Join(err, t.needName(version))
	}
	if current, err := t.Current(ctx); err != nil || current == version {
		return nil, errors.Join(err, fmt.Errorf("version %q is read already", current))
	}
	statements := t.dialect.createLike(quoted(t.dialect, t.name), quoted(t.dialect, name), versionMark+version)
	if _, err := t.dialect.columns(ctx, t.db, name); err == nil {
		statements = statements[1:] // it was begun
	} else if !errors.Is(err, errNoTable) {
		return nil, err
	}
	if err := t.execAll(ctx, statements); err != nil {
		return nil, err
	}
	return t.writer(ctx, name)
}

func (t *Table) needName(version string) error {
	if version == "" {
		return errors.New("it has no name")
	}
	return nil
}

// execAll runs statements in a transaction, as far as the database has them for
// such statements.
func (t *Table) execAll(ctx context.Context, statements []string) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return t.reached(err)
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return errors.Join(err, tolerate(tx.Rollback()))
		}
	}
	return tx.Commit()
}

// Switch implements dimjoin.Versioned.
func (t *Table) Switch(ctx context.Context, version string) error {
	if err := t.switchTo(ctx, version); err != nil {
		return t.fail("switching to version "+version+" of", err)
	}
	return nil
}

func (t *Table) switchTo(ctx context.Context, version string) error {
	next, err := t.versionTable(version)
	if err != nil {
		return err
	}
	current, err := t.Current(ctx)
	if err != nil || current == version {
		return err
	}
	if _, err := t.dialect.columns(ctx, t.db, next); err != nil {
		return fmt.Errorf("version %q was never filled: %w", version, err)
	}
	old, err := t.versionTable(current)
	if err != nil {
		return err
	}
	d, now := t.dialect, quoted(t.dialect, t.name)
	return t.execAll(ctx, d.rename([][2]string{{now, quoted(d, old)}, {quoted(d, next), now}}))
}

// Drop implements dimjoin.Versioned.
func (t *Table) Drop(ctx context.Context, version string) error {
	name, err := t.versionTable(version)
	if err == nil {
		var current string
		if current, err = t.Current(ctx); err == nil && current == version {
			err = errors.New("it is the one that is read: switch to another first")
		}
	}
	if err == nil {
		_, err = t.db.ExecContext(ctx, "DROP TABLE IF EXISTS "+quoted(t.dialect, name))
	}
	if err != nil {
		return t.fail("dropping version "+version+" of", err)
	}
	return nil
}
