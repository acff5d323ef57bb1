package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
)

// hashOf is the hash of what an experiment means: the same for two files that
// differ in comments, order of keys, spelling of durations or defaults written
// out, in how brokers and stores are reached, and in where and how often rows are
// written as Parquet. It goes into record headers and tells a state directory of
// one experiment from another's.
func hashOf(e *Experiment) string {
	h := sha256.New()
	w := hashWriter{h}
	w.line("mortise 1", e.Name, e.Version)
	for _, s := range sorted(e.Sources, func(s Source) string { return s.Name }) {
		w.source(&s)
	}
	w.join(&e.Join)
	for _, f := range sorted(e.Features, func(f features.Definition) string { return f.Name }) {
		w.line("feature", f.Name, f.Source, f.Entity, f.Aggregate.String(), program(f.Where), f.Window.Milliseconds(), f.Tile.Milliseconds(), program(f.Expr))
	}
	for _, d := range sorted(e.Dimensions, func(d Dimension) string { return d.Name }) {
		w.line("dimension", d.Name, d.Key, store(&d.Store), d.History, d.AsOf, d.Missing)
		w.fields(d.Fields)
		if d.Wait.For > 0 {
			w.line("wait", d.Wait.For.Milliseconds())
		}
		if d.Correct.For > 0 {
			w.line("correct", d.Correct.For.Milliseconds())
		}
		if c := d.Changes; c != nil {
			w.line("changes", c.Topic, c.Format, c.Table, quoteAll(c.Key.Names()), c.Unit, c.OutOfOrderness.Milliseconds(), c.IdleAfter.Milliseconds())
		}
	}
	for _, c := range e.Instance.Select {
		w.line("column", c.Name, c.From, c.Type)
	}
	w.line("sample", e.Instance.Sample.Negatives, e.Instance.Sample.By, e.Instance.Emit)
	o := &e.Output
	w.line("output", o.Topic, o.Format)
	w.line("dead letters", o.DeadLetter.Topic, o.DeadLetter.File, o.Delivery)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hashWriter writes one line for each fact, every part quoted, so that no two
// experiments write the same text.
type hashWriter struct{ to io.Writer }

func (w hashWriter) line(parts ...any) {
	for _, p := range parts {
		fmt.Fprintf(w.to, "%q ", fmt.Sprint(p))
	}
	fmt.Fprintln(w.to)
}

func (w hashWriter) source(s *Source) {
	w.line("source", s.Name, s.Topic, s.Format, s.TimeField, s.TimeUnit, s.OutOfOrderness.Milliseconds(), s.IdleAfter.Milliseconds(), program(s.Where), s.Clean)
	if s.MaxAhead != defaultMaxAhead { // hashes are older than the key
		w.line("max_ahead", s.MaxAhead.Milliseconds())
	}
	w.fields(s.Fields)
	if s.SchemaText != "" {
		w.line("schema", s.SchemaText, s.Message)
	}
	for _, f := range sorted(s.Fields, func(f mortise.Field) string { return f.Name }) {
		if from := s.From[f.Name]; from != nil {
			w.line("from", f.Name, quoteAll(from))
		}
	}
	for _, d := range sorted(s.Derive, func(d Derived) string { return d.Name }) {
		w.line("derive", d.Name, program(d.Program))
	}
}

func (w hashWriter) fields(fields mortise.Schema) {
	for _, f := range sorted(fields, func(f mortise.Field) string { return f.Name }) {
		w.line("field", f.Name, f.Type)
	}
}

func (w hashWriter) join(j *Join) {
	w.line("join", j.Main, quoteAll(j.Key), quoteAll(j.PartitionBy), j.Dedup, j.Delay.Milliseconds(), j.Late)
	for _, l := range sorted(j.Labels, func(l Label) string { return l.Name }) {
		w.line("label", l.Name, l.Source, l.Within.Milliseconds(), l.Before.Milliseconds(), program(l.Where), program(l.Value))
		for _, p := range sorted(l.On, func(p Pair) string { return p.Main + "\x00" + p.Label }) {
			w.line("on", p.Main, p.Label)
		}
	}
}

func program(p *expression.Program) string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(p.Source())
}

// store is what a store holds, not how it is reached.
func store(s *dimjoin.Store) string {
	out := fmt.Sprintf("%s %q %q %q", s.Kind, s.Path, s.SQL.Table, s.HBase.Table)
	switch s.Kind {
	case "redis":
		out += fmt.Sprintf(" %q %d %s", s.Redis.Prefix, s.Redis.DB, s.Redis.Layout)
	case "hbase":
		out += fmt.Sprintf(" %q", s.HBase.Family)
	}
	for _, side := range s.AB {
		if side != nil {
			out += " (" + store(side) + ")"
		}
	}
	return out
}

func quoteAll(list []string) string { return fmt.Sprintf("%q", list) }

func sorted[E any](list []E, key func(E) string) []E {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b E) int { return strings.Compare(key(a), key(b)) })
	return out
}
