package spec

import (
	"errors"
	"maps"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// experiment compiles the checked tree. The order is that of what refers to
// what: sources, join, then what an instance selects from.
func (l *loader) experiment(root *node) {
	e := l.exp
	e.Name = root.get("experiment").string("")
	e.Version = int(root.get("version").int(1))
	e.Kafka = l.kafka(root.get("kafka"))
	l.buildSources(root.get("sources"))
	main := l.join(root.get("join"))
	l.buildDimensions(root, main)
	l.buildFeatures(root, main)
	e.FeatureStore = l.featureStore(root.get("feature_store"))
	l.instance(root.get("instance"), main)
	l.output(root.get("output"))
	e.Checkpoint = l.checkpoint(root.get("checkpoint"))
	l.unusedSources()
}

// condition compiles an expression that must be a bool; nil when there is none
// or it is wrong.
func (l *loader) condition(n *node, row mortise.Schema, what string) *expression.Program {
	p := l.compile(n, row)
	if p != nil && p.Type().Kind != mortise.Bool {
		l.fail(n.within(1, runes(n.text)), BadExpression, "%s must be a condition, true or false; this one is %s", what, p.Type())
		return nil
	}
	return p
}

// compile compiles an expression over row; nil when there is none or it is wrong.
func (l *loader) compile(n *node, row mortise.Schema) *expression.Program {
	if n == nil {
		return nil
	}
	p, err := expression.Compile(n.text, row)
	if fault, ok := errors.AsType[*expression.Error](err); ok {
		l.expressionFault(n, fault.Col, fault.Len, fault.Message, fault.Name, row)
		return nil
	}
	return p
}

// expressionFault reports a fault inside a scalar's text.
func (l *loader) expressionFault(n *node, col, length int, message, name string, row mortise.Schema) {
	at := n.within(col, length)
	code := BadExpression
	if name != "" {
		code = UndeclaredField
	}
	if n.fromEnv {
		message = "this expression, which comes from the environment, does not compile"
	}
	d := l.fail(at, code, "%s", message)
	switch {
	case contains(l.notYet, name):
		d.Help = "`" + name + "` is derived below; a derived field reads declared fields and derived ones above it"
	case name != "":
		d.Help = didYouMean(name, row.Names())
	case at == n.at && col > 1:
		d.Help = "at character " + itoa(col) + " of the expression"
	}
	n.bad = true
}

// nameTaken reports a feature or dimension whose name something else has.
func (l *loader) nameTaken(e *entry, main *sourceNode, what string) {
	taken := ""
	if main != nil && main.whole && main.source.Row().Index(e.key) >= 0 {
		taken = "a field of the main source"
	}
	for _, d := range l.exp.Dimensions {
		if d.Name == e.key {
			taken = "a dimension"
		}
	}
	if taken != "" {
		l.fail(e.at, NameClash, "%s `%s` has the name of %s", what, e.key, taken).Help = "rename one of them"
	}
}

// whole reports whether a block's key is given and free of faults.
func (n *node) whole(key string) bool { return n.get(key) != nil && n.get(key).allGood() }

// columnNames are the instance's own columns, which nothing else can be called.
func (l *loader) columnNames() []string {
	names := []string{"instance_id", "event_time", "weight", "revision", "final", "late", "degraded"}
	for _, label := range l.exp.Join.Labels {
		names = append(names, "label_"+label.Name, "label_"+label.Name+"_time", "label_"+label.Name+"_count")
	}
	return names
}

// unusedSources warns of sources that are read for nothing.
func (l *loader) unusedSources() {
	for _, d := range l.diags {
		if d.Severity == SeverityError {
			return // a fault elsewhere may be why
		}
	}
	for _, s := range l.exp.Sources {
		if info := l.sources[s.Name]; !info.used {
			l.warn(info.at, Unused, "nothing uses the source `%s`", s.Name).Help = "remove it, or it is read for nothing"
		}
	}
}

func (l *loader) sourceNames() []string {
	var names []string
	for _, s := range l.exp.Sources {
		names = append(names, s.Name)
	}
	return names
}

// isScalar reports whether a field can be part of a key.
func isScalar(t mortise.Type) bool { return t.Kind != mortise.List }

// names are a map's keys in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }
