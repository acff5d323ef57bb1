package protobuf

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/mortise-dev/mortise/internal/fields"
)

// Encoder writes JSON objects as messages. What JSON can't say otherwise is read
// as Protobuf's own JSON has it, but for bytes, which are text, and timestamps,
// which may be numbers. Fields that the message does not have are left out.
type Encoder struct {
	message protoreflect.MessageDescriptor
	units   fields.Units
}

// NewEncoder makes an encoder of a message.
func NewEncoder(m protoreflect.MessageDescriptor, units fields.Units) *Encoder {
	return &Encoder{m, units}
}

// Append appends an object, whose numbers are json.Number.
func (e *Encoder) Append(dst []byte, object map[string]any) ([]byte, error) {
	own, err := e.object(e.message, object, nil)
	if err != nil {
		return dst, err
	}
	text, err := json.Marshal(own)
	if err != nil {
		return dst, err
	}
	m := dynamicpb.NewMessage(e.message)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}).Unmarshal(text, m); err != nil {
		return dst, fmt.Errorf("message %s: %w", e.message.FullName(), err)
	}
	return proto.MarshalOptions{Deterministic: true, AllowPartial: true}.MarshalAppend(dst, m)
}

// object spells an object as Protobuf's JSON does.
func (e *Encoder) object(m protoreflect.MessageDescriptor, object map[string]any, path []string) (map[string]any, error) {
	own := make(map[string]any, len(object))
	for name, v := range object {
		fd := m.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			fd = m.Fields().ByJSONName(name)
		}
		if fd == nil || v == nil {
			continue
		}
		var err error
		if own[name], err = e.field(fd, v, append(path[:len(path):len(path)], name)); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return own, nil
}

func (e *Encoder) field(fd protoreflect.FieldDescriptor, v any, path []string) (any, error) {
	items, isList := v.([]any)
	entries, isMap := v.(map[string]any)
	switch {
	case fd.IsList() && isList:
		own := make([]any, len(items))
		for i := range items {
			var err error
			if own[i], err = e.scalar(fd, items[i], path); err != nil {
				return nil, err
			}
		}
		return own, nil
	case fd.IsMap() && isMap:
		own := make(map[string]any, len(entries))
		for key := range entries {
			var err error
			if own[key], err = e.scalar(fd.MapValue(), entries[key], path); err != nil {
				return nil, err
			}
		}
		return own, nil
	}
	return e.scalar(fd, v, path)
}

func (e *Encoder) scalar(fd protoreflect.FieldDescriptor, v any, path []string) (any, error) {
	switch fd.Kind() {
	case protoreflect.BytesKind:
		if text, ok := v.(string); ok {
			return base64.StdEncoding.EncodeToString([]byte(text)), nil
		}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if fd.Message().FullName() == "google.protobuf.Timestamp" {
			ns, err := e.units.Time(v, path, 1)
			return time.Unix(0, ns).UTC().Format(time.RFC3339Nano), err
		}
		if object, ok := v.(map[string]any); ok {
			return e.object(fd.Message(), object, path)
		}
	}
	return v, nil
}
