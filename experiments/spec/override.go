package spec

import (
	"strings"
	"unicode/utf8"
)

// override applies the --set values to the tree, in order.
func (l *loader) override(root *node) *node {
	for i, set := range l.opts.Set {
		src := newSource("--set", i+1, strings.ToValidUTF8(set, "\uFFFD"))
		whole := place{src, 1, 1, utf8.RuneCountInString(src.lines[0])}
		path, value, ok := strings.Cut(set, "=")
		if !ok || len(src.lines) > 1 || len(set) > maxFileBytes || !utf8.ValidString(set) || root.kind != mapNode {
			l.fail(whole, BadOverride, "--set takes one line, a path of keys and a value: --set join.delay=5m")
			continue
		}
		if _, ok := l.checkText(src); !ok {
			continue
		}
		shift := utf8.RuneCountInString(path) + 1
		n := l.parseYAML(src, value, shift)
		if n == nil || n.bad {
			continue
		}
		l.place(root, strings.Split(path, "."), n, whole)
	}
	return root
}

// place puts a value at a path, making the blocks on the way that are missing.
func (l *loader) place(at *node, path []string, value *node, where place) {
	col := 1
	for i, name := range path {
		here := where
		here.col, here.len = col, max(utf8.RuneCountInString(name), 1)
		col += utf8.RuneCountInString(name) + 1
		if name == "" {
			l.fail(here, BadOverride, "--set has an empty key in its path")
			return
		}
		if at.kind == nullNode {
			at.kind, at.text = mapNode, ""
		}
		if at.kind != mapNode || at.bad {
			l.fail(here, BadOverride, "--set cannot reach `%s`: what holds it is %s, not a block of keys", name, at.kind)
			return
		}
		e := at.find(name)
		if e == nil {
			at.entries = append(at.entries, entry{key: name, at: here, value: &node{kind: mapNode, at: here}})
			e = &at.entries[len(at.entries)-1]
		}
		if i == len(path)-1 {
			e.value, e.at = value, here
			return
		}
		at = e.value
	}
}
