package spec

import (
	"errors"
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
)

// buildFeatures checks and compiles every feature.
func (l *loader) buildFeatures(root *node, main *sourceNode) {
	n := root.get("features")
	l.faultyParts = l.faultyParts || n == nil && root.has("features")
	if n == nil || len(n.entries) == 0 {
		return
	}
	var computed []*entry
	for i := range n.entries {
		e := &n.entries[i]
		if e.value.bad || e.value.kind != mapNode {
			continue
		}
		l.nameTaken(e, main, "the feature")
		if e.value.has("expr") {
			l.onlyExpr(e.value)
			computed = append(computed, e)
			continue
		}
		if def, ok := l.aggregation(e, main); ok {
			l.exp.Features = append(l.exp.Features, def)
		}
	}
	l.computed(computed, main, n)
	l.faultyParts = l.faultyParts || len(l.exp.Features) != len(n.entries)
}

// onlyExpr refuses the keys of an aggregation beside expr.
func (l *loader) onlyExpr(n *node) {
	for _, e := range n.entries {
		if e.key != "expr" && n.block.find(e.key) != nil {
			l.fail(e.at, Conflict, "a feature with `expr` is computed from others; it does not use `%s`", e.key).Help = "remove one of them"
		}
	}
}

func (l *loader) aggregation(e *entry, main *sourceNode) (features.Definition, bool) {
	n := e.value
	def := features.Definition{
		Name:   e.key,
		Source: n.get("source").string(""),
		Entity: n.get("entity").strings(),
		Window: n.get("window").duration(0),
		Tile:   n.get("tile").duration(features.DefaultTile),
	}
	complete := true
	for _, name := range []string{"source", "entity", "agg", "window"} {
		if !n.has(name) {
			l.fail(e.at, MissingKey, "the feature `%s` needs `%s`", e.key, name).Help = featureBlock.find(name).doc
		}
		complete = complete && n.whole(name)
	}
	l.featureWindow(n, &def)
	if n.get("source") == nil {
		return def, false
	}
	from := l.findSource(n.get("source"))
	if from == nil {
		return def, false
	}
	from.used = true
	if !from.whole {
		return def, false
	}
	l.ownLabels(n.get("source"), &def)
	row := from.source.Row()
	def.Where = l.condition(n.get("where"), row, "where")
	l.entity(n.get("entity"), from, main)
	if agg := n.get("agg"); agg != nil {
		var err error
		def.Aggregate, err = features.ParseAggregate(agg.text, row)
		if fault, ok := errors.AsType[*features.Error](err); ok {
			l.aggregateFault(agg, fault, row)
			return def, false
		}
		def.Type = def.Aggregate.Type
		if err := features.CheckHalfLife(&def.Aggregate, def.Tile); err != nil {
			l.fail(agg.at, BadWindow, "%s", err).Help = "use a shorter tile, or a longer half-life"
		}
	}
	return def, complete
}

// ownLabels warns of a feature that may count the very events that become its
// row's label: those that a label's window takes from before the impression.
func (l *loader) ownLabels(at *node, def *features.Definition) {
	for i := range l.exp.Join.Labels {
		label := &l.exp.Join.Labels[i]
		if label.Source != def.Source || label.Before == 0 || label.Within == 0 {
			continue // the first is after the impression, and so never read; the last is context, and no label
		}
		l.warn(at.at, Leak, "the label `%s` takes events of `%s` up to %s before the impression, and the feature `%s` reads those as well", label.Name, def.Source, mortise.FormatDuration(label.Before), def.Name).
			Help = "a model would see its label: leave `before` out, or read the feature from another source"
	}
}

func (l *loader) aggregateFault(n *node, fault *features.Error, row mortise.Schema) {
	code, known := BadAggregate, features.FuncNames()
	if fault.Name != "" && fault.InArg {
		code, known = UndeclaredField, row.Names()
	}
	if n.fromEnv {
		fault.Message = "this aggregate, which comes from the environment, cannot be computed"
	}
	d := l.fail(n.within(fault.Col, fault.Len), code, "%s", fault.Message)
	if fault.Name != "" {
		d.Help = didYouMean(fault.Name, known)
	}
}

func (l *loader) featureWindow(n *node, def *features.Definition) {
	if n.has("tile") && n.get("tile") == nil {
		return
	}
	if err := features.CheckTile(def.Tile); err != nil {
		l.fail(n.get("tile").at, BadWindow, "%s", err)
		return
	}
	if w := n.get("window"); w != nil {
		if err := features.CheckWindow(def.Window, def.Tile); err != nil {
			l.fail(w.at, BadWindow, "%s", err)
		}
	}
}

// entity checks that the fields are there on both sides, and of one type.
func (l *loader) entity(n *node, from, main *sourceNode) {
	if n != nil && len(n.texts()) == 0 {
		l.fail(n.at, MissingKey, "entity is empty; name the field that the feature is aggregated per")
	}
	for _, f := range n.texts() {
		t, ok := l.declared(f, from.source.Fields, "the source `"+from.source.Name+"`")
		if ok && !isScalar(t) {
			l.fail(f.at, TypeMismatch, "the entity %s is a list; an entity is text, a number or a bool", f.quoted())
			continue
		}
		if !ok || main == nil || main == from || !main.whole {
			continue
		}
		if _, ok = l.declared(f, main.source.Fields, "the main source `"+main.source.Name+"`"); ok {
			l.sameType(Pair{f.text, f.text}, main, from, f.at)
		}
	}
}

// computed compiles features over features in an order in which each finds what
// it reads. What is left when nothing moves any more reads itself in the end.
func (l *loader) computed(pending []*entry, main *sourceNode, all *node) {
	env, whole := l.featureEnv(main, all, pending)
	for moved := true; moved && len(pending) > 0; {
		moved = false
		var rest []*entry
		for _, e := range pending {
			n := e.value.get("expr")
			if n == nil {
				continue
			}
			p, err := expression.Compile(n.text, env)
			if err == nil {
				l.exp.Features = append(l.exp.Features, features.Definition{Name: e.key, Type: p.Type(), Expr: p})
				env = append(env, mortise.Field{Name: e.key, Type: p.Type()})
				moved = true
				continue
			}
			rest = append(rest, e)
		}
		pending = rest
	}
	names := map[string]bool{}
	for _, e := range pending {
		names[e.key] = true
	}
	for _, e := range pending {
		l.computedFault(e, env, names, whole)
	}
}

// computedFault says why a computed feature did not compile.
func (l *loader) computedFault(e *entry, env mortise.Schema, pending map[string]bool, whole bool) {
	n := e.value.get("expr")
	_, err := expression.Compile(n.text, env)
	fault, ok := errors.AsType[*expression.Error](err)
	if !ok {
		return
	}
	switch {
	case pending[fault.Name]:
		l.fail(n.within(fault.Col, fault.Len), FeatureCycle, "the feature `%s` reads `%s`, which cannot be computed before it", e.key, fault.Name).Help = "break the circle: one of them must read only what is declared elsewhere"
	case fault.Name != "" && !whole:
		// what it reads may be one of the faulty parts, which are reported already
	default:
		l.expressionFault(n, fault.Col, fault.Len, fault.Message, fault.Name, env)
	}
}

// featureEnv is what a computed feature reads: main fields, aggregations and
// dimension fields. It is whole when none of them is missing for its faults.
func (l *loader) featureEnv(main *sourceNode, all *node, computed []*entry) (mortise.Schema, bool) {
	var env mortise.Schema
	whole := len(l.exp.Features)+len(computed) == len(all.entries)
	if main != nil && main.whole {
		env = main.source.Row()
	} else {
		whole = false
	}
	for _, f := range l.exp.Features {
		if i := env.Index(f.Name); i >= 0 {
			env[i].Type = f.Type
			continue
		}
		env = append(env, mortise.Field{Name: f.Name, Type: f.Type})
	}
	for _, d := range l.exp.Dimensions {
		for _, c := range d.Columns() {
			env = append(env, mortise.Field{Name: d.Name + "." + c.Name, Type: c.Type})
		}
	}
	return env, whole
}
