package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// shapeKind is what a value looks like, before its meaning.
type shapeKind uint8

const (
	anyText        shapeKind = iota // any scalar that is text
	anyBool                         // true or false
	anyInt                          // an integer of at least min
	anyNumber                       // a number
	aDuration                       // 90s, 1h, 7d
	aSize                           // 128MB, or a number of bytes
	aType                           // string, int?, [float]
	anExpression                    // an expression of the engine
	anAggregate                     // count, sum(price), …
	experimentName                  // [a-z0-9-]+
	identifier                      // a field, label, feature or dimension
	sourceName                      // an identifier that may have dashes
	topicName                       // what Kafka takes as a topic
	fieldPath                       // names with dots between them
	oneOf                           // one of enum
	listOf                          // a list of elem
	dictOf                          // names of your own → elem
	aBlock                          // the keys of block
	either                          // the first of alts that takes the value's kind
)

// shape describes a value. The table in keys.go is made of them: it checks the
// file, and it is what Schema prints.
type shape struct {
	kind  shapeKind
	enum  []string
	elem  *shape
	name  shapeKind // of dictOf: the rule of its names
	block *block
	alts  []*shape
	min   int64
}

// block is a set of known keys.
type block struct {
	name string // in messages and in the schema's definitions
	doc  string
	keys []key
}

// key is one key of a block. Every key has a doc, a sentence without its name.
type key struct {
	name     string
	doc      string
	shape    *shape
	required bool
	def      string // the default as a file would write it; empty for none
	secret   bool   // its value is never shown
}

func (b *block) find(name string) *key {
	for i := range b.keys {
		if b.keys[i].name == name {
			return &b.keys[i]
		}
	}
	return nil
}

func (b *block) names() []string {
	out := make([]string, len(b.keys))
	for i := range b.keys {
		out[i] = b.keys[i].name
	}
	return out
}

// names that experiments give to things.
var nameRules = map[shapeKind]struct {
	pattern *regexp.Regexp
	says    string
}{
	experimentName: {regexp.MustCompile(`^[a-z0-9-]{1,100}$`), "lower-case letters, digits and dashes, at most 100"},
	identifier:     {regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`), "letters, digits and _, not starting with a digit"},
	sourceName:     {regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,127}$`), "letters, digits, _ and -, not starting with a digit"},
	topicName:      {regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`), "letters, digits, dot, _ and -, at most 249"},
	fieldPath:      {regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,15}$`), "names of fields with dots between them, at most 16"},
}

// checkName reports why a name breaks its rule, or "".
func checkName(rule shapeKind, name string) string {
	r := nameRules[rule]
	if !r.pattern.MatchString(name) || rule == topicName && (name == "." || name == "..") {
		return r.says
	}
	return ""
}

// maxDuration bounds every duration of a file.
const maxDuration = 365 * 24 * time.Hour

// check walks a value and reports everything that its shape does not allow. It
// marks what is wrong as bad, so that nothing later trips over it.
func (l *loader) check(n *node, s *shape, what string) {
	if n.bad || n.unset {
		return
	}
	switch s.kind {
	case either:
		l.check(n, s.choose(n.kind), what)
	case aBlock:
		l.checkBlock(n, s.block, what)
	case dictOf:
		l.checkDict(n, s, what)
	case listOf:
		if n.kind != listNode {
			l.wrongType(n, s, what)
			return
		}
		for _, item := range n.items {
			l.check(item, s.elem, what)
		}
	default:
		l.checkScalar(n, s, what)
	}
}

// choose picks the alternative that takes a kind of node; the last one reports
// what none takes.
func (s *shape) choose(k nodeKind) *shape {
	for _, alt := range s.alts {
		switch {
		case k == mapNode && (alt.kind == aBlock || alt.kind == dictOf),
			k == listNode && alt.kind == listOf,
			k < listNode && alt.kind < listOf:
			return alt
		}
	}
	return &shape{kind: s.alts[0].kind, enum: s.alts[0].enum, alts: s.alts, elem: s.alts[0].elem, block: s.alts[0].block, name: s.alts[0].name}
}

func (l *loader) checkBlock(n *node, b *block, what string) {
	if n.kind != mapNode {
		l.wrongType(n, &shape{kind: aBlock, block: b}, what)
		return
	}
	n.block = b
	for i := range n.entries {
		e := &n.entries[i]
		k := b.find(e.key)
		if k == nil {
			d := l.fail(e.at, UnknownKey, "unknown key `%s` in %s", e.key, b.name)
			d.Help = didYouMean(e.key, b.names())
			continue
		}
		if k.secret {
			e.value.hide()
		}
		l.check(e.value, k.shape, "`"+k.name+"`")
	}
	for _, k := range b.keys {
		if k.required && !n.has(k.name) {
			l.fail(n.at, MissingKey, "%s needs `%s`", b.name, k.name).Help = k.doc
		}
	}
}

func (l *loader) checkDict(n *node, s *shape, what string) {
	if n.kind != mapNode {
		l.wrongType(n, s, what)
		return
	}
	for i := range n.entries {
		e := &n.entries[i]
		if says := checkName(s.name, e.key); says != "" {
			l.fail(e.at, BadName, "the name `%s` in %s can only have %s", e.key, what, says)
			e.value.bad = true
			continue
		}
		l.check(e.value, s.elem, "`"+e.key+"`")
	}
}

func (l *loader) wrongType(n *node, s *shape, what string) {
	n.bad = true
	got := n.kind.String()
	if n.kind < listNode && n.kind != nullNode {
		got += ", " + n.quoted()
	}
	d := l.fail(n.at, WrongType, "%s takes %s, not %s", what, s.describe(), got)
	if n.kind != textNode && n.kind < listNode && n.kind != nullNode && s.takesText() {
		d.Help = fmt.Sprintf("write %q in quotes", n.written)
	}
}

// takesText reports whether quoting a number or a bool would help.
func (s *shape) takesText() bool {
	switch s.kind {
	case anyText, experimentName, identifier, sourceName, topicName, fieldPath:
		return true
	}
	return false
}

// checkScalar checks one value's spelling.
func (l *loader) checkScalar(n *node, s *shape, what string) {
	if n.kind >= listNode || n.kind == nullNode && !(s.kind == oneOf && slices.Contains(s.enum, "null")) {
		l.wrongType(n, s, what)
		return
	}
	switch s.kind {
	case anyText:
		if n.kind != textNode && !n.fromEnv {
			l.wrongType(n, s, what)
		} else if strings.TrimSpace(n.text) == "" {
			n.bad = true
			l.fail(n.at, BadValue, "%s is empty", what)
		}
	case anyBool:
		if n.kind != boolNode && !(n.fromEnv && (n.text == "true" || n.text == "false")) {
			l.wrongType(n, s, what)
		}
	case anyInt:
		l.checkInt(n, s, what)
	case anyNumber:
		if _, err := strconv.ParseFloat(n.text, 64); err != nil || n.kind == textNode && !n.fromEnv || n.kind == boolNode {
			l.wrongType(n, s, what)
		}
	case oneOf:
		l.checkEnum(n, s, what)
	case aDuration:
		l.checkDuration(n, s, what)
	case aSize:
		if _, err := ParseSize(n.text); err != nil {
			n.bad = true
			l.fail(n.at, BadSize, "%s takes a number and a unit (B, KB, MB, GB, KiB, MiB, GiB), such as 128MB, up to 1000GB, not %s", what, n.quoted())
		}
	case aType:
		if _, err := mortise.ParseType(n.text); err != nil {
			n.bad = true
			l.fail(n.at, BadType, "%s is of no known type, %s", what, n.quoted()).Help = typeHelp
		}
	case experimentName, identifier, sourceName, topicName, fieldPath:
		l.checkNameValue(n, s, what)
	}
}

func (l *loader) checkNameValue(n *node, s *shape, what string) {
	if n.kind != textNode && !n.fromEnv {
		l.wrongType(n, s, what)
	} else if says := checkName(s.kind, n.text); says != "" {
		n.bad = true
		l.fail(n.at, BadName, "%s can only have %s; %s has others", what, says, n.quoted())
	}
}

func (l *loader) checkInt(n *node, s *shape, what string) {
	v, err := strconv.ParseInt(n.text, 10, 64)
	switch {
	case n.kind != intNode && !n.fromEnv || err != nil:
		l.wrongType(n, s, what)
	case v < s.min:
		n.bad = true
		l.fail(n.at, BadValue, "%s is %d; it must be at least %d", what, v, s.min)
	}
}

func (l *loader) checkEnum(n *node, s *shape, what string) {
	if n.kind == nullNode {
		n.text = "null" // a YAML null where "null" is meant
	}
	if !slices.Contains(s.enum, n.text) {
		n.bad = true
		d := l.fail(n.at, BadValue, "%s is one of %s, not %s", what, strings.Join(s.enum, ", "), n.quoted())
		d.Help = nearestHelp(n.text, s.enum)
	}
}

func (l *loader) checkDuration(n *node, s *shape, what string) {
	d, err := mortise.ParseDuration(n.text)
	switch {
	case err != nil:
		l.fail(n.at, BadDuration, "%s takes a number and a unit (ms, s, m, h, d), such as 90s, 1h30m or 7d, not %s", what, n.quoted())
	case d < time.Duration(s.min):
		least := "0s or more"
		if s.min > 0 {
			least = "more than 0s"
		}
		l.fail(n.at, BadDuration, "%s is %s; it must be %s", what, n.quoted(), least)
	case d >= maxDuration:
		l.fail(n.at, BadDuration, "%s is %s; it must be less than 365d", what, n.quoted())
	case d%time.Millisecond != 0:
		l.fail(n.at, BadDuration, "%s is %s; times are whole milliseconds", what, n.quoted())
	default:
		return
	}
	n.bad = true
}

// describe says in words what a shape takes.
func (s *shape) describe() string {
	if len(s.alts) > 0 {
		parts := make([]string, len(s.alts))
		for i, alt := range s.alts {
			parts[i] = alt.describe()
		}
		return strings.Join(parts, " or ")
	}
	switch s.kind {
	case anyBool:
		return "true or false"
	case anyInt:
		return "a whole number"
	case anyNumber:
		return "a number"
	case aDuration:
		return "a duration such as 1h"
	case aSize:
		return "a size such as 128MB"
	case aType:
		return "a type such as string or int?"
	case anExpression:
		return "an expression"
	case anAggregate:
		return "an aggregate such as count or sum(price)"
	case experimentName, identifier, sourceName, topicName:
		return "a name"
	case fieldPath:
		return "names with dots between them"
	case oneOf:
		return "one of " + strings.Join(s.enum, ", ")
	case listOf:
		return "a list"
	case dictOf, aBlock:
		return "a block of keys"
	}
	return "text"
}
