package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity says whether a diagnostic keeps the file from running.
type Severity string

const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Diagnostic is one finding about an experiment file, at its place.
type Diagnostic struct {
	Path     string
	Line     int // 1-based
	Col      int // 1-based, in runes
	Len      int // in runes; at least 1
	Severity Severity
	Code     Code
	Message  string
	Help     string // what to do about it; may be empty

	source *source
}

// String renders the finding, the source line, a caret line, and the help:
//
//	feed.yaml:12:3: error[unknown-key]: unknown key `lables`
//	    lables: {}
//	    ^~~~~~
//	help: did you mean `labels`?
func (d *Diagnostic) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s[%s]: %s\n", d.Path, d.Line, d.Col, d.Severity, d.Code, d.Message)
	if line, col, ok := d.excerpt(); ok {
		runes := append([]rune(line), ' ')
		end := min(col-1+max(d.Len, 1), max(len(runes)-1, col))
		before, under := columns(runes[:col-1]), columns(runes[col-1:end])
		fmt.Fprintf(&b, "    %s\n    %s^%s\n", line, strings.Repeat(" ", before), strings.Repeat("~", under-1))
	}
	if d.Help != "" {
		fmt.Fprintf(&b, "help: %s\n", d.Help)
	}
	return b.String()
}

// maxExcerptRunes is the longest piece of a source line that is shown.
const maxExcerptRunes = 120

// excerpt is the source line without its secrets, cut to a readable length
// around the caret, and the caret's column in it.
func (d *Diagnostic) excerpt() (string, int, bool) {
	if d.source == nil || d.Line < 1 || d.Line > len(d.source.lines) {
		return "", 0, false
	}
	line := []rune(d.source.shown(d.Line))
	for i, r := range line {
		if r < ' ' || r == utf8.RuneError {
			line[i] = ' '
		}
	}
	col := min(d.Col, len(line)+1)
	if len(line) > maxExcerptRunes {
		from := max(0, min(col-1-maxExcerptRunes/3, len(line)-maxExcerptRunes))
		line = line[from : from+maxExcerptRunes]
		col = min(col-from, len(line)+1)
	}
	return string(line), col, len(line) > 0
}

// columns is how wide a terminal shows runes: East Asian ones and pictures take
// two columns.
func columns(runes []rune) (n int) {
	for _, r := range runes {
		n++
		if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
			r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd) {
			n++
		}
	}
	return n
}

// MarshalJSON writes the finding for `lint --json`.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Path     string   `json:"path"`
		Line     int      `json:"line"`
		Col      int      `json:"col"`
		Len      int      `json:"len"`
		Severity Severity `json:"severity"`
		Code     Code     `json:"code"`
		Message  string   `json:"message"`
		Help     string   `json:"help,omitempty"`
	}{d.Path, d.Line, d.Col, d.Len, d.Severity, d.Code, d.Message, d.Help})
}

// Diagnostics are all findings about one file, in the order of their places.
type Diagnostics []Diagnostic

// HasErrors reports whether any of them keeps the file from running.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == SeverityError })
}

// String renders all of them, one after another.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for i := range ds {
		b.WriteString(ds[i].String())
	}
	return b.String()
}

// sort puts findings in the order of their places; overrides come last.
func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		if a.source != b.source && a.source != nil && b.source != nil {
			return a.source.order - b.source.order
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
}
