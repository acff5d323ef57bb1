package experiments

import "github.com/mortise-dev/mortise/joiner"

// States opens the state of tasks by name, such as "feed-ctr/3". Any goroutine may
// use it.
type States interface {
	// Open opens a task's store, empty if there is none.
	Open(task string, opts joiner.StoreOptions) (joiner.Store, error)
	// Reset discards a task's state; it is rebuilt from the topics.
	Reset(task string) error
	// Close releases everything.
	Close() error
}
