package recorded

import (
	mortise "github.com/mortise-dev/mortise"
)

// Member is one field of records that are made of columns, and one member of
// the JSON objects that they become.
type Member struct {
	Name string
	// Type is the declared type. Its kind is Invalid for columns that nobody
	// declares: those become what comes nearest.
	Type mortise.Type
	// TimeUnit is the event time's: s, ms, us, ns or rfc3339. It is empty for all
	// others, whose times are in ms.
	TimeUnit string

	prefix []byte // the name, quoted, and a colon
}

// AppendName appends the name as JSON and the colon behind it.
func (m *Member) AppendName(dst []byte) []byte { return append(dst, m.prefix...) }

func (m *Member) declared() bool { return m.Type.Kind != mortise.Invalid }

func (m *Member) quoted() []byte { return m.prefix[:len(m.prefix)-1] }

// member makes the member of a column that no field declares.
func (o *Options) member(name string) Member {
	m := Member{Name: name, prefix: append(AppendString(nil, []byte(name)), ':')}
	if name == o.TimeField {
		m.TimeUnit = o.TimeUnit
	}
	return m
}

// Members are what is read of columns, where a file has them: the declared fields in their order, and
// the event time.
func (o *Options) Members() (all []Member) {
	for _, f := range o.Fields {
		m := o.member(f.Name)
		m.Type = f.Type
		all = append(all, m)
	}
	if o.TimeField != "" && o.Fields.Index(o.TimeField) < 0 {
		all = append(all, o.member(o.TimeField))
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
