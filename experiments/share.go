package experiments

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/expression"
	"github.com/mortise-dev/mortise/joiner"
)

// admits reports whether e can share p: the same reading, join and windows, and
// no field that the two declare with different types.
func (p *Pipeline) admits(e *spec.Experiment) bool {
	if p.share != shareKey(e) || len(p.Experiments) == joiner.MaxExperiments {
		return false
	}
	if a, b := &p.Experiments[0].Join, &e.Join; a.Partitioner != b.Partitioner || a.Partitions != b.Partitions {
		return false // no part of what state depends on: it may be changed
	}
	for _, other := range p.Experiments {
		for i := range e.Sources {
			for j := range other.Sources {
				if a, b := &e.Sources[i], &other.Sources[j]; inputID(e, a) == inputID(other, b) && conflict(a.Fields, b.Fields) {
					return false
				}
			}
		}
	}
	return true
}

func conflict(a, b mortise.Schema) bool {
	for _, f := range a {
		if i := b.Index(f.Name); i >= 0 && (b[i].Type.Kind != f.Type.Kind || b[i].Type.Elem != f.Type.Elem) {
			return true
		}
	}
	return false
}

// shareKey spells out all that experiments must have in common to be one pipeline.
func shareKey(e *spec.Experiment) string {
	type window struct{ Source, On, Before, Within, Where, Value string }
	type input struct{ ID, Format, Field, Unit, Slack, Idle, Clean, Where, Fields string }
	early := e.Instance.Emit != "at_close"
	read := func(s *spec.Source) string {
		in := input{inputID(e, s), s.Format, s.TimeField, s.TimeUnit, s.OutOfOrderness.String(), s.IdleAfter.String(), s.Clean, "", ""}
		if early { // provisional rows follow where and types as records arrive
			in.Where, in.Fields = whereText(s), fmt.Sprint(s.Row())
		}
		text := fmt.Sprintf("%+v", in)
		if s.MaxAhead != time.Hour { // said only where it is not the default: groups that are older than the key go on
			text += " ahead " + s.MaxAhead.String()
		}
		if s.Repartition {
			text += " shuffled"
		}
		return text
	}
	key := struct {
		Main                  string
		Key, PartitionBy      []string
		Dedup, Early          bool
		Delay, Late, Delivery string
		Windows               []window
	}{Main: read(source(e, e.Join.Main)), Key: e.Join.Key, PartitionBy: e.Join.PartitionBy, Dedup: e.Join.Dedup, Early: early,
		Delay: e.Join.Delay.String(), Late: e.Join.Late, Delivery: e.Output.Delivery}
	for _, i := range windowOrder(e) {
		l := &e.Join.Labels[i]
		w := window{read(source(e, l.Source)), fmt.Sprint(l.On), l.Before.String(), l.Within.String(), "", ""}
		if early {
			w.Where, w.Value = programText(l.Where), programText(l.Value)
		}
		key.Windows = append(key.Windows, w)
	}
	b, err := json.Marshal(key)
	if err != nil {
		return e.Name // strings and booleans always marshal
	}
	return string(b)
}

// windowOrder lists e's labels in an order that does not depend on their names,
// so that experiments which name or order them differently share.
func windowOrder(e *spec.Experiment) []int {
	order := make([]int, len(e.Join.Labels))
	for i := range order {
		order[i] = i
	}
	text := func(i int) string {
		l := &e.Join.Labels[i]
		return fmt.Sprint(inputID(e, source(e, l.Source)), l.On, l.Before, l.Within)
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(text(a), text(b)) })
	return order
}

func source(e *spec.Experiment, name string) *spec.Source {
	for i := range e.Sources {
		if e.Sources[i].Name == name {
			return &e.Sources[i]
		}
	}
	return nil
}

// inputID tells the inputs of a pipeline apart: by topic, and where an
// experiment reads one topic as several sources, by their filters and by what
// they are shuffled by too.
func inputID(e *spec.Experiment, s *spec.Source) string {
	for i := range e.Sources {
		if other := &e.Sources[i]; other.Topic == s.Topic && other.Name != s.Name {
			id := s.Topic + " where " + whereText(s)
			if s.Repartition {
				id += " by " + strings.Join(PartitionFields(e, s), ", ")
			}
			return id
		}
	}
	return s.Topic
}

// dedupClasses groups experiments that accept the same impressions.
func (p *Pipeline) dedupClasses() (classes []uint32) {
	index := map[string]int{}
	for i, e := range p.Experiments {
		text := whereText(source(e, e.Join.Main))
		c, ok := index[text]
		if !ok {
			c, index[text] = len(classes), len(classes)
			classes = append(classes, 0)
		}
		classes[c] |= 1 << i
	}
	return classes
}

// whereText spells a source's filter with the derived fields it may use.
func whereText(s *spec.Source) string {
	if s.Where == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(s.Where.Source())
	for _, d := range s.Derive {
		fmt.Fprintf(&b, ";%s=%s", d.Name, d.Program.Source())
	}
	return b.String()
}

func programText(p *expression.Program) string {
	if p == nil {
		return ""
	}
	return p.Source()
}

// Fingerprint identifies what a pipeline's state depends on; a state with
// another fingerprint cannot be continued.
func (p *Pipeline) Fingerprint() uint64 {
	text := p.share
	for _, e := range p.Experiments {
		text += "\n" + e.Name
		for i := range e.Sources {
			text += ";" + whereText(&e.Sources[i])
		}
	}
	return xxh3.HashString(text)
}
