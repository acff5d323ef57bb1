package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// advise adds what to do to an error of the file system that somebody can mend.
func advise(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (make room there: the next start goes on from the last commit)", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (state needs a directory that this user may write in)", err)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w (the device failed: move to another one; state that is left behind is rebuilt)", err)
	}
	return err
}
