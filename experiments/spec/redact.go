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
	return Nearest(name, secretNames) != ""
}

// keyBefore is a key with what stands between it and its value.
var keyBefore = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*[:=]\s*`)

// valueAt is a value from its first character on: quoted, in braces, or plain.
var valueAt = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\{.*|[^,}]*)`)

// keyAlone is a key at the end of its line; its value stands on those below.
var keyAlone = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*:\s*(?:[|>&!].*)?$`)

// shown is a line as it may be printed: secrets are stars of the same width, so
// that carets still point right.
func (s *source) shown(line int) string {
	text := s.lines[line-1]
	if s.masks[line] {
		return stars(text)
	}
	var out strings.Builder
	from := 0
	for _, m := range keyBefore.FindAllStringSubmatchIndex(text, -1) {
		if m[0] < from || !isSecretName(text[m[2]:m[3]]) {
			continue
		}
		value := valueAt.FindString(text[m[1]:])
		out.WriteString(text[from:m[1]])
		if from = m[1] + len(value); reference.MatchString(value) {
			out.WriteString(value) // a reference is not a secret, what it stands for is
		} else {
			out.WriteString(stars(value))
		}
	}
	return credentials.ReplaceAllStringFunc(out.String()+text[from:], stars)
}

// credentials are a user and password within a URL.
var credentials = regexp.MustCompile(`//[^/@\s"']*:[^/@\s"']*@`)

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
		if len(m) < 2 || !isSecretName(m[1]) {
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
