package spec

import (
	"regexp"
	"strings"
)

// secretNames are the keys whose values are never shown; what is nearly one of
// them may be one, mistyped.
var secretNames = []string{"password", "token", "dsn", "secret"}

func isSecretName(name string) bool {
	name = strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	for _, s := range secretNames {
		if strings.Contains(name, s) {
			return true
		}
	}
	return nearest(name, secretNames) != ""
}

// keyValue is a key with what follows it, to the end of the value or, in
// quotes, of the quoted text.
var keyValue = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)(["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|\{.*|[^\s"'{][^,}]*)`)

// keyAlone is a key at the end of its line; its value stands on those below.
var keyAlone = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*:\s*(?:[|>&!].*)?$`)

// shown is a line as it may be printed: secrets are stars of the same width, so
// that carets still point right.
func (s *source) shown(line int) string {
	text := s.lines[line-1]
	if s.masks[line] {
		return stars(text)
	}
	return keyValue.ReplaceAllStringFunc(text, func(m string) string {
		parts := keyValue.FindStringSubmatch(m)
		if !isSecretName(parts[1]) {
			// the value may hold the next key: look inside it
			inner := &source{lines: []string{parts[3]}}
			if len(parts[3]) < len(m) && strings.ContainsAny(parts[3], ":=") {
				return parts[1] + parts[2] + inner.shown(1)
			}
			return m
		}
		if reference.MatchString(parts[3]) {
			return m // a reference is not a secret, what it stands for is
		}
		return parts[1] + parts[2] + stars(parts[3])
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

// secretLines are the lines that hold the value of a secret's key above them:
// the next one, and all that are indented as deep. They are found in the text,
// not in the tree, so that they are hidden even where the text is no YAML.
func secretLines(lines []string) map[int]bool {
	masked := map[int]bool{}
	for i := 0; i < len(lines); i++ {
		m := keyAlone.FindStringSubmatch(lines[i])
		if m == nil || !isSecretName(m[1]) {
			continue
		}
		outer := indent(lines[i])
		for first := true; i+1 < len(lines); first = false {
			below := lines[i+1]
			if strings.TrimSpace(below) != "" && indent(below) <= outer && !(first && strings.Contains(lines[i], "{")) {
				break
			}
			i++
			masked[i+1] = true
		}
	}
	return masked
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }
