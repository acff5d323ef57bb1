package clean

import "slices"

// within is what a scanner looks for inside one of its tokens.
type within struct {
	object int      // the token of the object
	scan   *scanner // of its content
	slots  []int    // which of the outer tokens the inner ones become
}

// newPathScanner makes a scanner of fields that may lie within objects.
func newPathScanner(paths [][]string) *scanner {
	s := &scanner{tokens: make([]token, len(paths))}
	var tops []string
	var slots []int32
	inner := map[string][]int{} // paths below a name
	for at, path := range paths {
		top := slices.Index(tops, path[0])
		switch {
		case len(path) > 1:
			inner[path[0]] = append(inner[path[0]], at)
		case top >= 0:
			s.copies = append(s.copies, [2]int{int(slots[top]), at})
		default:
			tops, slots = append(tops, path[0]), append(slots, int32(at))
		}
	}
	for at, path := range paths { // in the order of paths, each name once
		below := inner[path[0]]
		if len(path) == 1 || below[0] != at {
			continue
		}
		w := within{slots: below}
		if top := slices.Index(tops, path[0]); top >= 0 {
			w.object = int(slots[top])
		} else {
			w.object = len(s.tokens)
			s.tokens = append(s.tokens, token{})
			tops, slots = append(tops, path[0]), append(slots, int32(w.object))
		}
		deeper := make([][]string, len(below))
		for i, p := range below {
			deeper[i] = paths[p][1:]
		}
		w.scan = newPathScanner(deeper)
		s.within = append(s.within, w)
	}
	s.names, s.wanted = newNamesAt(tops, slots), len(tops)
	return s
}

// descend fills the tokens of what lies within objects. They were passed over as
// valid values.
func (s *scanner) descend() {
	for i := range s.within {
		w := &s.within[i]
		t := s.tokens[w.object]
		switch t.kind & kindMask {
		case tokenNull:
			for _, slot := range w.slots {
				s.tokens[slot] = t
			}
		case tokenObject:
			w.scan.scan(s.data[t.start:t.end], false)
			for k, slot := range w.slots {
				inner := w.scan.tokens[k]
				inner.start, inner.end = inner.start+t.start, inner.end+t.start
				s.tokens[slot] = inner
			}
		case absent:
		default: // something else, which has no fields
			for _, slot := range w.slots {
				s.tokens[slot] = token{t.start, t.end, tokenObject}
			}
		}
	}
	for _, c := range s.copies {
		s.tokens[c[1]] = s.tokens[c[0]]
	}
}
