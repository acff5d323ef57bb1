package pebble_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/pebble"
)

// TestRemovedTakesNoSpace removes most of a task's features: the next commit drops
// their tiles, and what they took on disk is free soon after.
func TestRemovedTakesNoSpace(t *testing.T) {
	ctx := context.Background()
	db, err := pebble.Open(t.TempDir(), pebble.Options{MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	day := 24 * time.Hour
	stays := featurestest.Define("stays", "views", "count", "", day, time.Hour, "item")
	gone := featurestest.Define("gone", "views", "last_n(brand, 9)", "", 30*day, time.Minute, "user")
	add := func(events int, defs ...features.Definition) {
		t.Helper()
		l := featurestest.NewLoad(defs, 500, 1, false)
		w, err := features.OpenWriter(ctx, l.Set, db, features.WriterOptions{Task: "t", Slot: featurestest.Slot, SinceMS: math.MinInt64})
		if err != nil {
			t.Fatal(err)
		}
		l.Add(t, w, events, 2000)
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	add(20_000, stays, gone)
	before := db.DiskBytes()
	add(1, stays)
	for began := time.Now(); db.DiskBytes() > before/2; <-time.After(5 * time.Millisecond) { // Pebble compacts in the background
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%d bytes on disk, before %d", db.DiskBytes(), before)
		}
	}
	t.Logf("%d bytes on disk, before %d", db.DiskBytes(), before)
}
