package recorded

import "fmt"

// Unit is a piece of the files that one goroutine reads: a file, or a part of
// one. Units together hold every line once.
type Unit struct {
	// Order is the unit's place among its Files' units, from 0: in order of file,
	// then of position. Lines in the order (Order, Position) stand as Next gives
	// them, however the files were cut.
	Order int
	// File is the index of its file in Paths.
	File int

	files     *Files
	from, to  int64 // bytes of plain JSON lines, or row groups of Parquet; to is -1 for a whole file
	sizeBytes int64
}

// Units cuts the files into pieces of about targetBytes, on disk, which several
// goroutines may read at once; a file of less is one piece, and every file if
// targetBytes is 0. JSON lines that are
// not compressed can be cut anywhere, Parquet between its row groups, and other
// files not.
func (f *Files) Units(targetBytes int64) []Unit {
	var units []Unit
	for i, file := range f.files {
		for _, u := range file.pieces(targetBytes) {
			u.Order, u.File, u.files = len(units), i, f
			units = append(units, u)
		}
	}
	return units
}

func (f *file) pieces(targetBytes int64) (units []Unit) {
	n := int64(1)
	if targetBytes > 0 {
		n = (f.sizeBytes + targetBytes/2) / targetBytes
	}
	switch {
	case n > 1 && f.format == jsonLines && f.packed == plainText:
		for p := range n {
			from, to := cut(f.sizeBytes, p, n), cut(f.sizeBytes, p+1, n)
			units = append(units, Unit{from: from, to: to, sizeBytes: to - from})
		}
	case n > 1 && len(f.groups) > 1:
		from := 0
		for to := 1; to <= len(f.groups); to++ {
			sizeBytes := f.groupBytes(f.groups, to) - f.groupBytes(f.groups, from)
			if sizeBytes >= targetBytes || to == len(f.groups) {
				units = append(units, Unit{from: int64(from), to: int64(to), sizeBytes: sizeBytes})
				from = to
			}
		}
	default:
		units = []Unit{{to: -1, sizeBytes: f.sizeBytes}}
	}
	return units
}

// cut returns where the p-th of n equal pieces begins.
func cut(size, p, n int64) int64 { return size/n*p + min(size%n, p) }

// Open opens the unit's lines. What is read of them counts in Files.Progress.
func (u *Unit) Open() (RowReader, error) {
	file, o, read := u.files.files[u.File], &u.files.opts, &u.files.read
	switch {
	case u.to < 0:
		return file.rows(o, read)
	case file.format == columnar:
		return file.tableRows(o, int(u.from), int(u.to), read)
	}
	t, err := openPart(file, u.from, u.to, read)
	if err != nil {
		return nil, err
	}
	return file.textRows(t, o)
}

// Bytes is the unit's size on disk; -1 when it cannot be known.
func (u *Unit) Bytes() int64 { return u.sizeBytes }

// String names the unit for messages.
func (u *Unit) String() string {
	file := u.files.files[u.File]
	switch {
	case u.to < 0:
		return file.name
	case file.format == columnar:
		return fmt.Sprintf("%s, row groups %d to %d", file.name, u.from, u.to-1)
	}
	return fmt.Sprintf("%s, bytes %d to %d", file.name, u.from, u.to)
}
