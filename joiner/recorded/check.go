package recorded

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// checkAtOnce is how many files are looked at together: far ones take their time.
const checkAtOnce = 16

// keptBytes bounds the first line that is kept of a file, so that Merge need not
// open it again for that.
const keptBytes = 16 << 10

// checkAll looks into every file, and then at how they agree.
func checkAll(files []*file, o *Options) error {
	faults := forEach(files, func(f *file) error {
		err := f.check(o)
		f.sound = err == nil
		return err
	})
	for _, fault := range faults {
		var misfit *ColumnError
		if errors.As(fault, &misfit) {
			misfit.Elsewhere = having(files, misfit.Column)
		}
	}
	if len(faults) == 0 {
		for _, f := range files {
			if err := f.checkColumns(o, files); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return summary(faults, len(files))
}

// readFirst reads the first rows of files that check did not read that far.
func readFirst(files []*file, o *Options) error {
	return summary(forEach(files, func(f *file) error {
		if f.format != columnar || f.empty || f.first != nil {
			return nil
		}
		r, err := f.rows(o, new(atomic.Int64))
		if err != nil {
			return err
		}
		defer r.Close()
		return f.keep(r.Next())
	}), len(files))
}

// forEach calls each for several files at once, and returns its errors in order.
func forEach(files []*file, each func(f *file) error) []error {
	faults := make([]error, len(files))
	var wg sync.WaitGroup
	slots := make(chan struct{}, checkAtOnce)
	for i, f := range files {
		slots <- struct{}{}
		wg.Go(func() {
			faults[i] = each(f)
			<-slots
		})
	}
	wg.Wait()
	return slices.DeleteFunc(faults, func(err error) bool { return err == nil })
}

// summary makes one error of those of several files.
func summary(faults []error, files int) error {
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	}
	return fmt.Errorf("%w (and %d more of %d files cannot be read either)", faults[0], len(faults)-1, files)
}

// check finds out the file's format and reads its beginning, if it can be read
// again.
func (f *file) check(o *Options) error {
	if f.sizeBytes < 0 {
		return nil
	}
	f.format, _ = formatOf(f.name)
	if f.format == columnar {
		return f.checkTable(o)
	}
	t, err := openText(f, new(atomic.Int64))
	if err != nil && errors.Is(err, parquetText) {
		f.format = columnar
		return f.checkTable(o)
	}
	if err != nil {
		return err
	}
	f.packed = t.format
	r, err := f.textRows(t, o)
	if err != nil {
		return err
	}
	defer r.Close()
	if c, ok := r.(*csvRows); ok {
		f.columns = c.columns
	}
	return f.keep(r.Next())
}

// keep notes the file's first line, if it is short, or that there is none.
func (f *file) keep(line Line, err error) error {
	if f.empty = errors.Is(err, io.EOF); f.empty {
		return nil
	}
	if err == nil && len(line.Data) < keptBytes {
		line.Data = slices.Clone(line.Data)
		f.first = &line
	}
	return err
}

// checkTable reads the file's footer.
func (f *file) checkTable(o *Options) error {
	t, r, err := f.openTable(o)
	if err != nil {
		return err
	}
	defer r.Close()
	f.columns, f.groups = t.Columns(), t.Groups()
	f.empty = total(f.groups).Rows == 0
	members, _ := f.members(o, f.columns)
	for i := range members {
		if err := t.Fit(&members[i]); err != nil && (members[i].declared() || members[i].TimeUnit != "") {
			return &ColumnError{File: f.name, Column: members[i].Column, Err: err}
		}
	}
	return nil
}

// checkColumns looks for the columns that every record needs. A CSV file without
// a line of names holds nothing.
func (f *file) checkColumns(o *Options, files []*file) error {
	if f.format == jsonLines || len(f.columns) == 0 {
		return nil
	}
	for _, m := range o.Members() {
		there := m.find(f.columns)
		if n := count(f.columns, m.Column); n > 1 {
			return fmt.Errorf("%s has %d columns of the name %s: rename all but one", f.name, n, m.Column)
		}
		needed := m.declared() && !m.Type.Nullable || m.TimeUnit != ""
		if there || !needed || foldersOf(f.name, []Member{m}) != nil {
			continue
		}
		return &MissingColumnError{File: f.name, Column: m.Column, Type: m.Type.String(), Has: names(f.columns), Elsewhere: having(files, m.Column), isTime: m.TimeUnit != "", separator: f.format == commas}
	}
	return nil
}

// having names the first file that has the column, as it should be; empty when
// none has.
func having(files []*file, column string) string {
	for _, f := range files {
		if f.sound && count(f.columns, column) > 0 {
			return f.name
		}
	}
	return ""
}

func count(columns []Column, name string) (n int) {
	for _, c := range columns {
		if c.Name == name {
			n++
		}
	}
	return n
}

func names(columns []Column) (all []string) {
	for _, c := range columns {
		all = append(all, c.Name)
	}
	return all
}

// ColumnError says that a column is of a type that can never be the declared one.
type ColumnError struct {
	File, Column string
	Elsewhere    string // another input file where it fits; empty when there is none
	Err          error  // what it holds, and what was declared
}

// Error names the file, the column, the types, and where it fits.
func (e *ColumnError) Error() string {
	if e.Elsewhere == "" {
		return fmt.Sprintf("%s: column %s: %v", e.File, e.Column, e.Err)
	}
	return fmt.Sprintf("%s: column %s: %v (in %s it fits)", e.File, e.Column, e.Err, e.Elsewhere)
}

// Unwrap returns the error of the file's format.
func (e *ColumnError) Unwrap() error { return e.Err }

// MissingColumnError says that a file lacks a column that every record needs.
type MissingColumnError struct {
	File, Column string
	Type         string   // declared; invalid if it is not
	Has          []string // the file's columns
	Elsewhere    string   // another input file that has the column; empty when none has

	isTime, separator bool
}

// Error names the file, the column, where else it is, and what to do.
func (e *MissingColumnError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has no column %s, which ", e.File, e.Column)
	if e.isTime {
		b.WriteString("is the event time")
	} else {
		b.WriteString("the source declares as " + e.Type)
	}
	if e.Elsewhere != "" {
		fmt.Fprintf(&b, "; %s has it", e.Elsewhere)
	}
	const most = 20
	has := e.Has
	if len(has) > most {
		has = append(slices.Clone(has[:most]), "…")
	}
	fmt.Fprintf(&b, ". The file's columns are %s", strings.Join(has, ", "))
	for _, name := range e.Has {
		if strings.EqualFold(name, e.Column) {
			fmt.Fprintf(&b, ": names match exactly, so rename %s", name)
			return b.String()
		}
	}
	if len(e.Has) == 1 && e.separator && strings.ContainsAny(e.Has[0], ";\t|") {
		b.WriteString(": the separator of .csv files is the comma, that of .tsv the tab")
		return b.String()
	}
	if e.isTime {
		b.WriteString(": leave the file out, or rename the column that is")
	} else {
		b.WriteString(": leave the file out, or declare the field with ? if it may be missing")
	}
	return b.String()
}
