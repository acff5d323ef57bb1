package spec

import (
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// mapping reads a block of keys. Keys given twice are reported; keys merged in
// by `<<` give way to keys that stand in the block itself.
func (r *reader) mapping(n ast.Node, values []*ast.MappingValueNode) *node {
	out := &node{kind: mapNode, at: r.place(n.GetToken(), 1)}
	var merged []*node
	for i, v := range values {
		if v.Key == nil {
			continue
		}
		if v.Key.IsMergeKey() {
			merged = append(merged, r.mergeSources(v.Value)...)
			continue
		}
		e, ok := r.entry(v)
		if !ok {
			continue
		}
		if block, isBlock := n.(*ast.MappingNode); i == 0 && !(isBlock && block.IsFlowStyle) {
			out.at = e.at
		}
		if first := out.find(e.key); first != nil {
			r.loader.fail(e.at, DuplicateKey, "`%s` is already set on line %d", e.key, first.at.line)
			continue
		}
		out.entries = append(out.entries, e)
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if !out.has(e.key) {
				out.entries = append(out.entries, e)
			}
		}
	}
	return out
}

func (r *reader) entry(v *ast.MappingValueNode) (entry, bool) {
	key := ast.Node(v.Key)
	if wrapped, ok := key.(*ast.MappingKeyNode); ok && wrapped.Value != nil {
		key = wrapped.Value
	}
	tk := key.GetToken()
	if _, scalar := key.(ast.ScalarNode); !scalar || tk == nil {
		r.loader.fail(r.place(key.GetToken(), 1), BadYAML, "a key is a plain text")
		return entry{}, false
	}
	e := entry{key: tk.Value, at: r.place(tk, utf8.RuneCountInString(tk.Value))}
	if v.Value == nil {
		e.value = &node{kind: nullNode, at: e.at}
		return e, true
	}
	e.value = r.node(v.Value)
	if e.value.kind == nullNode && e.value.text == "null" && e.value.written == "null" && e.value.at.len == 1 {
		e.value.at = e.at // nothing is written after the colon: point at the key
	}
	return e, true
}

// mergeSources are the blocks that a `<<` key brings in.
func (r *reader) mergeSources(v ast.Node) []*node {
	if v == nil {
		return nil
	}
	n := r.node(v)
	switch {
	case n.bad:
		return nil
	case n.kind == mapNode:
		return []*node{n}
	case n.kind == listNode:
		return n.items
	}
	r.loader.fail(n.at, BadAlias, "<< takes an alias of a block of keys")
	return nil
}

// tooDeep returns the line on which a text nests deeper than a file needs, or 0.
// The parser takes time quadratic in the depth, so this looks first. It does not
// know quotes and comments: brackets that open and close evenly never count.
func tooDeep(text string) int {
	depth, line, run, anchors := 0, 1, 0, 0
	for i := range len(text) {
		spaced := i+1 < len(text) && text[i+1] == ' '
		switch c := text[i]; {
		case c == '\n':
			line, run, anchors = line+1, 0, 0
		case c == '[' || c == '{':
			depth, run = depth+1, 0
		case c == ']' || c == '}':
			depth, run = max(depth-1, 0), 0
		case (c == '-' || c == '?') && spaced: // - - - is a list in a list in a list
			run++
		case c == '&' && !spaced && i > 0 && text[i-1] == ' ' && text[i+1:] != "" && text[i+1] != '&':
			anchors++
		case c != ' ':
			run = 0
		}
		if depth > maxNesting || run > maxNesting || anchors > maxNesting {
			return line
		}
	}
	return 0
}
