package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/mortise-dev/mortise/experiments/spec"
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

const (
	red, yellow, cyan, plain = "\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[0m"
)

// printFinding prints what lint found to w, in color where w takes it.
func (c *console) printFinding(w io.Writer, d *spec.Diagnostic) {
	text := d.String()
	if c.colored(w) {
		tone := red
		if d.Severity == spec.SeverityWarning {
			tone = yellow
		}
		kind := fmt.Sprintf("%s[%s]", d.Severity, d.Code)
		text = strings.Replace(text, ": "+kind+":", ": "+tone+kind+plain+":", 1)
		text = caretLine.ReplaceAllString(text, tone+"$0"+plain)
		text = strings.Replace(text, "\nhelp:", "\n"+cyan+"help:"+plain, 1)
	}
	fmt.Fprint(w, text)
}

var caretLine = regexp.MustCompile(`(?m)^ +\^~*$`)

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
