package extsort

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// Overlap returns how many runs of one split a merge of spills has open at once
// at most, over all splits.
func Overlap(spills []*Spill) (most int) {
	type edge struct {
		ms   int64
		open int // 1 opens, -1 closes
	}
	var edges []edge
	for split := range splitsOf(spills) {
		edges = edges[:0]
		for _, s := range spills {
			if g := &s.segments[split]; g.records > 0 {
				edges = append(edges, edge{g.minMS, 1}, edge{g.maxMS, -1})
			}
		}
		// What begins when another ends is open beside it.
		slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(b.open, a.open)) })
		open := 0
		for _, e := range edges {
			open += e.open
			most = max(most, open)
		}
	}
	return most
}

func splitsOf(spills []*Spill) int {
	if len(spills) == 0 {
		return 0
	}
	return spills[0].Splits()
}

// MergeInto writes the records of all spills, in order, as one spill file, with
// note.
func MergeInto(w *Writer, open Opener, spills []*Spill, resolve func(*Record), note []byte) error {
	for split := range splitsOf(spills) {
		if err := mergeSplit(w, open, spills, split, resolve); err != nil {
			return err
		}
	}
	return w.Finish(note)
}

func mergeSplit(w *Writer, open Opener, spills []*Spill, split int, resolve func(*Record)) (err error) {
	m := NewMerge(open, spills, split, resolve)
	defer func() { err = errors.Join(err, m.Close()) }()
	begun := false
	for {
		r, err := m.Next()
		if errors.Is(err, io.EOF) {
			if begun {
				return w.End()
			}
			return nil
		}
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			w.Begin(split)
		}
		if err := w.Append(r); err != nil {
			return err
		}
	}
}
