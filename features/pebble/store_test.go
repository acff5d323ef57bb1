package pebble_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/pebble"
)

// opener opens a store whose process ends by kill -9: everything that it handed to
// the operating system stays.
type opener struct {
	t  *testing.T
	fs *vfs.MemFS
	db *pebble.DB
}

func (o *opener) Open() (features.Store, error) {
	db, err := pebble.Open("/features", pebble.Options{FS: o.fs, MemTableBytes: 256 << 10})
	if err != nil {
		return nil, err
	}
	o.db = db
	return db, nil
}

func (o *opener) Crash() {
	if o.db == nil {
		return
	}
	after := o.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	if err := o.db.Close(); err != nil {
		o.t.Fatal(err)
	}
	o.fs, o.db = after, nil
}

func TestStore(t *testing.T) {
	featurestest.Run(t, func(t *testing.T) featurestest.Opener { return &opener{t: t, fs: vfs.NewCrashableMem()} })
}

func TestHot(t *testing.T) { featurestest.TestHot(t, open) }
