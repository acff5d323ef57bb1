package extsort

import "math"

// Record is one record of an input.
type Record struct {
	TimeMS int64 // event time, ms UTC
	// AheadMS is how far in event time its file had got when it came, beyond
	// TimeMS; see Ahead. Of equal times the record of the file that is less far
	// ahead comes first, which is the order in which a merge of the files, line by
	// line, delivers them.
	AheadMS  int32
	Lane     uint16 // orders records of one time; of all records of a unit the same
	Unit     uint32 // where it was read: orders records of one time and lane
	Position int64  // its place in the unit, at least 0
	Value    []byte
	Extra    []byte // the caller's; usually empty
}

// Ahead is the AheadMS of a record of a file that has got as far as maxMS. More
// than 24 days is as good as 24 days.
func Ahead(maxMS, timeMS int64) int32 {
	return int32(min(max(maxMS-timeMS, 0), math.MaxInt32))
}

// less is the order of records: by time, lane, how far ahead, unit and position.
func less(a, b *Record) bool {
	switch {
	case a.TimeMS != b.TimeMS:
		return a.TimeMS < b.TimeMS
	case a.Lane != b.Lane:
		return a.Lane < b.Lane
	case a.AheadMS != b.AheadMS:
		return a.AheadMS < b.AheadMS
	case a.Unit != b.Unit:
		return a.Unit < b.Unit
	}
	return a.Position < b.Position
}
