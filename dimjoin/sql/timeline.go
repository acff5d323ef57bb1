package sql

import (
	"slices"
	"sort"

	"github.com/mortise-dev/mortise/dimjoin"
)

// entry is one row of a key's history: a version, valid in [fromMS, toMS), or the
// mark that there is none from fromMS on, whose toMS is the same: such a row is
// valid at no time.
type entry struct {
	fromMS, toMS int64
	record       *dimjoin.Record // what is to be written of it; nil for what is there
	there        bool            // the table has it
	moved        bool            // and another toMS
}

func (e *entry) isMark() bool { return e.toMS <= e.fromMS }

// timeline is a key's history, in order of from.
type timeline []entry

// put puts a record: its row holds until the next change that is known, and what
// was valid before holds until its from.
func (l *timeline) put(r *dimjoin.Record, fromMS int64) {
	all := *l
	at := sort.Search(len(all), func(i int) bool { return all[i].fromMS >= fromMS })
	same := at < len(all) && all[at].fromMS == fromMS
	toMS := dimjoin.Latest
	if next := at + 1; same && next < len(all) {
		toMS = all[next].fromMS
	} else if !same && at < len(all) {
		toMS = all[at].fromMS
	}
	ended := dimjoin.Latest // the end of what holds now, where no entry marks it
	if same && !all[at].isMark() {
		ended = all[at].toMS
	} else if !same && at > 0 && all[at-1].toMS > fromMS {
		ended = all[at-1].toMS
	}
	if at > 0 && all[at-1].toMS > fromMS {
		all[at-1].toMS, all[at-1].moved = fromMS, true
	}
	if !same {
		all = slices.Insert(all, at, entry{fromMS: fromMS})
	}
	if ended < toMS {
		toMS = ended
		all = slices.Insert(all, at+1, entry{fromMS: ended, toMS: ended, record: &dimjoin.Record{Key: r.Key, Values: r.Values}})
	}
	if all[at].record, all[at].toMS = r, toMS; r.Row == nil {
		all[at].toMS = fromMS
	}
	*l = all
}
