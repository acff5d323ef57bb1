package hbase

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tsuna/gohbase/hrpc"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// maxKeyBytes is the longest row key that HBase has.
const maxKeyBytes = 32767

// newest is how many versions of a column are asked for at first: they say how long
// an answer holds.
const newest = 3

// Read implements dimjoin.Table.
func (t *Table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	const tries = 10
	for range tries {
		answers := make([]dimjoin.Lookup, len(lookups)) // which who gives up leaves behind
		for i := range lookups {
			answers[i] = dimjoin.Lookup{Key: bytes.Clone(lookups[i].Key), AsOfMS: lookups[i].AsOfMS}
		}
		again := false
		err := wait(ctx, func() (err error) {
			again, err = t.readOnce(ctx, answers)
			return err
		})
		if err != nil {
			return t.fail("reading", err)
		}
		if again {
			continue
		}
		for i := range lookups {
			l, a := &lookups[i], &answers[i]
			l.Row, l.Err, l.FromMS, l.ToMS = a.Row, a.Err, a.FromMS, a.ToMS
		}
		return nil
	}
	return t.fail("reading", errors.New("its version changed ten times meanwhile"))
}

// readOnce reads all lookups of the version that is known, and beside them which one
// is current: if it is another, everything has to be read again. Rows of a version
// may be dropped as soon as it is not read any more; so where some seem to be
// missing, it asks for the version once more.
func (t *Table) readOnce(ctx context.Context, lookups []dimjoin.Lookup) (again bool, err error) {
	v := t.version.Load()
	now := v
	err = t.each(len(lookups)+1, func(i int) (err error) {
		if i == 0 {
			now, err = t.readVersion(ctx)
			return err
		}
		return t.read(ctx, v, &lookups[i-1])
	})
	if err != nil || now != v || v.name == "" {
		return now != v, err
	}
	if !slices.ContainsFunc(lookups, func(l dimjoin.Lookup) bool { return l.Row == nil && l.Err == nil }) {
		return false, nil
	}
	now, err = t.readVersion(ctx)
	return now != v, err
}

// each does something for all of n numbers, a bounded number at once, until one fails.
func (t *Table) each(n int, do func(i int) error) error {
	var next, failed atomic.Int64
	var first error
	var group sync.WaitGroup
	for range min(n, t.opts.Concurrency) {
		group.Go(func() {
			for failed.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil && failed.Add(1) == 1 {
					first = err
				}
			}
		})
	}
	group.Wait()
	return first
}

// rowKey is a key as a row's: HBase has no empty one.
func rowKey(key []byte) []byte {
	if len(key) == 0 {
		return []byte(`\`) // no key is, since a backslash is written twice
	}
	return key
}

// get reads a row's cells of a version that are no younger than ms; 0 for all.
func (t *Table) get(ctx context.Context, v *version, key []byte, ms int64, options ...func(hrpc.Call) error) ([]*hrpc.Cell, error) {
	options = append(options, hrpc.Families(v.families))
	if ms > 0 {
		options = append(options, hrpc.TimeRangeUint64(0, uint64(ms)+1))
	}
	g, err := hrpc.NewGet(ctx, []byte(t.def.Store.HBase.Table), key, options...)
	if err != nil {
		return nil, err
	}
	result, err := t.client.Get(g)
	if err != nil {
		return nil, err
	}
	return result.Cells, nil
}

func (t *Table) read(ctx context.Context, v *version, l *dimjoin.Lookup) error {
	if len(l.Key) > maxKeyBytes {
		l.Err = fmt.Errorf("the key has %d bytes, and HBase's have %d at most", len(l.Key), maxKeyBytes)
		return nil
	}
	if !t.def.History.Kept() {
		cells, err := t.get(ctx, v, rowKey(l.Key), 0, hrpc.MaxVersions(1))
		if err == nil {
			t.answer(v, cells, l)
		}
		return err
	}
	l.FromMS, l.ToMS = dimjoin.Always, dimjoin.Latest
	if l.AsOfMS < 0 {
		l.ToMS = 0 // no cell is older
		return nil
	}
	cells, err := t.get(ctx, v, rowKey(l.Key), 0, hrpc.MaxVersions(newest))
	if err != nil {
		return err
	}
	if !known(cells, l) {
		l.ToMS = l.AsOfMS + 1
		if cells, err = t.get(ctx, v, rowKey(l.Key), l.AsOfMS, hrpc.MaxVersions(1)); err != nil {
			return err
		}
	}
	t.answer(v, cells, l)
	return nil
}

// known reports whether the newest cells of each column tell what it was at the
// lookup's time: they do unless all that could be asked for are younger.
func known(cells []*hrpc.Cell, l *dimjoin.Lookup) bool {
	younger := map[string]int{}
	for _, c := range cells {
		if int64(*c.Timestamp) > l.AsOfMS {
			if younger[string(c.Qualifier)]++; younger[string(c.Qualifier)] == newest {
				return false
			}
		}
	}
	return true
}

// answer makes a row of the youngest cells that are no younger than the lookup's time.
func (t *Table) answer(v *version, cells []*hrpc.Cell, l *dimjoin.Lookup) {
	at := map[string]*hrpc.Cell{}
	history, size := t.def.History.Kept(), 0
	for _, c := range cells {
		ms := int64(*c.Timestamp)
		if history && ms > l.AsOfMS {
			l.ToMS = min(l.ToMS, ms)
			continue
		}
		if history {
			l.FromMS = max(l.FromMS, ms)
		}
		name := strings.TrimPrefix(string(c.Qualifier), v.mark)
		if before := at[name]; before == nil || *before.Timestamp < *c.Timestamp {
			at[name] = c
		}
	}
	if mark := at[rowColumn]; mark != nil {
		apply(mark, at)
	}
	if len(at) == 0 {
		return
	}
	row := make(mortise.Row, len(t.def.Fields))
	for i := range row {
		f := &t.def.Fields[i]
		row[i] = mortise.NullValue()
		c := at[f.Name]
		if c == nil {
			continue
		}
		size += len(c.Value)
		var ok bool
		if row[i], ok = dimjoin.ParseText(f.Type, append([]byte{}, c.Value...)); !ok { // its cell is a part of the whole answer
			l.Err = fmt.Errorf("field %s is the text %s, and %s is declared", f.Name, dimjoin.Excerpt(c.Value), f.Type)
			return
		}
	}
	if size > dimjoin.MaxRowBytes {
		l.Err = dimjoin.ErrTooLarge(size)
		return
	}
	if l.Err = dimjoin.FitRow(t.def.Fields, row); l.Err == nil {
		l.Row = row
	}
}

// ended is the mark of a row that is none from its time on. Others are the names of
// the fields that are null from then on, with a comma before each.
const ended = "-"

// apply takes the cells away that a mark ends: those that are no younger.
func apply(mark *hrpc.Cell, at map[string]*hrpc.Cell) {
	if string(mark.Value) == ended {
		for name, c := range at {
			if *c.Timestamp <= *mark.Timestamp {
				delete(at, name)
			}
		}
		return
	}
	for _, name := range strings.Split(string(mark.Value), ",") {
		if c := at[name]; c != nil && *c.Timestamp <= *mark.Timestamp {
			delete(at, name)
		}
	}
}
