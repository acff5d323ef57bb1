package spec

import (
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// join builds the join. It returns the main source, or nil when there is none
// that later stages could refer to.
func (l *loader) join(n *node) *sourceNode {
	if n == nil {
		return nil
	}
	j := &l.exp.Join
	j.Dedup = n.get("dedup").bool(true)
	j.Late = n.get("late").string("emit")
	j.Partitioner = n.get("partitioner").string("murmur2")
	main := l.mainSource(n.get("main"))
	keysGood := l.key(n, main)
	l.labels(n, main, keysGood)
	l.delay(n)
	l.repartition(n, main)
	return main
}

func (l *loader) mainSource(n *node) *sourceNode {
	if n == nil {
		return nil
	}
	info := l.findSource(n)
	if info == nil {
		return nil
	}
	info.used = true
	l.exp.Join.Main = n.text
	return info
}

// findSource looks a source up and reports when it is not there.
func (l *loader) findSource(n *node) *sourceNode {
	info := l.sources[n.text]
	if info == nil {
		if len(l.sources) > 0 {
			l.fail(n.at, UnknownSource, "there is no source %s", n.quoted()).Help = didYouMean(n.text, l.sourceNames())
		}
		return nil
	}
	return info
}

// key reads key and partition_by. It reports whether labels can be held against
// them.
func (l *loader) key(n *node, main *sourceNode) bool {
	j := &l.exp.Join
	j.Key = n.get("key").strings()
	j.PartitionBy = n.get("partition_by").strings()
	good := n.whole("key") && l.keyFields(n.get("key"), main, "the join key")
	if !n.has("partition_by") {
		j.PartitionBy = j.Key
		return good
	}
	if !n.whole("partition_by") || !l.keyFields(n.get("partition_by"), main, "partition_by") || !good {
		return false
	}
	for _, f := range n.get("partition_by").texts() {
		if !contains(j.Key, f.text) {
			l.fail(f.at, BadKey, "partition_by has %s, which is not part of the join key", f.quoted()).Help = "records that join must lie in one partition: partition by the key or a part of it"
			good = false
		}
	}
	return good
}

// keyFields checks that fields are declared, scalar, and named once.
func (l *loader) keyFields(n *node, main *sourceNode, what string) bool {
	good := true
	seen := map[string]bool{}
	if len(n.texts()) == 0 {
		l.fail(n.at, MissingKey, "%s is empty; name a field of the main source", what)
		return false
	}
	for _, f := range n.texts() {
		if seen[f.text] {
			l.fail(f.at, BadKey, "%s has %s twice", what, f.quoted())
			good = false
		}
		seen[f.text] = true
		if main == nil || !main.whole {
			good = false
			continue
		}
		t, ok := l.declared(f, main.source.Fields, "the main source `"+main.source.Name+"`")
		if ok && !isScalar(t) {
			l.fail(f.at, TypeMismatch, "%s has %s, which is a list; a key is text, a number or a bool", what, f.quoted())
		}
		good = good && ok && isScalar(t)
	}
	return good
}

func (l *loader) labels(n *node, main *sourceNode, keysGood bool) {
	block := n.get("labels")
	if block == nil {
		return
	}
	if len(block.entries) == 0 {
		l.fail(block.at, MissingKey, "labels is empty; a join needs at least one label")
	}
	columns := map[string]string{} // column → label
	for i := range block.entries {
		e := &block.entries[i]
		if checkName(identifier, e.key) != "" {
			continue
		}
		for _, column := range []string{"label_" + e.key, "label_" + e.key + "_time", "label_" + e.key + "_count"} {
			if other, taken := columns[column]; taken {
				l.fail(e.at, NameClash, "the labels `%s` and `%s` would both have a column %s", other, e.key, column).Help = "rename one of them"
				break
			}
			columns[column] = e.key
		}
		if e.value.bad {
			continue
		}
		label, ok := l.label(e, main, keysGood)
		if ok {
			l.exp.Join.Labels = append(l.exp.Join.Labels, label)
		}
	}
}

func (l *loader) label(e *entry, main *sourceNode, keysGood bool) (Label, bool) {
	n := e.value
	label := Label{
		Name:   e.key,
		Source: n.get("source").string(""),
		Within: n.get("within").duration(0),
		Before: n.get("before").duration(0),
	}
	l.window(n, &label)
	if n.get("source") == nil {
		return label, false
	}
	from := l.findSource(n.get("source"))
	if from == nil {
		return label, true
	}
	from.used = true
	if from == main {
		l.fail(n.get("source").at, UnknownSource, "the main source %s cannot be its own label", n.get("source").quoted())
		return label, true
	}
	if !from.whole {
		return label, true
	}
	row := from.source.Row()
	label.Where = l.condition(n.get("where"), row, "where")
	if label.Value = l.compile(n.get("value"), row); label.Value != nil {
		if k := label.Value.Type().Kind; k != mortise.Int && k != mortise.Float {
			d := l.fail(n.get("value").within(1, runes(n.get("value").text)), BadExpression, "value must be a number; this one is %s", label.Value.Type())
			if k == mortise.Bool {
				d.Help = "a condition goes into where; a label without value is 1 or 0"
			}
		}
	}
	if keysGood && !n.has("on") || n.get("on") != nil {
		label.On = l.on(e, main, from, keysGood)
	}
	return label, true
}

// window checks that a label's window can hold something.
func (l *loader) window(n *node, label *Label) {
	switch {
	case !n.has("within") && !n.has("before"):
		l.fail(n.at, MissingKey, "a label needs `within`: how long after the impression it may come, or `before`")
	case n.has("within") && n.get("within") == nil || n.has("before") && n.get("before") == nil:
	case label.Within+label.Before <= 0:
		at := n.find("within")
		if at == nil {
			at = n.find("before")
		}
		l.fail(at.value.at, BadWindow, "the window of the label `%s` is empty: no time lies in [t-%s, t+%s)", label.Name, mortise.FormatDuration(label.Before), mortise.FormatDuration(label.Within))
	}
}

// delay settles how long impressions are held, at least as long as every window.
func (l *loader) delay(n *node) {
	j := &l.exp.Join
	var largest time.Duration
	of := ""
	for _, label := range j.Labels {
		if label.Within > largest {
			largest, of = label.Within, label.Name
		}
	}
	given := n.get("delay")
	if j.Delay = given.duration(largest); j.Delay < largest {
		l.fail(given.at, BadWindow, "the delay %s is shorter than the window of the label `%s`, %s: its last labels would come too late", mortise.FormatDuration(j.Delay), of, mortise.FormatDuration(largest)).Help = "leave delay out, or make it at least " + mortise.FormatDuration(largest)
	}
}
