package file

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// stamp tells two states of a file apart.
type stamp struct {
	sizeBytes int64
	modified  time.Time
}

// place is where the file lies.
type place interface {
	stamp(ctx context.Context) (stamp, error)
	open(ctx context.Context) (io.ReadCloser, error)
}

// local is a file of this machine.
type local string

func (l local) stamp(context.Context) (stamp, error) {
	info, err := os.Stat(string(l))
	if err != nil {
		return stamp{}, err
	}
	if info.IsDir() {
		return stamp{}, fmt.Errorf("%s is a folder: name a file", string(l))
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

func (l local) open(context.Context) (io.ReadCloser, error) { return os.Open(string(l)) }
