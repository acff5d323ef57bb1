package dataset

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Where things lie below the dataset's folder. What readers look for:
//
//	dt=2026-01-31/hour=07/part-p00003-120-980.parquet  rows of the offsets [120, 980) of partition 3
//	dt=2026-01-31/hour=07/_SUCCESS                     the hour has all its rows
//
// And what writers agree by; readers pass over names that begin with "_":
//
//	_mortise/dataset.json                              whose rows these are
//	_mortise/columns/000001.json                       the columns so far, a new one for each change
//	_mortise/parts/p00003/9223372036854775687-120.json a part that has been begun: where it ends, its files
//	_mortise/parts/p00003/9223372036854775687-120.done all of its files are there
//	_mortise/parts/s0003-of-0016/end.json              a batch's split has all its parts
//	_mortise/folders/dt=2026-01-31/hour=07/rows        the folder has, or had, rows
//	_mortise/folders/dt=2026-01-31/hour=07/complete    and _SUCCESS
//
// Parts begin with what is left from their offset to the greatest: the newest is
// listed first, so that finding it takes one request, however many there are.
const (
	ownFolder     = "_mortise/"
	identityKey   = ownFolder + "dataset.json"
	columnsFolder = ownFolder + "columns/"
	partsFolder   = ownFolder + "parts/"
	foldersFolder = ownFolder + "folders/"
	successName   = "_SUCCESS"
	fileSuffix    = ".parquet"
	intentSuffix  = ".json"
	doneSuffix    = ".done"
	endName       = "end.json"
	rowsName      = "rows"
	completeName  = "complete"
)

func columnsKey(n int) string { return fmt.Sprintf("%s%06d.json", columnsFolder, n) }

func originFolder(origin string) string { return partsFolder + origin + "/" }

func intentKey(origin string, from int64) string {
	return originFolder(origin) + partName(from) + intentSuffix
}

func doneKey(origin string, from int64) string {
	return originFolder(origin) + partName(from) + doneSuffix
}

func partName(from int64) string { return fmt.Sprintf("%019d-%d", math.MaxInt64-from, from) }

func endKey(origin string) string { return originFolder(origin) + endName }

// fileKey names the file of a part's rows of one folder.
func fileKey(folder, origin string, from, to int64) string {
	return fmt.Sprintf("%spart-%s-%d-%d%s", folder, origin, from, to, fileSuffix)
}

// marker is the name of an object below an origin's folder.
type marker struct {
	origin string
	from   int64
	suffix string // intentSuffix, doneSuffix or endName
}

// parseMarker reads a key below partsFolder. Other things may lie there: they are
// no markers.
func parseMarker(key string) (m marker, ok bool) {
	origin, name, ok := strings.Cut(strings.TrimPrefix(key, partsFolder), "/")
	if !ok || !originPattern.MatchString(origin) {
		return marker{}, false
	}
	if name == endName {
		return marker{origin: origin, suffix: endName}, true
	}
	m.origin = origin
	for _, m.suffix = range []string{intentSuffix, doneSuffix} {
		if base, found := strings.CutSuffix(name, m.suffix); found {
			_, digits, _ := strings.Cut(base, "-")
			var err error
			m.from, err = strconv.ParseInt(digits, 10, 64)
			return m, err == nil && m.from >= 0 && base == partName(m.from)
		}
	}
	return marker{}, false
}

const (
	hourMS = 60 * 60 * 1000
	dayMS  = 24 * hourMS
)

// spanMS is the time that one folder's rows lie in; 0 when there is one folder.
func (o *Options) spanMS() int64 {
	switch len(o.Partition) {
	case 0:
		return 0
	case 1:
		return dayMS
	}
	return hourMS
}

// slotOf numbers the folder of an event time.
func slotOf(timeMS, spanMS int64) int64 {
	if spanMS == 0 {
		return 0
	}
	slot := timeMS / spanMS
	if timeMS%spanMS < 0 {
		slot--
	}
	return slot
}

// folderOf is the folder of a slot, with its slash; empty when there is one folder.
func folderOf(slot, spanMS int64) string {
	at := time.UnixMilli(slot * spanMS).UTC()
	switch spanMS {
	case 0:
		return ""
	case dayMS:
		return at.Format("dt=2006-01-02/")
	}
	return at.Format("dt=2006-01-02/hour=15/")
}

// Folder is the folder, with its slash, that a dataset with these Options puts the
// rows of an event time into; empty when there is one folder.
func (o *Options) Folder(timeMS int64) string {
	return folderOf(slotOf(timeMS, o.spanMS()), o.spanMS())
}

var folderPattern = regexp.MustCompile(`^dt=(\d{4}-\d\d-\d\d)/(?:hour=(\d\d)/)?$`)

// parseFolder returns the slot of a folder of this layout.
func parseFolder(folder string, spanMS int64) (slot int64, ok bool) {
	if spanMS == 0 {
		return 0, folder == ""
	}
	m := folderPattern.FindStringSubmatch(folder)
	if len(m) == 0 || (m[2] != "") != (spanMS == hourMS) {
		return 0, false
	}
	layout, text := "2006-01-02", m[1]
	if m[2] != "" {
		layout, text = layout+" 15", text+" "+m[2]
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		return 0, false
	}
	return slotOf(at.UnixMilli(), spanMS), true
}
