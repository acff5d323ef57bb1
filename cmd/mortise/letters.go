package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/mortise-dev/mortise/experiments"
)

// letterFiles are the dead-letter files of experiments that ask for one.
type letterFiles struct {
	mu    sync.Mutex
	paths map[string]string
	open  map[string]*os.File
}

func newLetterFiles(plan *experiments.Plan) *letterFiles {
	l := &letterFiles{paths: map[string]string{}, open: map[string]*os.File{}}
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			if path := e.Output.DeadLetter.File; path != "" {
				l.paths[e.Name] = path
			}
		}
	}
	return l
}

func (l *letterFiles) write(experiment string, line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := l.paths[experiment]
	f := l.open[path]
	if f == nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return fmt.Errorf("making the folder of %s: %w; name another as output.dead_letters.file", path, err)
		}
		var err error
		if f, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666); err != nil {
			return fmt.Errorf("%w; name another as output.dead_letters.file", err)
		}
		l.open[path] = f
	}
	_, err := f.Write(append(append([]byte(nil), line...), '\n'))
	return err
}

func (l *letterFiles) close() (err error) {
	for _, f := range l.open {
		err = errors.Join(err, f.Close())
	}
	return err
}
