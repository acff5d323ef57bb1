package pebble_test

import (
	"testing"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/pebble"
)

// open opens a store in a directory of the benchmark.
func open(b testing.TB) features.Store {
	db, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

func BenchmarkWrite(b *testing.B) { featurestest.BenchmarkWrite(b, open) }
func BenchmarkRead(b *testing.B)  { featurestest.BenchmarkRead(b, open) }

func BenchmarkShards(b *testing.B) { featurestest.BenchmarkShards(b, open) }

func BenchmarkSize(b *testing.B) {
	featurestest.BenchmarkSize(b, func(b *testing.B) (features.Store, func() int64) {
		store := open(b).(*pebble.DB)
		return store, func() int64 {
			if err := store.Flush(); err != nil {
				b.Fatal(err)
			}
			return store.DiskBytes()
		}
	})
}
