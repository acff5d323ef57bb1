package statetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// model is a log as naive as can be: a slice that is searched through.
type model struct {
	bucketMS int64
	entries  []modelEntry
	appended int

	// The scan: the position from which to return, whether an entry at it was
	// returned since Seek, and how many had been appended when the first was.
	from     joiner.Cursor
	returned bool
	known    int
}

type modelEntry struct {
	joiner.Entry
	ref  joiner.Ref
	seq  int
	done bool // returned since Seek
}

func (m *model) append(e joiner.Entry, ref joiner.Ref) {
	m.entries = append(m.entries, modelEntry{Entry: e, ref: ref, seq: m.appended})
	m.appended++
}

func (m *model) seek(c joiner.Cursor) {
	m.from, m.returned = c, false
	for i := range m.entries {
		m.entries[i].done = false
	}
}

// next returns the entry that Next is to return, nil for none.
func (m *model) next(beforeMS int64) *joiner.Entry {
	var best *modelEntry
	for i := range m.entries {
		e := &m.entries[i]
		at := e.Position()
		behind := at.Less(m.from) || m.returned && at == m.from && e.seq >= m.known
		if e.done || behind || e.TimeMS >= beforeMS {
			continue
		}
		if best == nil || at.Less(best.Position()) {
			best = e
		}
	}
	if best == nil {
		return nil
	}
	best.done = true
	if !m.returned || m.from != best.Position() {
		m.from, m.returned, m.known = best.Position(), true, m.appended
	}
	return &best.Entry
}

func (m *model) dropBefore(timeMS int64) {
	m.entries = slices.DeleteFunc(m.entries, func(e modelEntry) bool {
		return bucketOf(e.TimeMS, m.bucketMS) < bucketOf(timeMS, m.bucketMS)
	})
}

func (m *model) lows() map[uint16]int64 {
	lows := map[uint16]int64{}
	for _, e := range m.entries {
		if have, ok := lows[e.Source]; !ok || e.Offset < have {
			lows[e.Source] = e.Offset
		}
	}
	return lows
}

// clone is the model of a store that is reopened at this point.
func (m *model) clone() model {
	c := model{bucketMS: m.bucketMS, entries: slices.Clone(m.entries), appended: m.appended}
	c.seek(lowest)
	return c
}

// check compares the log with the model in everything but the scan.
func (m *model) check(log joiner.Log) error {
	want := slices.Clone(m.entries)
	slices.SortStableFunc(want, func(a, b modelEntry) int {
		return int(max(-1, min(1, bucketOf(a.TimeMS, m.bucketMS)-bucketOf(b.TimeMS, m.bucketMS))))
	})
	n := 0
	err := log.Each(math.MinInt64, func(ref joiner.Ref, e *joiner.Entry) error {
		if n == len(want) || ref != want[n].ref || !equal(e, &want[n].Entry) {
			return fmt.Errorf("Each: entry %d of %d at %+v is %s", n, len(want), ref, describe(e))
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	if entries := log.Stats().Entries; n != len(want) || entries != int64(n) {
		return fmt.Errorf("Each: %d entries, Stats: %d, want %d", n, entries, len(want))
	}
	lows := map[uint16]int64{}
	log.Lows(lows)
	if want := m.lows(); fmt.Sprint(lows) != fmt.Sprint(want) {
		return fmt.Errorf("Lows: %v, want %v", lows, want)
	}
	return nil
}
