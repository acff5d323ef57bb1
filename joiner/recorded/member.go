package recorded

import (
	"strings"

	mortise "github.com/mortise-dev/mortise"
)

// Member is one field of records that are made of columns, and one member of
// the JSON objects that they become.
type Member struct {
	// Path is where it lies in the object: its name, and those of objects around it.
	Path []string
	// Column is the file's column, by the name that Table.Columns gives it.
	Column string
	// Type is the declared type. Its kind is Invalid for columns that nobody
	// declares: those become what comes nearest.
	Type mortise.Type
	// TimeUnit is the event time's: s, ms, us, ns or rfc3339. It is empty for all
	// others, whose times are in ms.
	TimeUnit string

	field string // as declared
	name  []byte // the last of Path, quoted, and a colon
}

// Column is a column of a file. Path is its name, or those of the groups that it
// lies in and its own; Name is these with dots between them.
type Column struct {
	Name string
	Path []string
}

func (m *Member) declared() bool { return m.Type.Kind != mortise.Invalid }

// isTop reports whether it lies in no object but the record.
func (m *Member) isTop() bool { return len(m.Path) == 1 }

func (m *Member) quoted() []byte { return m.name[:len(m.name)-1] }

// find finds the member's column: by where the field lies, with dots between the
// names, or else by the field's own name.
func (m *Member) find(columns []Column) bool {
	for _, name := range []string{strings.Join(m.Path, "."), m.field} {
		for _, c := range columns {
			if c.Name == name {
				m.Column = name
				return true
			}
		}
	}
	return false
}

func newMember(path []string) Member {
	last := path[len(path)-1]
	return Member{Path: path, name: append(AppendString(nil, []byte(last)), ':')}
}

// Members are what is read of columns, where a file has them: the declared
// fields in their order, and the event time.
func (o *Options) Members() (all []Member) {
	add := func(name string, typ mortise.Type) {
		path := o.From[name]
		if path == nil {
			path = []string{name}
		}
		m := newMember(path)
		m.field, m.Column, m.Type = name, strings.Join(path, "."), typ
		if name == o.TimeField {
			m.TimeUnit = o.TimeUnit
		}
		all = append(all, m)
	}
	for _, f := range o.Fields {
		add(f.Name, f.Type)
	}
	if o.TimeField != "" && o.Fields.Index(o.TimeField) < 0 {
		add(o.TimeField, mortise.Type{})
	}
	return all
}

const hexDigits = "0123456789abcdef"

// escaped marks the bytes that JSON strings hold escaped.
var escaped = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// AppendString appends text as a JSON string. Bytes that are not UTF-8 stay as
// they are: whoever reads the string refuses it.
func AppendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range text {
		if !escaped[c] {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}
