package joiner_test

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// textProgram is a Program over readable values. An impression's value is its
// keys, one a key set, joined by ","; a leading "!" makes it unreadable. A
// label's value is a number that it contributes; "broken" cannot be read.
// Experiment i of several takes only labels of value >= i.
type textProgram struct {
	experiments int
	policy      string // at_close | early_positive | immediate_negative
	sample      bool   // drop all negatives
	windows     []string
	context     string // a window that turns nothing positive

	open   *joiner.Entry
	keys   [][]byte
	labels [][]labelSum // [experiment][window]
	out    []string
}

type labelSum struct {
	sum     float64
	firstMS int64
	count   int
}

func (p *textProgram) Open(e *joiner.Entry) uint32 {
	p.open = e
	if p.labels == nil {
		for range max(p.experiments, 1) {
			p.labels = append(p.labels, make([]labelSum, len(p.windows)))
		}
	}
	for i := range p.labels {
		clear(p.labels[i])
	}
	if bytes.HasPrefix(e.Value, []byte("!")) {
		return 0
	}
	p.keys = bytes.Split(e.Value, []byte(","))
	return ^uint32(0)
}

func (p *textProgram) Fault(int) *mortise.RecordError {
	return &mortise.RecordError{Reason: mortise.ReasonBadField, Detail: "unreadable"}
}

func (p *textProgram) Key(set int) []byte { return p.keys[set] }

func (p *textProgram) Match(w int, l *joiner.Entry, accept uint32) (counts, broken uint32, why *mortise.RecordError) {
	if string(l.Value) == "broken" {
		return 0, accept, &mortise.RecordError{Reason: mortise.ReasonExpression, Detail: "broken"}
	}
	v, _ := strconv.ParseFloat(string(l.Value), 64)
	for i := range p.labels {
		if accept&(1<<i) == 0 || v < float64(i) {
			continue
		}
		s := &p.labels[i][w]
		if s.count == 0 {
			s.firstMS = l.TimeMS
		}
		s.sum, s.count = s.sum+v, s.count+1
		counts |= 1 << i
	}
	return counts, 0, nil
}

func (p *textProgram) Emit(em joiner.Emission) (o joiner.Outcome, err error) {
	for i := range p.labels {
		bit := uint32(1) << i
		if em.Accept&bit == 0 {
			continue
		}
		line, positive := p.row(i, em)
		revision, write := p.revision(em, positive)
		if !write {
			continue
		}
		if p.sample && !positive {
			o.Sampled |= bit
			continue
		}
		o.Written |= bit
		if positive {
			o.Positive |= bit
		}
		p.out = append(p.out, fmt.Sprintf("%s rev=%d%s", line, revision, map[bool]string{true: "", false: " final"}[em.Provisional]))
	}
	return o, nil
}

// revision follows the emission policy; see Emission.
func (p *textProgram) revision(em joiner.Emission, positive bool) (revision int, write bool) {
	switch p.policy {
	case "early_positive":
		return em.Positives, !em.Provisional || positive
	case "immediate_negative":
		if em.ArrivedNegative && (!em.Provisional || positive) {
			return em.Positives + 1, true
		}
		return em.Positives, true
	}
	return 0, !em.Provisional
}

func (p *textProgram) row(exp int, em joiner.Emission) (line string, positive bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "emit %s t=%s", p.keys[0], at(p.open.TimeMS))
	if len(p.labels) > 1 {
		fmt.Fprintf(&b, " exp=%d", exp)
	}
	for w, s := range p.labels[exp] {
		if s.count > 0 {
			fmt.Fprintf(&b, " %s=%g@%s*%d", p.windows[w], s.sum, at(s.firstMS), s.count)
			positive = positive || p.windows[w] != p.context
		}
	}
	if em.Late {
		b.WriteString(" late")
	}
	return b.String(), positive
}

func (p *textProgram) Reject(e *joiner.Entry, mask uint32, why *mortise.RecordError) error {
	p.out = append(p.out, fmt.Sprintf("reject %s t=%s: %s", e.Value, at(e.TimeMS), why))
	return nil
}

// take returns what was put out since the last call; rows that close together sorted.
func (p *textProgram) take() []string {
	out := slices.Clone(p.out)
	p.out = p.out[:0]
	return out
}

// at renders an event time in ms as seconds.
func at(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64) + "s" }
