package dimjoin

import "context"

// Journal is a table that is kept up to date by a change stream: rows, what the
// stream's reader has to remember of each key, and how far it has read are written
// in one, so that every change counts once whatever happens. An embedded table is
// one; a Writer alone is not.
type Journal interface {
	Table
	// Notes reads what was kept beside the rows of keys, in their order; nil where
	// there is nothing. The notes are the caller's.
	Notes(ctx context.Context, keys [][]byte) ([][]byte, error)
	// Position reads what was kept under a name; nil where there is nothing.
	Position(ctx context.Context, name string) ([]byte, error)
	// Apply writes all of a commit or nothing of it. After an error it may be
	// either, and the table has to be opened again.
	Apply(ctx context.Context, c *Commit) error
}

// Commit is what a Journal writes in one.
type Commit struct {
	Records  []Record // in order: a later one of the same key and time replaces an earlier one
	Notes    []Note   // each key at most once
	Name     string   // of the position
	Position []byte
}

// Note is what is kept beside a key's rows; nil deletes it.
type Note struct{ Key, Value []byte }
