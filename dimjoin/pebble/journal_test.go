package pebble_test

import (
	"context"
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
