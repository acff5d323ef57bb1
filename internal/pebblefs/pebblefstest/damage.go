// Package pebblefstest damages the files of a Pebble, for the tests of its users. It
// belongs to no stage.
package pebblefstest

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// DamageTables flips bytes all over those of the tables that Pebble keeps in dir that
// are not damaged yet, where they lie: who has them open reads the damage.
func DamageTables(t *testing.T, fs vfs.FS, dir string, damaged map[string]bool) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") || damaged[name] {
			continue
		}
		f, err := fs.OpenReadWrite(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			continue // it is gone by now
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, info.Size())
		if n, err := f.ReadAt(data, 0); err != nil || n < len(data) {
			data = nil // it is being made
		}
		for i := 100; i < len(data)-200; i += 501 {
			if _, err := f.WriteAt([]byte{data[i] ^ 0x20}, int64(i)); err != nil {
				t.Fatal(err)
			}
			damaged[name] = true
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
