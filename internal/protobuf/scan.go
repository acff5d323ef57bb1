package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
	"github.com/mortise-dev/mortise/internal/wire"
)

// Scanner reads wanted fields of messages of one type. Of a field that is there
// several times the last one counts, and messages that are split are put
// together, as Protobuf wants it: so it always reads to the end.
type Scanner struct {
	wants   []fields.Want
	found   []protoreflect.FieldDescriptor // of wants; nil for one that the schema does not have
	presets []preset
	late    []int // wants that have a preset only once the message that they lie in is there
	root    *message
	lists   [][]mortise.Value // per want
	listed  bool              // some want is a list
	text    []byte            // numbers of enums that have no name
	scans   uint64
	fails   string
}

var _ fields.Scanner = (*Scanner)(nil)

// Scan implements fields.Scanner.
func (s *Scanner) Scan(data []byte, _ bool, values []mortise.Value, fits []fields.Fit) error {
	s.begin(values, fits)
	if i := s.scan(s.root, data, values, fits); i < len(data) {
		if s.fails != "" {
			return fmt.Errorf("at byte %d of %d: the field %s is cut off or not what its schema says", i, len(data), s.fails)
		}
		return fmt.Errorf("at byte %d of %d: this is no Protobuf message", i, len(data))
	}
	if s.listed {
		for w := range s.lists {
			if list := s.lists[w]; len(list) > 0 && fits[w] == fields.OK {
				values[w] = mortise.ListValue(list)
			}
		}
	}
	return nil
}

func (s *Scanner) begin(values []mortise.Value, fits []fields.Fit) {
	const mostBytes, mostValues = 1 << 20, 1 << 14
	s.scans++
	s.fails = ""
	if s.text = s.text[:0]; cap(s.text) > mostBytes {
		s.text = nil
	}
	for w := range s.presets {
		values[w], fits[w] = s.presets[w].value, s.presets[w].fit
	}
	for _, w := range s.late {
		values[w], fits[w] = mortise.NullValue(), fields.Null
	}
	if s.listed {
		for w := range s.lists {
			if s.lists[w] = s.lists[w][:0]; cap(s.lists[w]) > mostValues {
				s.lists[w] = nil
			}
		}
	}
}

// scan reads a message and returns where it stopped: at its end, or before.
func (s *Scanner) scan(m *message, data []byte, values []mortise.Value, fits []fields.Fit) int {
	if m.seen != s.scans && m != s.root {
		for _, w := range m.preset {
			values[w], fits[w] = s.presets[w].value, s.presets[w].fit
		}
	}
	m.seen = s.scans
	i, hint := 0, 0
	for i < len(data) {
		number, typ, at := wire.Tag(data, i)
		if at < 0 {
			return i
		}
		f := m.find(number, &hint)
		var next int
		switch {
		case f == nil:
			next = wire.Skip(data, at, number, typ)
		default:
			next = s.field(f, data, at, typ, values, fits)
		}
		if next < 0 {
			if f != nil && s.fails == "" {
				s.fails = f.name
			}
			return i
		}
		i = next
	}
	return i
}

// find returns the field of a number, nil when it is not wanted. Fields come in
// the order of their numbers, nearly always: hint is where the next one is.
func (m *message) find(number int32, hint *int) *field {
	h := *hint
	for h < len(m.fields) && m.fields[h].number < number {
		h++
	}
	for h > 0 && m.fields[h-1].number >= number {
		h--
	}
	*hint = h
	if h < len(m.fields) && m.fields[h].number == number {
		return &m.fields[h]
	}
	return nil
}

// field reads one occurrence of a field and returns where it ends.
func (s *Scanner) field(f *field, data []byte, i int, typ wire.Type, values []mortise.Value, fits []fields.Fit) int {
	for _, other := range f.clears {
		s.clear(other, values, fits)
	}
	if f.inner != nil {
		if typ != wire.Bytes {
			return wire.Skip(data, i, f.number, typ)
		}
		body, next := wire.Text(data, i)
		if next < 0 || s.scan(f.inner, body, values, fits) < len(body) {
			return -1
		}
		if len(f.wants) == 0 {
			return next
		}
	}
	if f.leaf.repeated {
		return s.repeated(f, data, i, typ, fits)
	}
	if f.parts.seen != s.scans {
		f.parts = parts{seen: s.scans}
	}
	raw, text, next, ok := f.leaf.read(&f.parts, data, i, f.number, typ)
	if !ok {
		return next // of another wire type: as good as a field that nobody knows
	}
	for _, w := range f.wants {
		if fits[w] = s.convert(&values[w], &f.leaf, raw, text, w); fits[w] != fields.OK {
			values[w] = mortise.NullValue()
		}
	}
	return next
}

// clear makes a field one that was not met.
func (s *Scanner) clear(f *field, values []mortise.Value, fits []fields.Fit) {
	f.parts.seen = 0
	for _, w := range f.wants {
		values[w], fits[w], s.lists[w] = mortise.NullValue(), fields.Null, s.lists[w][:0]
	}
	if m := f.inner; m != nil {
		m.seen = 0
		for _, w := range m.below {
			if s.presets[w].fit != fields.Missing {
				values[w], fits[w] = mortise.NullValue(), fields.Null
			}
		}
		for i := range m.fields {
			s.clear(&m.fields[i], values, fits)
		}
	}
}

// repeated reads an element of a list, or many that are packed.
func (s *Scanner) repeated(f *field, data []byte, i int, typ wire.Type, fits []fields.Fit) int {
	l := &f.leaf
	single := wireType(l)
	if typ == wire.Bytes && single != wire.Bytes {
		packed, next := wire.Text(data, i)
		for k := 0; next >= 0 && k < len(packed); {
			raw, _, at, _ := l.read(nil, packed, k, f.number, single)
			if at < 0 {
				return -1
			}
			s.add(f, raw, nil, fits)
			k = at
		}
		return next
	}
	f.parts = parts{} // an element is whole
	raw, text, next, ok := l.read(&f.parts, data, i, f.number, typ)
	if ok {
		s.add(f, raw, text, fits)
	}
	return next
}

func (s *Scanner) add(f *field, raw uint64, text []byte, fits []fields.Fit) {
	for _, w := range f.wants {
		at := len(s.lists[w])
		s.lists[w] = append(s.lists[w], mortise.Value{})
		v := &s.lists[w][at]
		switch fit := s.convert(v, &f.leaf, raw, text, w); {
		case fit != fields.OK:
			fits[w] = fit
		case s.wants[w].NullItems && v.Kind == mortise.Float && v.Float() != v.Float():
			*v = mortise.NullValue()
		}
	}
}

// Found implements fields.Scanner.
func (s *Scanner) Found(want int) string {
	fd := s.found[want]
	if fd == nil {
		return "no such field"
	}
	text := fd.Kind().String()
	switch {
	case fd.IsMap():
		return "a map"
	case fd.Kind() == protoreflect.MessageKind:
		text = "message " + string(fd.Message().FullName())
	case fd.Kind() == protoreflect.EnumKind:
		text = "enum " + string(fd.Enum().FullName())
	}
	if fd.Cardinality() == protoreflect.Repeated {
		return "repeated " + text
	}
	return text
}
