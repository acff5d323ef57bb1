package pebble_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
)

var _ dimjoin.Journal = (*pebble.DB)(nil)

// TestNotesBelongToTheVersion: a table that was filled anew knows nothing of what
// a change stream had made of the old one.
func TestNotesBelongToTheVersion(t *testing.T) {
	ctx := context.Background()
	db, err := pebble.Open(ctx, &crashDef, pebble.Options{Create: true, FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := crashRecord(1)[0].Key
	if err := db.Apply(ctx, &dimjoin.Commit{Records: crashRecord(1), Notes: []dimjoin.Note{{Key: key, Value: []byte("x")}}, Name: "p", Position: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	check := func(note, position string) {
		t.Helper()
		notes, err := db.Notes(ctx, [][]byte{key, []byte("other")})
		if err != nil || string(notes[0]) != note || notes[1] != nil {
			t.Errorf("notes %q, %v; want %q", notes, err, note)
		}
		if at, err := db.Position(ctx, "p"); err != nil || string(at) != position {
			t.Errorf("position %q, %v; want %q", at, err, position)
		}
	}
	check("x", "1")
	if _, err := db.Prepare(ctx, "v2"); err != nil {
		t.Fatal(err)
	}
	check("x", "1")
	if err := db.Switch(ctx, "v2"); err != nil {
		t.Fatal(err)
	}
	check("", "")
	if err := db.Drop(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if err := db.Apply(ctx, &dimjoin.Commit{Notes: []dimjoin.Note{{Key: key, Value: []byte("y")}}, Name: "p", Position: []byte("2")}); err != nil {
		t.Fatal(err)
	}
	check("y", "2")
	if err := db.Apply(ctx, &dimjoin.Commit{Notes: []dimjoin.Note{{Key: key}}, Name: "p"}); err != nil {
		t.Fatal(err)
	}
	check("", "")
}

// TestNothingIsLeftOfADroppedVersion: the next version, which may have its number,
// begins empty, and who still has the writer of the one that was dropped is told.
func TestNothingIsLeftOfADroppedVersion(t *testing.T) {
	ctx := context.Background()
	db, err := pebble.Open(ctx, &crashDef, pebble.Options{Create: true, FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	record := crashRecord(1)
	prepare := func(version string) dimjoin.Writer {
		t.Helper()
		w, err := db.Prepare(ctx, version)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Switch(ctx, version); err != nil {
			t.Fatal(err)
		}
		return w
	}
	prepare("v2")
	gone := prepare("v3")
	if err := db.Apply(ctx, &dimjoin.Commit{Records: record, Notes: []dimjoin.Note{{Key: record[0].Key, Value: []byte("x")}}, Name: "p", Position: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Switch(ctx, "v2"); err != nil {
		t.Fatal(err)
	}
	if err := db.Drop(ctx, "v3"); err != nil {
		t.Fatal(err)
	}
	if err := gone.Write(ctx, record); err == nil || !strings.Contains(err.Error(), "it was dropped") {
		t.Errorf("writing to what was dropped: %v", err)
	}
	prepare("v4")
	if err := gone.Write(ctx, record); err == nil || !strings.Contains(err.Error(), "it was dropped") {
		t.Errorf("writing to what was dropped, when its number is another's: %v", err)
	}
	l := []dimjoin.Lookup{{Key: record[0].Key, AsOfMS: dimjoin.Latest}}
	if err := db.Read(ctx, l); err != nil || l[0].Row != nil {
		t.Errorf("a row is left: %v, %v", l[0].Row, err)
	}
	notes, err := db.Notes(ctx, [][]byte{record[0].Key})
	if at, failed := db.Position(ctx, "p"); err != nil || failed != nil || notes[0] != nil || at != nil {
		t.Errorf("a note %q, a position %q are left: %v, %v", notes[0], at, err, failed)
	}
}
