package spec

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// source is a text that nodes come from: the file, or one --set value.
type source struct {
	path  string
	order int // 0 for the file, then the overrides
	lines []string
	masks map[int]bool // lines that are part of a secret and are not shown
}

// place is a stretch of a source: Len runes from Line and Col on, both 1-based.
type place struct {
	src            *source
	line, col, len int
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	textNode
	intNode
	floatNode
	boolNode
	listNode
	mapNode
)

var nodeKindNames = [...]string{"nothing", "text", "a number", "a number", "true or false", "a list", "a block of keys"}

func (k nodeKind) String() string { return nodeKindNames[k] }

// node is one value of the file.
type node struct {
	kind    nodeKind
	at      place
	text    string // of a scalar: what it says, after ${…}
	written string // of a scalar: as written, for messages: never a secret from the environment
	shift   int    // runes from at.col to the text's first one; -1 when columns do not map
	fromEnv bool   // the text came, in part, from the environment: its type is what its key takes
	unset   bool   // the environment has no value for it, and need not have
	bad     bool   // a fault is reported already: what depends on it says nothing more
	entries []entry
	items   []*node
	block   *block // what the entries are, once the shape is checked
}

// entry is one key of a block, with its value.
type entry struct {
	key   string
	at    place
	value *node
}

// find returns the entry of a key, or nil.
func (n *node) find(key string) *entry {
	if n == nil {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	return nil
}

// has reports whether the key is there, right or wrong.
func (n *node) has(key string) bool { return n.find(key) != nil }

// onGet sees every key that the builders ask for; tests hold it against the
// table of keys.
var onGet func(b *block, key string)

// get returns the value of a key that this block has, or nil when it is not
// given, or not usable.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	if onGet != nil && n.block != nil {
		onGet(n.block, key)
	}
	e := n.find(key)
	if e == nil || e.value.bad || e.value.unset {
		return nil
	}
	return e.value
}

// string returns a scalar's text, or the default.
func (n *node) string(def string) string {
	if n == nil || n.kind > boolNode {
		return def
	}
	return n.text
}

// texts returns the text of a scalar, or the texts of a list, with their nodes.
func (n *node) texts() (nodes []*node) {
	switch {
	case n == nil:
		return nil
	case n.kind != listNode:
		return []*node{n}
	}
	for _, item := range n.items {
		if !item.bad && !item.unset {
			nodes = append(nodes, item)
		}
	}
	return nodes
}

// strings is texts without the nodes.
func (n *node) strings() []string {
	var out []string
	for _, t := range n.texts() {
		out = append(out, t.text)
	}
	return out
}

// allGood reports whether every item of a list is usable.
func (n *node) allGood() bool {
	return n != nil && !slices.ContainsFunc(n.items, func(i *node) bool { return i.bad || i.unset })
}

// within is the place of len runes at the 1-based column col of a scalar's text.
// Where columns do not map onto the source it is the whole scalar.
func (n *node) within(col, len int) place {
	at := n.at
	if n.shift < 0 || strings.Contains(n.text, "\n") {
		return at
	}
	at.col += n.shift + col - 1
	at.len = max(len, 1)
	return at
}

// hide keeps a value out of all messages.
func (n *node) hide() {
	n.written = "***"
	for i := range n.entries {
		n.entries[i].value.hide()
	}
	for _, item := range n.items {
		item.hide()
	}
}

// quoted shows a scalar in a message the way that it was written.
func (n *node) quoted() string {
	text := n.written
	if utf8.RuneCountInString(text) > 60 {
		text = string([]rune(text)[:57]) + "..."
	}
	return fmt.Sprintf("`%s`", text)
}
