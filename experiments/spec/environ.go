package spec

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// reference is ${NAME} or ${NAME:default}; $${ stands for a plain ${.
var reference = regexp.MustCompile(`\$?\$\{([^{}]*)\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces environment references in every text of the tree. What they
// stand for never appears in a message: node.written stays as it was.
func (l *loader) expand(n *node) {
	for i := range n.entries {
		l.expand(n.entries[i].value)
	}
	for _, item := range n.items {
		l.expand(item)
	}
	if n.kind != textNode || n.bad || !strings.Contains(n.text, "${") {
		return
	}
	var out strings.Builder
	from, replaced := 0, false
	for _, m := range reference.FindAllStringSubmatchIndex(n.text, -1) {
		out.WriteString(n.text[from:m[0]])
		from = m[1]
		whole := n.text[m[0]:m[1]]
		if strings.HasPrefix(whole, "$$") {
			out.WriteString(whole[1:])
			continue
		}
		replaced = true
		at := n.within(utf8.RuneCountInString(n.text[:m[0]])+1, utf8.RuneCountInString(whole))
		out.WriteString(l.lookup(n, at, n.text[m[2]:m[3]]))
	}
	out.WriteString(n.text[from:])
	n.shift = -1 // columns no longer map
	n.text, n.fromEnv = out.String(), replaced
}

// lookup finds what one reference stands for.
func (l *loader) lookup(n *node, at place, inner string) string {
	name, def, hasDefault := strings.Cut(inner, ":")
	if !variableName.MatchString(name) {
		n.bad = true
		l.fail(at, MissingEnv, "`%s` is not the name of an environment variable", name).Help = "write ${NAME} or ${NAME:default}; $${ for a plain ${"
		return ""
	}
	value, ok := l.opts.Environ(name)
	switch {
	case ok && utf8.ValidString(value):
		return value
	case hasDefault:
		return def
	case l.opts.NoEnvironment:
		n.unset = true
	case ok:
		n.bad = true
		l.fail(at, MissingEnv, "the environment variable %s is not valid UTF-8", name)
	default:
		n.bad = true
		l.fail(at, MissingEnv, "the environment variable %s is not set", name).Help = "set it, or write ${" + name + ":default}"
	}
	return ""
}
