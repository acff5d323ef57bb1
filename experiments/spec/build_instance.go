package spec

import (
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/features"
)

func (l *loader) instance(n *node, main *sourceNode) {
	i := &l.exp.Instance
	i.Emit = n.get("emit").string("at_close")
	i.Sample = Sample{Negatives: 1}
	if s := n.get("sample"); s != nil {
		l.sample(s, main)
	}
	if n.whole("select") {
		l.selection(n.get("select"), main)
	}
	if i.Emit != "at_close" {
		l.early(n.get("emit"))
	}
}

// early refuses what rows cannot have before their window closes.
func (l *loader) early(n *node) {
	if slices.ContainsFunc(l.exp.NeededFeatures(), func(f *features.Definition) bool { return !f.IsExpr() }) {
		l.fail(n.at, Conflict, "rows with features cannot be emitted before their window closes: their tiles are not final by then").Help = "use emit: at_close, or select no features"
	}
	for _, d := range l.exp.NeededDimensions() {
		if d.Missing == dimjoin.MissingDeadLetter {
			l.fail(n.at, Conflict, "the dimension `%s` sends impressions without a row to dead letters, when rows of theirs may be out already", d.Name).Help = "use emit: at_close, or another missing"
		}
		if d.Correct.For > 0 {
			l.fail(n.at, Conflict, "instances without a row of the dimension `%s` are corrected after their final row, and others have further rows before it", d.Name).Help = "use emit: at_close, or remove correct"
		}
		if d.Missing == dimjoin.MissingWait {
			l.fail(n.at, Conflict, "the instances of impressions without a row of the dimension `%s` wait for it, and cannot be emitted before", d.Name).Help = "use emit: at_close, or another missing"
		}
	}
}

func (l *loader) sample(n *node, main *sourceNode) {
	s := &l.exp.Instance.Sample
	if rate := n.get("negatives"); rate != nil {
		if s.Negatives = rate.float(1); !(s.Negatives > 0 && s.Negatives <= 1) {
			l.fail(rate.at, BadValue, "negatives is %s; it must be above 0 and at most 1", rate.quoted()).Help = "it is the share of negatives that is kept"
		}
	}
	by := n.get("by")
	if s.By = by.string(""); by == nil || main == nil || !main.whole {
		return
	}
	if t, ok := l.declared(by, main.source.Fields, "the main source `"+main.source.Name+"`"); ok && !isScalar(t) {
		l.fail(by.at, TypeMismatch, "sample by %s, which is a list; it is text, a number or a bool", by.quoted())
	}
}

// selection resolves the columns. What depends on a faulty part is left out
// without a word: that part has its own report.
func (l *loader) selection(n *node, main *sourceNode) {
	known, whole := l.selectables(main)
	taken := map[string]string{}
	for _, name := range l.columnNames() {
		taken[name] = "a column that every instance has"
	}
	for _, item := range n.texts() {
		from := strings.TrimSpace(item.text)
		t, ok := known[from]
		if !ok {
			if whole {
				l.fail(item.at, UndeclaredField, "there is no main field, feature or dimension field %s", item.quoted()).Help = didYouMean(from, names(known))
			}
			continue
		}
		column := Column{Name: strings.ReplaceAll(from, ".", "_"), From: from, Type: t}
		if by, clash := taken[column.Name]; clash {
			d := l.fail(item.at, NameClash, "the column `%s` is already %s", column.Name, by)
			if strings.HasPrefix(by, "a column") {
				d.Help = "derive it under another name, and select that"
			}
			continue
		}
		taken[column.Name] = "selected"
		l.exp.Instance.Select = append(l.exp.Instance.Select, column)
	}
}

// selectables are all that select can name. They are whole when no part of the
// file that declares some is faulty.
func (l *loader) selectables(main *sourceNode) (map[string]mortise.Type, bool) {
	known := map[string]mortise.Type{}
	if main == nil || !main.whole || l.faultyParts {
		return known, false
	}
	for _, f := range main.source.Row() {
		known[f.Name] = f.Type
	}
	for _, f := range l.exp.Features {
		known[f.Name] = f.Type
	}
	for _, d := range l.exp.Dimensions {
		for _, c := range d.Columns() {
			known[d.Name+"."+c.Name] = c.Type
		}
	}
	return known, true
}
