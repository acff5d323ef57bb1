//go:build unix

package broker

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// tryLock takes the exclusive lock on f; false when somebody else holds it. The
// lock belongs to the open file, so it also holds within one process.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	}
	return false, fmt.Errorf("locking %s: %w", f.Name(), err)
}
