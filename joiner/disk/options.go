package disk

import (
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
)

// Options sets up a state directory. Zero fields take their defaults.
type Options struct {
	// FS is the file system. The default is the operating system's.
	FS vfs.FS
	// Sync makes every commit survive the loss of power, at the price of an
	// fsync of each file it wrote. The default is false: a commit survives the
	// end of the process, and after a loss of power what is left either
	// verifies or is an error wrapping joiner.ErrCorrupt.
	Sync bool
	// OpenFiles bounds the segment files that a store keeps open. The default is 256.
	OpenFiles int
	// FileBytes is the size at which a bucket goes on in a new file. The default,
	// and the most that a Ref can address, is 4 GiB less the largest block.
	FileBytes int64
	// Quiet keeps Pebble from compacting the manifest, and so from working in the
	// background, for simulations, which have to repeat. The default is false.
	Quiet bool
	// Gone, in simulations, is closed when the process that uses the directory has
	// ended, so that what stood still after a failed write can end too. The default,
	// nil, is never.
	Gone <-chan struct{}
}

const (
	maxBlockBytes = 64 << 20
	maxFileBytes  = math.MaxUint32 - 256<<20 // a block and one entry of the largest size still fit behind it
	labelBytes    = 64 << 10                 // unwritten labels of a bucket
	pebbleMem     = 1 << 20
	pebbleCache   = 2 << 20
)

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = 256
	}
	if o.FileBytes <= 0 || o.FileBytes > maxFileBytes {
		o.FileBytes = maxFileBytes
	}
}

func checkStoreOptions(o *joiner.StoreOptions) error {
	if max(o.BucketMS, o.CoarseMS) > math.MaxUint32 {
		return fmt.Errorf("bucket of %d ms: the longest is %d ms (49 days)", max(o.BucketMS, o.CoarseMS), uint32(math.MaxUint32))
	}
	if o.BlockBytes > maxBlockBytes {
		return fmt.Errorf("block of %d bytes: the largest is %d", o.BlockBytes, maxBlockBytes)
	}
	return nil
}
