package protobuf

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/mortise-dev/mortise/internal/fields"
)

// AppendJSON appends a message as plain JSON, for people to read: fields in the
// schema's order under their JSON names, those that are not set as null or with
// their default, timestamps in ms, integers as numbers.
func AppendJSON(dst []byte, d protoreflect.MessageDescriptor, data []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(d)
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(data, m); err != nil {
		return dst, fmt.Errorf("it is no message %s: %w", d.FullName(), err)
	}
	return appendMessage(dst, m), nil
}

func appendMessage(dst []byte, m protoreflect.Message) []byte {
	d := m.Descriptor()
	value := func(i int) protoreflect.Value { return m.Get(d.Fields().Get(i)) }
	switch l := (&leaf{}); {
	case l.wellKnown(d) && l.timestamp:
		return fields.AppendJSON(dst, value(0).Int()*1000+value(1).Int()/1_000_000)
	case l.wrapper:
		return appendScalar(dst, d.Fields().Get(0), value(0))
	case isList(d):
		return appendField(dst, d.Fields().Get(0), m)
	}
	dst = append(dst, '{')
	for i := range d.Fields().Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		fd := d.Fields().Get(i)
		dst = append(fields.AppendJSON(dst, fd.JSONName()), ':')
		dst = appendField(dst, fd, m)
	}
	return append(dst, '}')
}

// isList reports whether a message is one of those in which instances have
// nullable lists.
func isList(d protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "mortise.") && strings.HasSuffix(string(d.Name()), "List") &&
		d.Fields().Len() == 1 && d.Fields().Get(0).Name() == "values"
}

func appendField(dst []byte, fd protoreflect.FieldDescriptor, m protoreflect.Message) []byte {
	switch {
	case fd.IsMap():
		return appendMap(dst, fd, m.Get(fd).Map())
	case fd.IsList():
		dst = append(dst, '[')
		list := m.Get(fd).List()
		for i := range list.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendScalar(dst, fd, list.Get(i))
		}
		return append(dst, ']')
	case fd.HasPresence() && !m.Has(fd) && !fd.HasDefault():
		return append(dst, "null"...)
	}
	return appendScalar(dst, fd, m.Get(fd))
}

func appendMap(dst []byte, fd protoreflect.FieldDescriptor, entries protoreflect.Map) []byte {
	var keys []protoreflect.MapKey
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(fields.AppendJSON(dst, k.String()), ':')
		dst = appendScalar(dst, fd.MapValue(), entries.Get(k))
	}
	return append(dst, '}')
}

func appendScalar(dst []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(dst, v.Message())
	case protoreflect.EnumKind:
		if e := fd.Enum().Values().ByNumber(v.Enum()); e != nil {
			return fields.AppendJSON(dst, string(e.Name()))
		}
		return fields.AppendJSON(dst, int32(v.Enum()))
	case protoreflect.FloatKind:
		return fields.AppendJSON(dst, float64(float32(v.Float())))
	}
	return fields.AppendJSON(dst, v.Interface())
}
