package recorded

import (
	"fmt"
	"path"
	"strings"
)

// glob is a pattern cut at its slashes: * ? [a-z] match within a name, as in
// path.Match, and ** is any number of folders.
type glob []string

func parseGlob(pattern string) (glob, error) {
	g := glob(strings.Split(pattern, "/"))
	for _, part := range g {
		if _, err := path.Match(part, ""); err != nil {
			return nil, fmt.Errorf("pattern %q is malformed (an unclosed [ ?): %w", pattern, err)
		}
	}
	return g, nil
}

// isGlob reports whether a name has the characters of patterns.
func isGlob(name string) bool { return strings.ContainsAny(name, `*?[`) }

// fixed returns how many parts from the left hold no pattern.
func (g glob) fixed() (n int) {
	for n < len(g) && !isGlob(g[n]) {
		n++
	}
	return n
}

func (g glob) deep() bool {
	for _, part := range g {
		if part == "**" {
			return true
		}
	}
	return false
}

// match reports whether the parts of a path match, as a whole. What is hidden
// matches ** nowhere.
func (g glob) match(parts []string) bool {
	for len(g) > 0 && g[0] != "**" {
		if len(parts) == 0 {
			return false
		}
		if ok, err := path.Match(g[0], parts[0]); err != nil || !ok {
			return false
		}
		g, parts = g[1:], parts[1:]
	}
	if len(g) == 0 {
		return len(parts) == 0
	}
	for {
		if g[1:].match(parts) {
			return true
		}
		if len(parts) == 0 || isHidden(parts[0]) {
			return false
		}
		parts = parts[1:]
	}
}

// isHidden recognizes what lies beside data and is none: _SUCCESS, _delta_log,
// .part-0.crc.
func isHidden(name string) bool {
	return name != "." && name != ".." && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, "."))
}
