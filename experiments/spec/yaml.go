package spec

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file, so that reading one always ends soon: the parser's time is
// quadratic in the keys of one block.
const (
	maxFileBytes = 256 << 10
	maxLines     = 10_000
	maxLineBytes = 32 << 10
	maxNesting   = 60
	maxValues    = 50_000 // after aliases are expanded
)

// reader turns YAML into nodes. Positions are those of the text; a flat origin
// (the column where a --set value starts) shifts them.
type reader struct {
	loader  *loader
	src     *source
	shift   int // columns that precede the text on its line
	anchors map[string]ast.Node
	open    map[string]bool // anchors whose value is being read
	count   int
	depth   int
}

// parseYAML reads one document. It returns nil after reporting why it cannot.
func (l *loader) parseYAML(src *source, text string, shift int) (out *node) {
	r := &reader{loader: l, src: src, shift: shift, anchors: map[string]ast.Node{}, open: map[string]bool{}}
	if line := tooDeep(text); line > 0 {
		l.fail(place{src, line, 1, 1}, BadYAML, "values are nested more than %d deep", maxNesting)
		return nil
	}
	defer func() { // the parser is not ours: what it cannot take must not stop the program
		if p := recover(); p != nil {
			l.fail(place{src, 1, 1, 1}, BadYAML, "this cannot be read as YAML")
			out = nil
		}
	}()
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			d := l.fail(r.start(doc.Body), MultiDocument, "a second document starts here; a file is one experiment")
			d.Help = "move it into a file of its own; `mortise run` takes several files"
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		return &node{kind: nullNode, at: place{src, 1, 1 + shift, 1}}
	}
	return r.node(body)
}

// syntax reports a parser's error at its token.
func (r *reader) syntax(err error) {
	at, message := place{r.src, 1, 1, 1}, err.Error()
	var fault *yaml.SyntaxError
	if errors.As(err, &fault) {
		message = fault.Message
		if fault.Token != nil {
			at = r.place(fault.Token, max(utf8.RuneCountInString(strings.TrimSpace(fault.Token.Origin)), 1))
		}
	}
	message, _, _ = strings.Cut(message, "\n")
	d := r.loader.fail(at, BadYAML, "%s", message)
	switch {
	case strings.Contains(message, "mapping value is not allowed"):
		d.Help = "a text with `: ` in it, such as a ? b : c, needs quotes"
	case strings.Contains(message, "'\\t'") || strings.Contains(message, "\t"):
		d.Message, d.Help = "a tab where YAML takes spaces only", "indent with spaces"
	}
}

// place finds where a token stands.
func (r *reader) place(tk *token.Token, len int) place {
	if tk == nil || tk.Position == nil {
		return place{r.src, 1, 1 + r.shift, 1}
	}
	at := place{r.src, max(tk.Position.Line, 1), max(tk.Position.Column, 1), max(len, 1)}
	if at.line == 1 {
		at.col += r.shift
	}
	return at
}

// start is where a value begins; a mapping's own token is its first colon.
func (r *reader) start(n ast.Node) place {
	for {
		m, ok := n.(*ast.MappingNode)
		if !ok || len(m.Values) == 0 || m.IsFlowStyle {
			return r.place(n.GetToken(), 1)
		}
		n = m.Values[0].Key
	}
}

// glued puts an item such as host:9092 together again. A colon that no space
// follows is part of a text, but in a list inside { } the parser takes it for the
// colon of a key.
func glued(n ast.Node) (string, bool) {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) == 1 && !m.IsFlowStyle {
		n = m.Values[0]
	}
	pair, ok := n.(*ast.MappingValueNode)
	if !ok || pair.Value == nil {
		return "", false
	}
	key, colon := pair.Key.GetToken(), pair.GetToken()
	value := pair.Value.GetToken()
	text := value.Value
	if rest, ok := glued(pair.Value); ok {
		text = rest
	} else if _, scalar := pair.Value.(ast.ScalarNode); !scalar || strings.TrimSpace(value.Origin) != value.Value {
		return "", false
	} else if value.Position.Column != colon.Position.Column+1 {
		return "", false
	}
	if strings.TrimSpace(key.Origin) != key.Value || colon.Position.Column != key.Position.Column+utf8.RuneCountInString(key.Value) || value.Position.Line != key.Position.Line {
		return "", false
	}
	return key.Value + ":" + text, true
}

// first is the token that a pair begins with.
func first(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok {
		n = m.Values[0]
	}
	return n.(*ast.MappingValueNode).Key.GetToken()
}

// node reads any value.
func (r *reader) node(n ast.Node) *node {
	r.count++
	r.depth++
	defer func() { r.depth-- }()
	if r.count > maxValues || r.depth > 2*maxNesting {
		if r.count <= maxValues+1 {
			r.count = maxValues + 1
			r.loader.fail(r.place(n.GetToken(), 1), BadAlias, "aliases expand to more than %d values", maxValues)
		}
		return &node{bad: true, at: r.place(n.GetToken(), 1)}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(n, n.Values)
	case *ast.MappingValueNode:
		return r.mapping(n, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out := &node{kind: listNode, at: r.place(n.GetToken(), 1)}
		for _, item := range n.Values {
			if text, ok := glued(item); ok && n.IsFlowStyle {
				out.items = append(out.items, &node{kind: textNode, text: text, written: text, at: r.place(first(item), utf8.RuneCountInString(text))})
				continue
			}
			out.items = append(out.items, r.node(item))
		}
		return out
	case *ast.AnchorNode:
		return r.anchor(n)
	case *ast.AliasNode:
		return r.alias(n)
	case *ast.TagNode:
		return r.tagged(n)
	case *ast.LiteralNode:
		out := &node{kind: textNode, at: r.place(n.GetToken(), 1), shift: -1}
		if n.Value != nil {
			out.text = n.Value.Value
		}
		out.written = out.text
		return out
	case ast.ScalarNode:
		return r.scalar(n)
	}
	r.loader.fail(r.place(n.GetToken(), 1), BadYAML, "this form of YAML is not used in experiment files")
	return &node{bad: true, at: r.place(n.GetToken(), 1)}
}

func (r *reader) scalar(n ast.ScalarNode) *node {
	tk := n.GetToken()
	origin := strings.TrimSpace(tk.Origin)
	out := &node{text: tk.Value, written: tk.Value, at: r.place(tk, utf8.RuneCountInString(origin))}
	switch n := n.(type) {
	case *ast.NullNode:
		if out.kind = nullNode; origin != tk.Value || tk.Type == token.ImplicitNullType {
			out.at.len = 1
		}
	case *ast.BoolNode:
		out.kind = boolNode
	case *ast.IntegerNode:
		out.kind, out.text = intNode, fmt.Sprint(n.Value)
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind = floatNode
	default:
		out.kind = textNode
	}
	switch {
	case origin == out.written:
	case len(origin) >= 2 && origin[1:len(origin)-1] == out.written:
		out.shift = 1 // quotes, and nothing escaped
	default:
		out.shift = -1
	}
	if strings.Contains(origin, "\n") {
		out.shift, out.at.len = -1, 1
	}
	return out
}

// tagged reads the few tags that say how to take a scalar.
func (r *reader) tagged(n *ast.TagNode) *node {
	tk := n.GetToken()
	if scalar, ok := n.Value.(ast.ScalarNode); ok && n.Value != nil && tk.Value == "!!str" {
		out := r.node(scalar)
		if out.kind = textNode; out.text != out.written {
			out.text = out.written
		}
		return out
	}
	d := r.loader.fail(r.place(tk, utf8.RuneCountInString(tk.Value)), BadYAML, "the tag %s is not used in experiment files", tk.Value)
	d.Help = "remove it; only !!str is understood"
	return &node{bad: true, at: r.place(tk, 1)}
}

func (r *reader) anchor(n *ast.AnchorNode) *node {
	name := n.Name.GetToken().Value
	if n.Value == nil {
		return &node{kind: nullNode, at: r.place(n.GetToken(), 1)}
	}
	r.anchors[name] = n.Value
	r.open[name] = true
	defer delete(r.open, name)
	return r.node(n.Value)
}

func (r *reader) alias(n *ast.AliasNode) *node {
	name := n.Value.GetToken().Value
	at := r.place(n.GetToken(), utf8.RuneCountInString(name)+1)
	target, ok := r.anchors[name]
	switch {
	case !ok:
		r.loader.fail(at, BadAlias, "no anchor &%s stands before this alias", name)
	case r.open[name]:
		r.loader.fail(at, BadAlias, "the anchor &%s contains itself", name)
	default:
		r.open[name] = true
		defer delete(r.open, name)
		return r.node(target)
	}
	return &node{bad: true, at: at}
}
