// Package protobuf reads Protobuf messages by a schema that is known only at run
// time: it finds wanted fields by their numbers on the wire, without making
// messages of records. Schemas are .proto texts, compiled by
// github.com/bufbuild/protocompile. joiner/clean and instances/protobuf use it.
package protobuf

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// schemaFile is the name that a schema's own text is compiled under.
const schemaFile = "schema.proto"

// Schema is a compiled .proto text with what it imports.
type Schema struct{ File protoreflect.FileDescriptor }

// Parse compiles a schema. google/protobuf/*.proto need not be among its references.
func Parse(ws *mortise.WriterSchema) (*Schema, error) {
	if ws.Type != "PROTOBUF" {
		return nil, fmt.Errorf("it is of type %s, not PROTOBUF", ws.Type)
	}
	texts := map[string]string{schemaFile: ws.Text}
	for _, ref := range ws.References {
		texts[ref.Name] = ref.Text
	}
	find := func(name string) (protocompile.SearchResult, error) {
		text, ok := texts[name]
		if !ok {
			return protocompile.SearchResult{}, fs.ErrNotExist
		}
		if d := serialized(name, text); d != nil {
			return protocompile.SearchResult{Proto: d}, nil
		}
		return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
	}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(find))}
	files, err := compiler.Compile(context.Background(), schemaFile)
	if err != nil {
		return nil, err
	}
	return &Schema{files[0]}, nil
}

// serialized reads a schema that is no text but a descriptor in base64, as some
// clients register it; nil when it is none.
func serialized(name, text string) *descriptorpb.FileDescriptorProto {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil // no .proto text is base64: it has spaces and braces
	}
	d := &descriptorpb.FileDescriptorProto{}
	if proto.Unmarshal(raw, d) != nil {
		return nil
	}
	d.Name = &name // as it is imported
	tidy(d.MessageType)
	return d
}

// tidy fills in the JSON names that Python's descriptors leave empty: those would
// count as names that are equal.
func tidy(messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		for _, f := range m.Field {
			if f.GetJsonName() == "" {
				name := jsonName(f.GetName())
				f.JsonName = &name
			}
		}
		tidy(m.NestedType)
	}
}

// jsonName is a field's name in lowerCamelCase.
func jsonName(name string) string {
	var b strings.Builder
	for i, word := range strings.Split(name, "_") {
		if i > 0 && word != "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b.WriteString(word)
	}
	return b.String()
}

// MessageAt returns the message that a record's indexes lead to: of the file's
// messages, then of those declared within.
func (s *Schema) MessageAt(indexes []int) (protoreflect.MessageDescriptor, error) {
	var at protoreflect.MessageDescriptor
	within := s.File.Messages()
	for _, i := range indexes {
		if i < 0 || i >= within.Len() {
			return nil, fmt.Errorf("it has no message %v", indexes)
		}
		at = within.Get(i)
		within = at.Messages()
	}
	return at, nil
}

// Message returns the message of that name, with or without its package; the
// only one if name is empty.
func (s *Schema) Message(name string) (protoreflect.MessageDescriptor, error) {
	var all []string
	var found protoreflect.MessageDescriptor
	var walk func(in protoreflect.MessageDescriptors)
	walk = func(in protoreflect.MessageDescriptors) {
		for i := range in.Len() {
			m := in.Get(i)
			full := string(m.FullName())
			if short := strings.TrimPrefix(full, string(s.File.Package())+"."); name == full || name == short || name == "" && s.File.Messages().Len() == 1 {
				if found == nil {
					found = m
				}
			}
			all = append(all, full)
			walk(m.Messages())
		}
	}
	walk(s.File.Messages())
	switch {
	case found != nil:
		return found, nil
	case name == "":
		return nil, fmt.Errorf("it has several messages, so one must be named: %s", strings.Join(all, ", "))
	}
	return nil, fmt.Errorf("it has no message %s; there are %s", name, strings.Join(all, ", "))
}

// Format is fields.Format for Protobuf, whose values name their message by
// indexes behind the schema's id.
type Format struct{}

var _ fields.Format = Format{}

// CutMessage implements fields.Format.
func (Format) CutMessage(value []byte) (message, rest []byte, ok bool) {
	return fields.CutIndexes(value)
}

// Compile implements fields.Format.
func (Format) Compile(ws *mortise.WriterSchema, message []byte, wants []fields.Want) (fields.Scanner, error) {
	s, err := Parse(ws)
	if err != nil {
		return nil, err
	}
	m, err := s.MessageAt(fields.Indexes(message))
	if err != nil {
		return nil, err
	}
	return NewScanner(m, wants), nil
}
