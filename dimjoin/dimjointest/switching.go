package dimjointest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// generation is a table whose every row says which version it is of.
func generation(version, keys int) (out []dimjoin.Record) {
	for i := range keys {
		out = append(out, record(mortise.Row{mortise.IntValue(int64(version))}, numbered(i)))
	}
	return out
}

func switching(t *testing.T, s *Store) (Subject, dimjoin.Versioned) {
	t.Helper()
	subject := s.New(t, items(schema("version", "int")))
	switching, ok := subject.(Switching)
	if !ok {
		return nil, nil
	}
	v, err := switching.Versioned(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return subject, v
}

// fill writes a version.
func fill(t *testing.T, v dimjoin.Versioned, name string, records []dimjoin.Record) {
	t.Helper()
	ctx := context.Background()
	writer, err := v.Prepare(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(records); at += 50 {
		if err := writer.Write(ctx, records[at:min(len(records), at+50)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
}

func current(t *testing.T, v dimjoin.Versioned, want string) {
	t.Helper()
	if got, err := v.Current(context.Background()); err != nil || got != want {
		t.Errorf("the current version is %q, want %q (%v)", got, want, err)
	}
}

// While versions are switched every batch is of one of them, never of an older one
// than a batch before it.
func testSwitched(t *testing.T, s *Store) {
	subject, v := switching(t, s)
	if v == nil {
		return
	}
	const keys, readers = 150, 4
	versions := max(3, 12/s.Scale)
	ctx := context.Background()
	current(t, v, "")
	fill(t, v, "v1", generation(1, keys))
	if err := v.Switch(ctx, "v1"); err != nil {
		t.Fatal(err)
	}
	current(t, v, "v1")
	table := mustOpen(t, subject, schema("version", "int"))
	done := make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() { readSwitched(t, table, keys, versions, done) })
	}
	for n := 2; n <= versions; n++ {
		name := fmt.Sprint("v", n)
		fill(t, v, name, generation(n, keys))
		if err := v.Switch(ctx, name); err != nil {
			t.Error(err)
		}
		if n > 2 {
			if err := v.Drop(ctx, fmt.Sprint("v", n-2)); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	group.Wait()
	current(t, v, fmt.Sprint("v", versions))
	if err := v.Drop(ctx, fmt.Sprint("v", versions)); err == nil {
		t.Error("the version that readers see was dropped")
	}
	for _, missing := range []string{"v0", "never"} {
		if err := v.Switch(ctx, missing); err == nil {
			t.Errorf("switched to %s, which was never filled", missing)
		}
	}
	lookups := numberedLookups(0, keys+1)
	newOracle(&dimjoin.Definition{}, generation(versions, keys)).check(t, table, lookups)
}

// readSwitched reads batches until done is closed, and once more, which is of the
// last version.
func readSwitched(t *testing.T, table dimjoin.Table, keys, versions int, done <-chan struct{}) {
	last := int64(1)
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		lookups := numberedLookups(0, keys)
		if err := table.Read(context.Background(), lookups); err != nil {
			t.Error(err)
			return
		}
		for i := range lookups {
			l := &lookups[i]
			if l.Err != nil || l.Row == nil || l.Row[0].Int() != lookups[0].Row[0].Int() {
				t.Errorf("key %q is %s, %v, in a batch of version %s", l.Key, show(l.Row), l.Err, show(lookups[0].Row))
				return
			}
		}
		if now := lookups[0].Row[0].Int(); now < last {
			t.Errorf("version %d after %d", now, last)
		} else {
			last = now
		}
	}
	if int(last) != versions {
		t.Errorf("the last batch is of version %d, want %d", last, versions)
	}
}

// A version that was begun goes on; one that is dropped begins anew; nobody sees
// either before the switch.
func testResumed(t *testing.T, s *Store) {
	subject, v := switching(t, s)
	if v == nil {
		return
	}
	ctx := context.Background()
	first, second := generation(1, 120), generation(2, 120)
	fill(t, v, "a", first)
	if err := v.Switch(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	table := mustOpen(t, subject, schema("version", "int"))
	fill(t, v, "b", generation(9, 120))
	if err := v.Drop(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := v.Drop(ctx, "b"); err != nil {
		t.Errorf("dropping what is not there: %v", err)
	}
	fill(t, v, "b", second[:60])
	o := newOracle(&dimjoin.Definition{}, first)
	o.check(t, table, numberedLookups(0, 121))
	fill(t, v, "b", second[60:100])
	current(t, v, "a")
	if err := v.Switch(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	newOracle(&dimjoin.Definition{}, second[:100]).check(t, table, numberedLookups(0, 121))
	if err := v.Switch(ctx, "a"); err != nil { // and back
		t.Fatal(err)
	}
	current(t, v, "a")
	o.check(t, table, numberedLookups(0, 121))
}
