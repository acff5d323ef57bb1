package pebble_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goPebble "github.com/cockroachdb/pebble/v2"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
)

// subject is a table of a test: one DB at a time, which Open, Writer and Versioned
// share where fields allow.
type subject struct {
	t   testing.TB
	def dimjoin.Definition
	db  *pebble.DB
}

func (s *subject) close() {
	if s.db != nil {
		if err := s.db.Close(); err != nil {
			s.t.Error(err)
		}
		s.db = nil
	}
}

// keep keeps the DB open for whoever is next.
func (s *subject) keep() error {
	if s.db != nil {
		return nil
	}
	var err error
	if s.db, err = pebble.Open(context.Background(), &s.def, pebble.Options{Create: true}); err == nil {
		s.t.Cleanup(s.close)
	}
	return err
}

// shared is a DB that its subject closes.
type shared struct{ *pebble.DB }

func (shared) Close() error { return nil }

func (s *subject) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	if s.db != nil {
		return shared{s.db}, nil
	}
	def := s.def
	def.Fields = fields
	db, err := pebble.Open(ctx, &def, pebble.Options{})
	if err != nil {
		return nil, err
	}
	return db, nil
}

func (s *subject) Writer(context.Context) (dimjoin.Writer, error) {
	if err := s.keep(); err != nil {
		return nil, err
	}
	return s.db.Writer(), nil
}

func (s *subject) Versioned(context.Context) (dimjoin.Versioned, error) {
	if err := s.keep(); err != nil {
		return nil, err
	}
	return s.db, nil
}

func (s *subject) Fill(t testing.TB, records []dimjoin.Record) {
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Writer().Write(context.Background(), records); err != nil {
		t.Fatal(err)
	}
	s.close()
}

func (s *subject) Remove(t testing.TB) {
	if err := os.RemoveAll(s.def.Store.Path); err != nil {
		t.Fatal(err)
	}
}

func store() dimjointest.Store {
	return dimjointest.Store{History: true, New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		def.Store = dimjoin.Store{Kind: "pebble", Path: filepath.Join(t.TempDir(), "table")}
		return &subject{t: t, def: def}
	}}
}

func TestConformance(t *testing.T) { dimjointest.Run(t, store()) }

func BenchmarkRead(b *testing.B) { dimjointest.Benchmark(b, store()) }

func TestOneProcessHasItOpen(t *testing.T) {
	s := store().New(t, dimjoin.Definition{Name: "item", Fields: mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}}}).(*subject)
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	for _, create := range []bool{false, true} {
		if _, err := pebble.Open(context.Background(), &s.def, pebble.Options{Create: create}); err == nil || !strings.Contains(err.Error(), "another process may have it open") {
			t.Errorf("opened twice: %v", err)
		}
	}
}

func TestWithoutTable(t *testing.T) {
	def := &dimjoin.Definition{Name: "item", Store: dimjoin.Store{Path: t.TempDir()}}
	if _, err := pebble.Open(context.Background(), def, pebble.Options{}); err == nil || !strings.Contains(err.Error(), "mortise load") {
		t.Errorf("an empty directory: %v", err)
	}
	if entries, err := os.ReadDir(def.Store.Path); err != nil || len(entries) > 1 { // a lock
		t.Errorf("it was filled: %v, %v", entries, err)
	}
	foreign, err := goPebble.Open(def.Store.Path, &goPebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err := pebble.Open(context.Background(), def, pebble.Options{}); err == nil {
		t.Error("a Pebble of something else was opened")
		db.Close()
	} else if !strings.Contains(err.Error(), "fill a new directory with mortise load") {
		t.Error(err)
	}
}

// Positions come and go with the rows that they belong to, version by version.
func TestWriteAt(t *testing.T) {
	ctx := context.Background()
	s := store().New(t, dimjoin.Definition{Name: "item", Key: []string{"id"}, Fields: mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}}}).(*subject)
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	record := func(n int64) []dimjoin.Record {
		return []dimjoin.Record{{Key: []byte("k"), Row: mortise.Row{mortise.IntValue(n)}}}
	}
	want := func(w *pebble.Writer, all string) {
		t.Helper()
		positions, err := w.Positions(ctx)
		got := string(positions["0"]) + "," + string(positions["1"])
		if err != nil || got != all {
			t.Errorf("positions %q, want %q (%v)", got, all, err)
		}
	}
	w := s.db.Writer()
	for n, positions := range []map[string][]byte{{"0": []byte("a")}, {"1": []byte("b")}, {"0": []byte("c"), "1": nil}} {
		if err := w.WriteAt(ctx, record(int64(n)), positions); err != nil {
			t.Fatal(err)
		}
	}
	want(w, "c,")
	next, err := s.db.Prepare(ctx, "next")
	if err != nil {
		t.Fatal(err)
	}
	want(next.(*pebble.Writer), ",")
	if err := next.(*pebble.Writer).WriteAt(ctx, record(7), map[string][]byte{"0": []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Switch(ctx, "next"); err != nil {
		t.Fatal(err)
	}
	s.close()
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	want(s.db.Writer(), "x,")
	if err := s.db.Drop(ctx, ""); err != nil {
		t.Fatal(err)
	}
}
