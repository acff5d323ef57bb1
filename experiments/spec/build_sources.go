package spec

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
)

const (
	defaultOutOfOrderness = 30 * time.Second
	defaultIdleAfter      = time.Minute
	defaultMaxAhead       = time.Hour // Kafka's own bound on a record's timestamp (message.timestamp.after.max.ms)
)

// sourceNode is what later stages need to know of a source.
type sourceNode struct {
	at      place // of its name
	source  *Source
	used    bool
	whole   bool  // every field and derived field compiled: its row is complete
	keyedAt place // of its partition_by
}

func (l *loader) buildSources(n *node) {
	l.sources = map[string]*sourceNode{}
	if n == nil {
		return
	}
	if len(n.entries) == 0 {
		l.fail(n.at, MissingKey, "sources is empty; a join needs a main source and a label source")
	}
	l.exp.Sources = make([]Source, 0, len(n.entries)) // sourceNode points into it
	for i := range n.entries {
		e := &n.entries[i]
		if checkName(sourceName, e.key) != "" {
			continue
		}
		info := &sourceNode{at: e.at}
		l.exp.Sources = append(l.exp.Sources, l.source(e.key, e.value, info))
		info.source = &l.exp.Sources[len(l.exp.Sources)-1]
		l.sources[e.key] = info
	}
}

func (l *loader) source(name string, n *node, info *sourceNode) Source {
	if n.kind != mapNode || n.bad {
		return Source{Name: name}
	}
	s := Source{
		Name:           name,
		Topic:          n.get("topic").string(""),
		Format:         n.get("format").string("json"),
		OutOfOrderness: n.get("out_of_orderness").duration(defaultOutOfOrderness),
		IdleAfter:      n.get("idle_after").duration(defaultIdleAfter),
		MaxAhead:       n.get("max_ahead").duration(defaultMaxAhead),
		Repartition:    n.get("repartition").bool(false),
	}
	s.Fields, info.whole = l.fields(n.get("fields"), "declare at least the event time and the key")
	s.From = fieldPaths(n.get("fields"))
	l.sourceFormat(n, &s, info.whole)
	if info.whole {
		l.eventTime(n.get("event_time"), &s)
		if info.whole = l.derive(n.get("derive"), &s); info.whole {
			s.Where = l.condition(n.get("where"), s.Row(), "where")
		}
	}
	l.clean(n.get("clean"), &s)
	l.topicKey(n.get("partition_by"), &s, info)
	return s
}

// fields reads a schema. It is whole when every field is good.
func (l *loader) fields(n *node, needOne string) (mortise.Schema, bool) {
	if n == nil || n.kind != mapNode {
		return nil, false
	}
	if len(n.entries) == 0 {
		l.fail(n.at, MissingKey, "fields is empty").Help = needOne
		return nil, false
	}
	var out mortise.Schema
	whole := true
	for i := range n.entries {
		e := &n.entries[i]
		t, ok := l.fieldType(e.value)
		if whole = whole && ok; ok {
			out = append(out, mortise.Field{Name: e.key, Type: t})
		}
	}
	return out, whole
}

// fieldPaths are the fields that lie elsewhere than under their names.
func fieldPaths(n *node) map[string][]string {
	var paths map[string][]string
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i := range n.entries {
		e := &n.entries[i]
		if from := e.value.get("from"); e.value.kind == mapNode && from != nil {
			if paths == nil {
				paths = map[string][]string{}
			}
			paths[e.key] = strings.Split(from.text, ".")
		}
	}
	return paths
}

const typeHelp = "write string, int, float, bool, timestamp, or a list such as [int]; ? makes it nullable"

// fieldType reads `int?`, or `[int]`, which YAML makes a list of.
func (l *loader) fieldType(n *node) (mortise.Type, bool) {
	if n.bad || n.unset || !n.allGood() {
		return mortise.Type{}, false
	}
	if n.kind == mapNode {
		if n = n.get("type"); n == nil {
			return mortise.Type{}, false // which the shape has reported
		}
	}
	text := n.text
	if n.kind == listNode {
		if len(n.items) != 1 {
			l.fail(n.at, BadType, "the type of a list is written [int], with one type in it")
			return mortise.Type{}, false
		}
		text = "[" + n.items[0].text + "]"
	}
	t, err := mortise.ParseType(text) // the shape has looked at what is inside
	if err != nil {
		l.fail(n.at, BadType, "this is not the type of a list").Help = typeHelp
		return mortise.Type{}, false
	}
	return t, true
}

// timeKinds are the field types that each unit can be read from.
var timeKinds = map[bool]struct {
	kinds []mortise.Kind
	says  string
}{
	false: {[]mortise.Kind{mortise.Int, mortise.Float, mortise.Timestamp}, "int, float or timestamp"},
	true:  {[]mortise.Kind{mortise.String, mortise.Timestamp}, "string or timestamp"},
}

func (l *loader) eventTime(n *node, s *Source) {
	s.TimeUnit = n.get("unit").string("ms")
	f := n.get("field")
	if f == nil {
		return
	}
	s.TimeField = f.text
	t, ok := l.declared(f, s.Fields, "the source `"+s.Name+"`")
	if !ok || n.has("unit") && n.get("unit") == nil {
		return
	}
	fit := timeKinds[s.TimeUnit == "rfc3339"]
	for _, k := range fit.kinds {
		if t.Kind == k {
			if t.Nullable {
				l.fail(f.at, TypeMismatch, "the event time field %s is %s; every event has a time", f.quoted(), t).Help = "declare it " + t.Kind.String()
			}
			return
		}
	}
	l.fail(f.at, TypeMismatch, "the event time field %s is %s; the unit %s is read from %s", f.quoted(), t, s.TimeUnit, fit.says)
}

// declared looks a field up and reports when it is not there.
func (l *loader) declared(n *node, in mortise.Schema, where string) (mortise.Type, bool) {
	i := in.Index(n.text)
	if i < 0 {
		l.fail(n.at, UndeclaredField, "%s has no field %s", where, n.quoted()).Help = didYouMean(n.text, in.Names())
		return mortise.Type{}, false
	}
	return in[i].Type, true
}

// deriveNames are the fields that a derive block makes, in its order.
func deriveNames(n *node) []string {
	var names []string
	for _, e := range n.entries {
		names = append(names, e.key)
	}
	return names
}

// derive compiles the derived fields, each over the declared ones and those
// above it.
func (l *loader) derive(n *node, s *Source) bool {
	if n == nil {
		return true
	}
	whole, names := true, deriveNames(n)
	for i := range n.entries {
		e := &n.entries[i]
		if e.value.bad || e.value.unset {
			whole = false
			continue
		}
		if s.Fields.Index(e.key) >= 0 {
			l.fail(e.at, NameClash, "`%s` is already a declared field of the source `%s`", e.key, s.Name).Help = "give the derived field another name"
			whole = false
			continue
		}
		l.notYet = names[i:]
		p := l.compile(e.value, s.Row())
		l.notYet = nil
		if p == nil {
			whole = false
			continue
		}
		s.Derive = append(s.Derive, Derived{e.key, p})
	}
	return whole
}

// topicKey settles what the source says its topic is keyed by.
func (l *loader) topicKey(n *node, s *Source, info *sourceNode) {
	if n == nil {
		return
	}
	if len(n.texts()) == 0 {
		l.fail(n.at, MissingKey, "partition_by is empty; name the field that the topic is keyed by")
	}
	for _, f := range n.texts() {
		if t, ok := l.declared(f, s.Fields, "the source `"+s.Name+"`"); ok && !isScalar(t) {
			l.fail(f.at, TypeMismatch, "%s is a list; a topic is keyed by text, numbers or bools", f.quoted())
		}
	}
	s.PartitionBy, info.keyedAt = n.strings(), n.at
}

func (l *loader) clean(n *node, s *Source) {
	if n == nil {
		return
	}
	s.Clean = n.text
	if !contains(l.opts.CleanFuncs, n.text) {
		d := l.fail(n.at, UnknownFunction, "no clean function %s is registered in this program", n.quoted())
		if d.Help = didYouMean(n.text, l.opts.CleanFuncs); d.Help == "" {
			d.Help = "register it in a program of your own; see examples/"
		}
	}
}

func runes(s string) int { return utf8.RuneCountInString(s) }
func itoa(n int) string  { return strconv.Itoa(n) }
