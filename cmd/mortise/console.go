package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"golang.org/x/term"
)

// console is where a command talks to its user: results go to out, everything
// else to err, progress there only when it is a terminal.
type console struct {
	in       io.Reader
	out, err io.Writer

	quiet, verbose   bool
	color, logFormat string
}

// checkFlags finds values that the flags of every verb do not take.
func (c *console) checkFlags() error {
	if !slices.Contains([]string{"auto", "always", "never"}, c.color) {
		return usageError{fmt.Errorf("--color %q: choose auto, always or never", c.color)}
	}
	if !slices.Contains([]string{"text", "json"}, c.logFormat) {
		return usageError{fmt.Errorf("--log-format %q: choose text or json", c.logFormat)}
	}
	return nil
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colored reports whether to color what goes to w.
func (c *console) colored(w io.Writer) bool {
	switch c.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && isTerminal(w)
}

// say tells the user something that is not a result.
func (c *console) say(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(c.err, format+"\n", args...)
	}
}

// printJSON prints a result as one JSON object on one line.
func (c *console) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// logger logs to err; warnings only unless verbose.
func (c *console) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case c.verbose:
		level = slog.LevelDebug
	case c.quiet:
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(c.err, opts))
	}
	return slog.New(slog.NewTextHandler(c.err, opts))
}
