package file

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/mortise-dev/mortise/dimjoin"
)

// version is one row of a key as the file has it.
type version struct {
	key    uint32 // its number
	line   uint32
	fromMS int64
	toMS   int64
	row    address
}

// span is a time [fromMS, the next span's fromMS) in which one row is valid, or none.
type span struct {
	fromMS int64
	row    address
}

// versions are the spans of every key, in order, without gaps: before a key's
// first there is no row.
type versions struct {
	spans []span
	first []uint32 // of each key, and behind the last one
}

const noRow = ^address(0)

func (v *versions) bytes() int { return 16*cap(v.spans) + 4*cap(v.first) }

// resolve makes spans of versions that may overlap: the one whose from is later wins.
func resolve(all []version, keys int) (*versions, error) {
	slices.SortFunc(all, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.fromMS, b.fromMS), cmp.Compare(a.line, b.line))
	})
	v := &versions{first: make([]uint32, 0, keys+1)}
	for i := 0; i < len(all); {
		end := i + 1
		for end < len(all) && all[end].key == all[i].key {
			if all[end].fromMS == all[end-1].fromMS {
				return nil, &sameFrom{all[end-1], all[end]}
			}
			end++
		}
		v.first = append(v.first, uint32(len(v.spans)))
		v.resolveKey(all[i:end])
		i = end
	}
	v.first = append(v.first, uint32(len(v.spans)))
	return v, nil
}

// resolveKey adds the spans of one key's versions, which are in order of from.
func (v *versions) resolveKey(all []version) {
	var open []version // that began and have not ended, the winner last
	// until adds what is valid from where open stands up to ms.
	until := func(ms int64) {
		for len(open) > 0 {
			last := open[len(open)-1]
			if last.toMS > ms || last.toMS == dimjoin.Latest {
				return
			}
			open = open[:len(open)-1]
			for len(open) > 0 && open[len(open)-1].toMS <= last.toMS {
				open = open[:len(open)-1]
			}
			if row := noRow; last.toMS < ms {
				if len(open) > 0 {
					row = open[len(open)-1].row
				}
				v.spans = append(v.spans, span{last.toMS, row})
			}
		}
	}
	for _, next := range all {
		if next.toMS == next.fromMS {
			continue // valid at no time
		}
		until(next.fromMS)
		open = append(open, next)
		v.spans = append(v.spans, span{next.fromMS, next.row})
	}
	until(dimjoin.Latest)
}

// sameFrom are two versions of a key that begin at once.
type sameFrom struct{ a, b version }

// Error implements error.
func (s *sameFrom) Error() string {
	return fmt.Sprintf("the lines %d and %d are versions of one key that begin at the same time", s.a.line, s.b.line)
}

// answer answers a lookup of a key.
func (v *versions) answer(c *contents, number uint32, known bool, l *dimjoin.Lookup) {
	l.FromMS, l.ToMS = dimjoin.Always, dimjoin.Latest
	if !known {
		return
	}
	spans := v.spans[v.first[number]:v.first[number+1]]
	at := sort.Search(len(spans), func(i int) bool { return spans[i].fromMS > l.AsOfMS })
	if at < len(spans) {
		l.ToMS = spans[at].fromMS
	}
	if at == 0 {
		return
	}
	l.FromMS = spans[at-1].fromMS
	if row := spans[at-1].row; row != noRow {
		c.read(c.arena.at(row), l)
	}
}
