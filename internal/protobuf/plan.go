package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// message is a message in which something is wanted.
type message struct {
	fields []field // that are wanted or lead to what is, by number
	preset []int   // wants that have a value as soon as the message is there
	below  []int   // all wants in it
	seen   uint64  // the scan in which it was last met
}

// field is a field on the way to a want, or wanted itself.
type field struct {
	number int32
	leaf   leaf
	wants  []int
	inner  *message
	clears []*field // the other members of its oneof
	parts  parts    // of a wrapper or timestamp that comes in pieces
	name   string
}

// leaf is how a wanted field's value is laid out.
type leaf struct {
	kind      protoreflect.Kind // of a wrapper: what it wraps
	repeated  bool
	wrapper   bool // a google.protobuf.*Value: the value is its field 1
	timestamp bool // a google.protobuf.Timestamp
	enum      map[int32][]byte
}

// preset is what a want is before any field was read.
type preset struct {
	value mortise.Value
	fit   fields.Fit
}

// NewScanner makes a scanner of the wants in a message.
func NewScanner(m protoreflect.MessageDescriptor, wants []fields.Want) *Scanner {
	s := &Scanner{wants: wants, found: make([]protoreflect.FieldDescriptor, len(wants)), presets: make([]preset, len(wants)), lists: make([][]mortise.Value, len(wants))}
	all := make([]int, len(wants))
	for w := range wants {
		all[w] = w
		s.presets[w].value = mortise.NullValue()
	}
	s.root = s.plan(m, all, 0)
	for w, want := range wants {
		s.listed = s.listed || want.Type.Kind == mortise.List
		if s.presets[w].fit == fields.OK && !slices.Contains(s.root.preset, w) {
			s.late = append(s.late, w)
		}
	}
	return s
}

// plan finds the wants whose path leads to m by its first depth names.
func (s *Scanner) plan(m protoreflect.MessageDescriptor, wants []int, depth int) *message {
	node := &message{below: wants}
	byNumber := map[protoreflect.FieldNumber][]int{}
	for _, w := range wants {
		s.found[w], s.presets[w].fit = nil, fields.Missing
		if fd := m.Fields().ByName(protoreflect.Name(s.wants[w].Path[depth])); fd != nil {
			byNumber[fd.Number()] = append(byNumber[fd.Number()], w)
		}
	}
	for number, users := range byNumber {
		fd := m.Fields().ByNumber(number)
		f := field{number: int32(number), name: string(fd.Name())}
		var below []int
		for _, w := range users {
			if len(s.wants[w].Path) > depth+1 {
				below = append(below, w)
			} else if s.want(&f, fd, w) {
				node.preset = append(node.preset, w)
			}
		}
		if len(below) > 0 && fd.Kind() == protoreflect.MessageKind && fd.Cardinality() != protoreflect.Repeated {
			for _, w := range below {
				s.found[w], s.presets[w].fit = fd, fields.Null
			}
			f.inner = s.plan(fd.Message(), below, depth+1)
		}
		if len(f.wants) > 0 || f.inner != nil {
			node.fields = append(node.fields, f)
		}
	}
	slices.SortFunc(node.fields, func(a, b field) int { return cmp.Compare(a.number, b.number) })
	node.linkOneofs(m)
	return node
}

// linkOneofs notes which members of a oneof each of them unsets.
func (m *message) linkOneofs(d protoreflect.MessageDescriptor) {
	members := func(f *field) protoreflect.OneofDescriptor {
		return d.Fields().ByNumber(protoreflect.FieldNumber(f.number)).ContainingOneof()
	}
	for i := range m.fields {
		for k := range m.fields {
			f, other := &m.fields[i], &m.fields[k]
			if one := members(f); i != k && one != nil && one == members(other) {
				f.clears = append(f.clears, other)
			}
		}
	}
}

// want makes f read the want w, and reports whether it has a value before f is met.
func (s *Scanner) want(f *field, fd protoreflect.FieldDescriptor, w int) (preset bool) {
	s.found[w] = fd
	p := &s.presets[w]
	l := leaf{kind: fd.Kind(), repeated: fd.Cardinality() == protoreflect.Repeated}
	usable := true
	switch l.kind {
	case protoreflect.MessageKind:
		usable = l.wellKnown(fd.Message())
	case protoreflect.GroupKind:
		usable = false
	case protoreflect.EnumKind:
		l.enum = enumNames(fd.Enum())
	}
	if !usable || fd.IsMap() || l.repeated != (s.wants[w].Type.Kind == mortise.List) {
		p.fit = fields.Unfit
		return false
	}
	f.leaf, f.wants = l, append(f.wants, w)
	switch {
	case l.repeated:
		p.value, p.fit = mortise.ListValue(nil), fields.OK
	case l.wrapper || l.timestamp, fd.HasPresence() && !fd.HasDefault():
		p.fit = fields.Null
	default:
		raw, text := defaultOf(fd)
		p.fit = s.convert(&p.value, &l, raw, text, w)
		if p.fit != fields.OK {
			p.value = mortise.NullValue()
		}
	}
	return p.fit != fields.Null
}

func (l *leaf) wellKnown(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		l.timestamp = true
		return true
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value", "google.protobuf.Int32Value",
		"google.protobuf.UInt32Value", "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		l.wrapper, l.kind = true, m.Fields().ByNumber(1).Kind()
		return true
	}
	return false
}

func enumNames(e protoreflect.EnumDescriptor) map[int32][]byte {
	names := map[int32][]byte{}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		if _, alias := names[int32(v.Number())]; !alias {
			names[int32(v.Number())] = []byte(v.Name())
		}
	}
	return names
}
