package features

import (
	"context"
	"errors"
)

// Store keeps chunks of tiles, and beside them how far each task has come with
// writing them. Its methods may be called concurrently.
type Store interface {
	// Numbers gives each name of a scope a number, from 0 on, which stays its own
	// for ever; names of other scopes have other numbers.
	Numbers(ctx context.Context, scope string, names []string) ([]uint32, error)
	// Positions returns what each task's last commit said of where it stands, by
	// task. The caller may keep it.
	Positions(ctx context.Context) (map[string][]byte, error)
	// Read calls fn with each chunk that there is under the keys, and the key's
	// index: once for a key, in any order. The chunk is valid during the call. An
	// error of fn ends the reading and is returned.
	Read(ctx context.Context, keys []Key, fn func(i int, chunk []byte) error) error
	// Commit merges chunks into those that are there (see Merger), drops what has
	// expired and moves the task's position, all of it or nothing, whatever happens
	// to the process. If the task's position is not c.Before, it returns ErrFenced
	// and does nothing: another writer has gone on with the task. After another
	// error it is not known whether the commit happened: Positions tells.
	Commit(ctx context.Context, c *Commit) error
}

// ErrFenced says that a task's position is not where this writer left it. The
// writer is to be opened again.
var ErrFenced = errors.New("another writer has committed for this task")

// Commit is one task's step. What it holds is the store's during the call only.
type Commit struct {
	Task   string
	Shard  uint16 // of everything that the task ever writes
	Before []byte // the position that the task is known to be at; nil for none
	After  []byte // nil forgets the task
	Chunks []Chunk
	Drop   []Range
}

// Chunk is tiles that are to be merged into those under a key. Keys of a commit
// are distinct, and of its shard.
type Chunk struct {
	Key  Key
	Data []byte
}

// Range is the chunks of the commit's shard that are of one group and level and
// before one time, or with All every chunk of the shard.
type Range struct {
	Group  uint16
	Level  uint8
	Before int32 // the first chunk that stays
	All    bool
}
