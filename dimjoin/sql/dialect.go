package sql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
)

// dialect is what databases say differently.
type dialect interface {
	// open opens a database without connecting; secrets are texts of the DSN that no
	// message may have.
	open(dsn string) (db *sql.DB, secrets []string, err error)
	// isAnswer tells an error that the database has answered from one of reaching it.
	isAnswer(err error) bool
	chunk() int
	quote(name string) string
	// columns are a table's; the error wraps errNoTable.
	columns(ctx context.Context, db *sql.DB, table []string) ([]column, error)
	// keySelect is a statement's table of n keys, as l, with the columns k0, k1, …
	// and at where history is read, and n, the key's number. Its arguments are args.
	keySelect(l *layout, n int, history bool) string
	// equal is the condition that a column, which is of, is a key's part to the letter.
	equal(c *column, of, part string) string
	// args are the arguments of a statement that reads keys: rows of the keys' parts, and
	// the times.
	args(l *layout, keys []key, n int, history bool) []any
	// read is an expression that reads a column for scanning: text, an integer, a
	// float, a bool; moments as ms.
	read(c *column, of string) string
	// put is an expression that makes the text in a placeholder, or null, a column's value.
	put(c *column, placeholder string) string
	placeholder(n int) string
	// upsert ends an INSERT so that it replaces a row of the same key.
	upsert(unique, rest []string) string
	// uniques are the table's unique indexes' columns.
	uniques(ctx context.Context, db *sql.DB, table []string) ([][]string, error)

	// tableComment, createLike, rename and drop are what versions are made of.
	tableComment(ctx context.Context, db *sql.DB, table []string) (string, error)
	createLike(like, table, comment string) []string
	rename(pairs [][2]string) []string
}

// key is a key that is looked up, as texts, or a bool where the column is one.
type key struct {
	parts []string
	at    int64 // in the column's unit: what is no later is read
}

// dialectOf finds a dialect by the driver's name.
func dialectOf(driver string) (dialect, error) {
	switch strings.ToLower(driver) {
	case "postgres", "postgresql", "pgx":
		return postgres{}, nil
	case "mysql", "mariadb":
		return mysql{}, nil
	}
	return nil, fmt.Errorf("unknown driver %q: there are postgres and mysql", driver)
}

// tableName splits a name as it is written: table, or schema.table.
func tableName(name string) ([]string, error) {
	parts := strings.Split(name, ".")
	for _, p := range parts {
		if p == "" || strings.ContainsAny(p, "\x00\n\"`;") || len(parts) > 2 || len(p) > maxName {
			return nil, fmt.Errorf("%q is no name of a table: write table or schema.table", name)
		}
	}
	return parts, nil
}

// maxName is how long names may be, so that versions can be named behind them.
const maxName = 50

func quoted(d dialect, parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = d.quote(p)
	}
	return strings.Join(out, ".")
}

// ms are the bounds of what databases can compare as times: the years 1 and 2099.
// Later ends are open (dimjoin.History), so nothing is missed.
const (
	minMS = -62_135_596_800_000
	maxMS = dimjoin.OpenEndMS - 1
)
