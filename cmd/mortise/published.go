package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// published remembers, beside the embedded broker's log, which files have been
// published to which topic, so that running the same command again does not
// publish them again.
type published struct {
	path  string
	Files []publishedFile `json:"files"`
}

type publishedFile struct {
	Topic     string    `json:"topic"`
	Path      string    `json:"path"`
	SizeBytes int64     `json:"size_bytes"`
	Modified  time.Time `json:"modified"`
}

func openPublished(dir string) (*published, error) {
	p := &published{path: filepath.Join(dir, "published.json")}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what has been published: %w", err)
	}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("reading %s: %w; remove it to publish all inputs again", p.path, err)
	}
	return p, nil
}

// describe says which state of a file would be published; false for one that
// has none, such as the standard input.
func describe(topic, path string) (publishedFile, bool) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return publishedFile{}, false
	}
	info, err := os.Stat(abs)
	if err != nil || !info.Mode().IsRegular() {
		return publishedFile{}, false
	}
	return publishedFile{topic, abs, info.Size(), info.ModTime().UTC().Round(0)}, true
}

// has reports whether all files of a stream have been published as they are now.
func (p *published) has(topic string, paths []string) bool {
	for _, path := range paths {
		f, ok := describe(topic, path)
		if !ok {
			return false
		}
		known := false
		for _, g := range p.Files {
			known = known || g.Topic == f.Topic && g.Path == f.Path && g.SizeBytes == f.SizeBytes && g.Modified.Equal(f.Modified)
		}
		if !known {
			return false
		}
	}
	return len(paths) > 0
}

// add notes a stream's files as published.
func (p *published) add(topic string, paths []string) error {
	for _, path := range paths {
		if f, ok := describe(topic, path); ok {
			p.Files = append(p.Files, f)
		}
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	aside := p.path + ".new"
	if err := os.WriteFile(aside, append(text, '\n'), 0o666); err != nil {
		return fmt.Errorf("noting what was published: %w", err)
	}
	return os.Rename(aside, p.path)
}
