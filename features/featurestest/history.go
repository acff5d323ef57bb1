package featurestest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// History is a sequence of commits of one task, which a crash test repeats and
// then checks what it finds. Commit n adds one event to each of n%7+1 items, and
// says n in its position.
type History struct{ Task string }

var historySet = func() *features.Set {
	set, err := features.Compile([]features.Definition{
		Define("n", "views", "count", "", 24*time.Hour, time.Minute, "item"),
		Define("sum", "views", "sum(qty)", "", 24*time.Hour, time.Minute, "item"),
	}, Sources)
	if err != nil {
		panic(err)
	}
	return set
}()

func historyItems(commit int) int { return commit%7 + 1 }

// Writer opens the task, and says at which commit it is.
func (h History) Writer(store features.Store) (w *features.Writer, at int, err error) {
	w, err = features.OpenWriter(context.Background(), historySet, store, features.WriterOptions{Task: h.Task, Slot: Slot, SinceMS: math.MinInt64})
	if err != nil {
		return nil, 0, err
	}
	if meta := string(w.Position().Meta); meta != "" {
		at, err = strconv.Atoi(meta)
	}
	return w, at, err
}

// Commit does commit n.
func (h History) Commit(w *features.Writer, n int) error {
	for i := range historyItems(n) {
		row := make(mortise.Row, len(Row))
		row[Row.Index("item")], row[Row.Index("qty")] = mortise.StringValue(fmt.Sprint("i", i)), mortise.IntValue(int64(n))
		if err := w.Add(0, row, Base+int64(n%90)*60_000); err != nil {
			return err
		}
	}
	return w.Commit(context.Background(), fmt.Append(nil, n), math.MaxInt64)
}

// Check says at which commit the store is: every event up to there counts once, and
// none after it, or it returns an error.
func (h History) Check(store features.Store) (commit int, err error) {
	w, commit, err := h.Writer(store)
	if err != nil || !w.Began() {
		return 0, err
	}
	r, err := features.OpenReader(context.Background(), historySet, store, features.ReaderOptions{Tasks: [][]string{{h.Task}, {h.Task}}})
	if err != nil {
		return 0, err
	}
	if err := r.Refresh(context.Background()); err != nil {
		return 0, err
	}
	for i := range 8 {
		count, sum := 0, 0
		for n := 1; n <= commit; n++ {
			if i < historyItems(n) {
				count, sum = count+1, sum+n
			}
		}
		l := []features.Lookup{{Entity: fmt.Append(nil, "i", i), AsOfMS: Base + 6*3_600_000}}
		if err := r.Read(context.Background(), l); err != nil {
			return 0, err
		}
		if got := l[0].Values; got[0].Int() != int64(count) || got[1].Int() != int64(sum) {
			return 0, fmt.Errorf("item %d at commit %d: count %d and sum %d, want %d and %d", i, commit, got[0].Int(), got[1].Int(), count, sum)
		}
	}
	return commit, nil
}
