package disk

import "github.com/cockroachdb/pebble/v2"

// noCompactions is Pebble's compaction scheduler under Options.Quiet: it never
// lets one run, and has no ticker as Pebble's own has.
type noCompactions struct{}

func (noCompactions) Register(int, pebble.DBForCompaction) {}
func (noCompactions) Unregister()                          {}
func (noCompactions) UpdateGetAllowedWithoutPermission()   {}
func (noCompactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	return false, nil
}
