package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// LoadOptions are what a file is read with.
type LoadOptions struct {
	// Environ looks up what ${NAME} stands for. The default is os.LookupEnv.
	Environ func(name string) (value string, ok bool)
	// Set overrides values, each as `join.delay=5m`: a path of keys, and a value
	// in YAML. Later ones win.
	Set []string
	// CleanFuncs are the names of the registered clean functions.
	CleanFuncs []string
	// NoEnvironment checks a file away from where it will run: environment
	// variables need not be set, files that it names need not exist. An
	// Experiment that was loaded so may be incomplete and is not for running.
	NoEnvironment bool
}

// Load reads and checks an experiment file. The Experiment is nil when the
// diagnostics have an error in them, and only then.
func Load(path string, opts LoadOptions) (*Experiment, Diagnostics) {
	text, err := readFile(path)
	if err != nil {
		return nil, Diagnostics{{Path: path, Line: 1, Col: 1, Len: 1, Severity: SeverityError, Code: BadFile, Message: err.Error()}}
	}
	return Parse(path, text, opts)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	var fault *fs.PathError
	switch {
	case errors.As(err, &fault):
		return nil, fmt.Errorf("this file cannot be read: %w", fault.Err)
	case err != nil:
		return nil, fmt.Errorf("this file cannot be read: %w", err)
	case info.IsDir():
		return nil, errors.New("this is a directory; name the experiment file in it")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("this file cannot be read: %w", errors.Unwrap(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1)) // Parse refuses what is longer
	if err != nil {
		return nil, fmt.Errorf("reading this file: %w", err)
	}
	return text, nil
}

// Parse checks the text of an experiment file; name is what diagnostics call it.
func Parse(name string, text []byte, opts LoadOptions) (*Experiment, Diagnostics) {
	if opts.Environ == nil {
		opts.Environ = os.LookupEnv
	}
	l := &loader{opts: opts, exp: &Experiment{Path: name}}
	if root := l.read(name, text); root != nil {
		l.experiment(root)
	}
	l.diags.sort()
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	l.exp.Hash = hashOf(l.exp)
	return l.exp, l.diags
}

// loader is the state of one load.
type loader struct {
	opts  LoadOptions
	diags Diagnostics
	exp   *Experiment

	sources        map[string]*sourceNode
	notYet         []string // derived fields that the one being compiled cannot read
	registryFaulty bool     // it is given, with faults
	faultyParts    bool     // a feature or dimension is not among the compiled ones
}

// fail records an error. The pointer is good until the next one is recorded.
func (l *loader) fail(at place, code Code, format string, args ...any) *Diagnostic {
	return l.record(SeverityError, at, code, format, args...)
}

// warn records something that does not keep the file from running.
func (l *loader) warn(at place, code Code, format string, args ...any) *Diagnostic {
	return l.record(SeverityWarning, at, code, format, args...)
}

func (l *loader) record(s Severity, at place, code Code, format string, args ...any) *Diagnostic {
	l.diags = append(l.diags, at.finding(l.exp.Path, s, code, fmt.Sprintf(format, args...)))
	return &l.diags[len(l.diags)-1]
}

// finding is one at a place of a file.
func (at place) finding(file string, s Severity, code Code, message string) Diagnostic {
	d := Diagnostic{Path: file, Line: 1, Col: 1, Len: 1, Severity: s, Code: code, Message: message, source: at.src}
	if at.src != nil {
		d.Path = at.src.path
		d.Line = min(max(at.line, 1), len(at.src.lines))
		width := utf8.RuneCountInString(at.src.lines[d.Line-1])
		d.Col = min(max(at.col, 1), width+1)
		d.Len = min(max(at.len, 1), max(width-d.Col+1, 1))
	}
	return d
}

// read turns the text into a checked tree, overrides and environment included.
func (l *loader) read(name string, raw []byte) *node {
	if len(raw) > maxFileBytes {
		l.fail(place{newSource(name, 0, ""), 1, 1, 1}, BadFile, "this file is larger than %d KiB, which no experiment needs", maxFileBytes>>10)
		return nil
	}
	src := newSource(name, 0, string(raw))
	text, ok := l.checkText(src)
	if !ok {
		return nil
	}
	before := len(l.diags)
	root := l.parseYAML(src, text, 0)
	if root == nil || root.bad {
		return nil
	}
	if root.kind == nullNode && len(l.diags) == before {
		d := l.fail(place{src, 1, 1, 1}, EmptyFile, "there is nothing in this file")
		d.Help = "start from an experiment in examples/"
		return nil
	}
	root = l.override(root)
	l.expand(root)
	l.check(root, of(experimentBlock), "the file")
	if root.bad {
		return nil
	}
	return root
}

func newSource(path string, order int, text string) *source {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return &source{path: path, order: order, lines: lines, masks: secretLines(lines)}
}

// checkText refuses what is not text before the parser sees it.
func (l *loader) checkText(src *source) (string, bool) {
	if len(src.lines) > maxLines {
		l.fail(place{src, maxLines, 1, 1}, BadFile, "this file has more than %d lines, which no experiment needs", maxLines)
		return "", false
	}
	for i, line := range src.lines {
		if len(line) > maxLineBytes {
			l.fail(place{src, i + 1, 1, 1}, BadFile, "this line is longer than %d KiB, which no experiment needs", maxLineBytes>>10)
			return "", false
		}
		col := 0
		for at, r := range line {
			col++
			if r == utf8.RuneError && !strings.HasPrefix(line[at:], "\uFFFD") {
				l.fail(place{src, i + 1, col, 1}, BadEncoding, "this file is not UTF-8: byte 0x%02x", line[at])
				return "", false
			}
			if r < ' ' && r != '\t' || r == 0x7f {
				l.fail(place{src, i + 1, col, 1}, BadEncoding, "this file has a control character, U+%04X", r)
				return "", false
			}
		}
	}
	return strings.Join(src.lines, "\n"), true
}
