package spec

import (
	"regexp"
	"strings"
)

// secretValue finds what follows a key that may hold a secret, to the end of
// the value or, in quotes, of the quoted text.
var secretValue = regexp.MustCompile(`(?i)((?:password|token|dsn|secret)["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'][^,}]*)`)

// shown is a line as it may be printed: secrets are stars of the same width, so
// that carets still point right.
func (s *source) shown(line int) string {
	text := s.lines[line-1]
	if s.masks[line] {
		return stars(text)
	}
	return secretValue.ReplaceAllStringFunc(text, func(m string) string {
		parts := secretValue.FindStringSubmatch(m)
		if strings.HasPrefix(strings.Trim(parts[2], `"'`), "${") {
			return m // a reference is not a secret, what it stands for is
		}
		return parts[1] + stars(parts[2])
	})
}

func stars(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return r
		}
		return '*'
	}, s)
}

// maskSecrets hides the lines of secrets that are written over several lines.
func (l *loader) maskSecrets(n *node) {
	for i := range n.entries {
		e := &n.entries[i]
		if n.block != nil {
			if k := n.block.find(e.key); k != nil && k.secret {
				maskBlock(e)
			}
		}
		l.maskSecrets(e.value)
	}
	for _, item := range n.items {
		l.maskSecrets(item)
	}
}

// maskBlock hides what is indented below a secret's key.
func maskBlock(e *entry) {
	src := e.at.src
	for line := e.at.line + 1; line <= len(src.lines); line++ {
		text := src.lines[line-1]
		indent := len(text) - len(strings.TrimLeft(text, " "))
		if strings.TrimSpace(text) != "" && indent < e.at.col {
			return
		}
		src.masks[line] = true
	}
}
