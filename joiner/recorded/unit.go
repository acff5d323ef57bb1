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

	files    *Files
	from, to int64 // bytes of a plain file; to is -1 for a whole file
}

// Units cuts the files into pieces of about targetBytes, on disk, which several
// goroutines may read at once; a file of less is one piece. Only what is not
// compressed can be cut.
func (f *Files) Units(targetBytes int64) []Unit {
	var units []Unit
	add := func(file int, from, to int64) {
		units = append(units, Unit{Order: len(units), File: file, files: f, from: from, to: to})
	}
	for i, file := range f.files {
		pieces := int64(1)
		if file.plain && targetBytes > 0 {
			pieces = max(1, (file.sizeBytes+targetBytes/2)/targetBytes)
		}
		if pieces == 1 {
			add(i, 0, -1)
			continue
		}
		for p := range pieces {
			add(i, cut(file.sizeBytes, p, pieces), cut(file.sizeBytes, p+1, pieces))
		}
	}
	return units
}

// cut returns where the p-th of n equal pieces begins.
func cut(size, p, n int64) int64 { return size/n*p + min(size%n, p) }

// Open opens the unit's lines. What is read of them counts in Files.Progress.
func (u *Unit) Open() (RowReader, error) {
	file := u.files.files[u.File]
	if u.to < 0 {
		return file.rows(&u.files.read)
	}
	l, err := openPart(file, u.from, u.to, &u.files.read)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Bytes is the unit's size on disk; -1 when it cannot be known.
func (u *Unit) Bytes() int64 {
	if u.to < 0 {
		return u.files.files[u.File].sizeBytes
	}
	return u.to - u.from
}

// String names the unit for messages.
func (u *Unit) String() string {
	name := u.files.files[u.File].name
	if u.to < 0 {
		return name
	}
	return fmt.Sprintf("%s, bytes %d to %d", name, u.from, u.to)
}
