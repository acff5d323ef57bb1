package spec

// on builds a label's equalities and checks them against the join key's
// partitioning. from is the label's source, which is whole.
func (l *loader) on(e *entry, main, from *sourceNode, keysGood bool) []Pair {
	n := e.value.get("on")
	if n == nil { // the default: the join key, by the same names
		return l.defaultOn(e, main, from)
	}
	pairs, good := l.pairs(n, main, from)
	if !good || !keysGood {
		return pairs
	}
	for _, p := range l.exp.Join.PartitionBy {
		found := false
		for _, pair := range pairs {
			found = found || pair.Main == p
		}
		if !found {
			l.fail(n.at, BadKey, "`on` of the label `%s` does not include `%s`, by which the topics are partitioned", e.key, p).Help = "a label that lies in another partition than its impression is never found"
		}
	}
	return pairs
}

func (l *loader) defaultOn(e *entry, main, from *sourceNode) []Pair {
	var pairs []Pair
	at := e.value.find("source").value.at
	for _, key := range l.exp.Join.Key {
		pair := Pair{key, key}
		fields := from.source.Fields
		i := fields.Index(key)
		if i < 0 {
			l.fail(at, UndeclaredField, "the source `%s` has no field `%s`, which is part of the join key", from.source.Name, key).Help = "declare it, or say which fields match: on: {" + key + ": its field}"
			continue
		}
		if l.sameType(pair, main, from, at) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// pairs reads the three forms of `on`: a field, a list, or main: label.
func (l *loader) pairs(n *node, main, from *sourceNode) ([]Pair, bool) {
	type side struct{ main, label *node }
	var sides []side
	for i := range n.entries {
		key := &n.entries[i]
		if !key.value.bad && !key.value.unset {
			sides = append(sides, side{&node{kind: textNode, text: key.key, written: key.key, at: key.at}, key.value})
		}
	}
	if n.kind != mapNode {
		for _, t := range n.texts() {
			sides = append(sides, side{t, t})
		}
	}
	if len(n.entries)+len(n.items) == 0 && n.kind >= listNode {
		l.fail(n.at, BadKey, "`on` is empty; leave it out to match on the join key")
		return nil, false
	}
	var pairs []Pair
	good := len(sides) == max(len(n.entries), len(n.items)) || n.kind < listNode
	for _, s := range sides {
		pair := Pair{s.main.text, s.label.text}
		pairs = append(pairs, pair)
		if main == nil || !main.whole {
			good = false
			continue
		}
		_, inMain := l.declared(s.main, main.source.Fields, "the main source `"+main.source.Name+"`")
		_, inLabel := l.declared(s.label, from.source.Fields, "the source `"+from.source.Name+"`")
		good = inMain && inLabel && l.sameType(pair, main, from, s.label.at) && good
	}
	return pairs, good
}

// sameType checks that both sides of an equality are declared, and of one type.
func (l *loader) sameType(p Pair, main, from *sourceNode, at place) bool {
	a := main.source.Fields[main.source.Fields.Index(p.Main)].Type
	b := from.source.Fields[from.source.Fields.Index(p.Label)].Type
	switch {
	case !isScalar(a) || !isScalar(b):
		l.fail(at, TypeMismatch, "`%s` and `%s` cannot be matched: a key is text, a number or a bool, not a list", p.Main, p.Label)
	case a.Kind != b.Kind:
		l.fail(at, TypeMismatch, "`%s` is %s in `%s`, but `%s` is %s in `%s`; what is matched has one type", p.Main, a, main.source.Name, p.Label, b, from.source.Name)
	default:
		return true
	}
	return false
}
