package hbase

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tsuna/gohbase/hrpc"

	"github.com/mortise-dev/mortise/dimjoin"
)

// writer writes the rows of a version. Without history it gives cells the clock's time, later for
// each write; with it, the records'.
type writer struct {
	t       *Table
	version *version

	mu     sync.Mutex
	lastMS int64
}

// Writer writes the version that is current now.
func (t *Table) Writer(ctx context.Context) (dimjoin.Writer, error) {
	v, err := t.readVersion(ctx)
	if err != nil {
		return nil, t.fail("reading the version of", err)
	}
	return &writer{t: t, version: v}, nil
}

// Write implements dimjoin.Writer. Each row is written as a whole.
func (w *writer) Write(ctx context.Context, records []dimjoin.Record) error {
	if err := ctx.Err(); err != nil {
		return w.t.fail("writing to", err)
	}
	type place struct {
		key string
		ms  int64
	}
	history := w.t.def.History.Kept()
	last := map[place]int{}
	for i := range records {
		p := place{key: string(records[i].Key)}
		if history {
			p.ms = records[i].FromMS
		}
		last[p] = i
	}
	todo := make([]int, 0, len(last))
	for _, i := range last {
		todo = append(todo, i)
	}
	ms := w.tick()
	err := w.t.each(len(todo), func(i int) error {
		r := &records[todo[i]]
		if history {
			return w.put(ctx, r, r.FromMS)
		}
		return w.put(ctx, r, ms)
	})
	if err != nil {
		return w.t.fail("writing to", err)
	}
	return nil
}

// tick is a time later than that of every write before.
func (w *writer) tick() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastMS = max(w.lastMS+1, w.t.opts.Now().UnixMilli())
	return w.lastMS
}

func (w *writer) put(ctx context.Context, r *dimjoin.Record, ms int64) error {
	if len(r.Key) > maxKeyBytes {
		return fmt.Errorf("the key %s has %d bytes, and HBase's have %d at most", dimjoin.Excerpt(r.Key), len(r.Key), maxKeyBytes)
	}
	if ms == dimjoin.Always {
		ms = 0 // there is nothing older
	}
	if ms < 0 {
		return errors.New("a row is valid from before 1970, which HBase's timestamps cannot say")
	}
	cells, mark := map[string][]byte{}, []byte{}
	for i, v := range r.Row {
		name := w.t.def.Fields[i].Name
		if v.IsNull() {
			mark = append(append(mark, ','), name...)
			continue
		}
		cells[w.version.column(name)] = dimjoin.AppendText([]byte{}, v)
	}
	if r.Row == nil {
		mark = []byte(ended)
	}
	cells[w.version.column(rowColumn)] = mark
	m, err := hrpc.NewPut(ctx, []byte(w.t.def.Store.HBase.Table), rowKey(r.Key), map[string]map[string][]byte{w.t.family: cells}, hrpc.TimestampUint64(uint64(ms)))
	if err != nil {
		return err
	}
	_, err = w.t.client.Put(m)
	return err
}

// Close implements dimjoin.Writer. The table stays open.
func (w *writer) Close() error { return nil }
