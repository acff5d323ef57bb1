package parquet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// stored is one column as it lies in a file.
type stored struct {
	mortise.Field
	leaf     int // index of its values among the file's
	level    int // the definition level of a value that is there
	hole     int // that of a null element of a list; -1 when none can be null
	nullable bool
	perMS    int64 // of a time: its units in a millisecond
}

// describe finds the columns of a file, as they are stored.
func describe(f *parquet.File) ([]stored, error) {
	var all []stored
	for _, field := range f.Schema().Fields() {
		s, err := describeField(f.Schema(), field)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", field.Name(), err)
		}
		all = append(all, s)
	}
	return all, nil
}

func describeField(schema *parquet.Schema, field parquet.Field) (stored, error) {
	s := stored{Field: mortise.Field{Name: field.Name(), Type: mortise.Type{Nullable: field.Optional()}}, nullable: field.Optional(), hole: -1}
	at := []string{field.Name()}
	node := parquet.Node(field)
	isList := false
	for !node.Leaf() {
		fields := node.Fields()
		if len(fields) != 1 || len(at) > 2 || node != parquet.Node(field) && !node.Repeated() {
			return s, fmt.Errorf("it is a group of %d fields, and an instance has values and lists of values", len(fields))
		}
		node = fields[0]
		at = append(at, fields[0].Name())
		isList = isList || node.Repeated()
	}
	if node.Repeated() && len(at) == 1 {
		isList = true
	}
	leaf, ok := schema.Lookup(at...)
	if !ok || leaf.MaxRepetitionLevel > 1 || isList != (leaf.MaxRepetitionLevel == 1) {
		return s, fmt.Errorf("it is nested deeper than a list of values")
	}
	s.leaf, s.level = leaf.ColumnIndex, leaf.MaxDefinitionLevel
	kind, perMS := kindOf(node.Type())
	if kind == mortise.Invalid {
		return s, fmt.Errorf("its type %s is none of an instance's", node.Type())
	}
	s.perMS, s.Type.Kind = perMS, kind
	if isList {
		s.Type.Kind, s.Type.Elem = mortise.List, kind
		if node.Optional() {
			s.hole = s.level - 1
		}
	}
	return s, nil
}

// kindOf is a type's kind; of a time also how many of its units are a millisecond.
func kindOf(t parquet.Type) (mortise.Kind, int64) {
	if logical := t.LogicalType(); logical != nil && t.Kind() == parquet.Int64 {
		if ts, ok := logical.Value.(*format.TimestampType); ok {
			switch ts.Unit.Value.(type) {
			case *format.MilliSeconds:
				return mortise.Timestamp, 1
			case *format.MicroSeconds:
				return mortise.Timestamp, 1000
			case *format.NanoSeconds:
				return mortise.Timestamp, 1_000_000
			}
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return mortise.Bool, 1
	case parquet.Int32, parquet.Int64:
		return mortise.Int, 1
	case parquet.Float, parquet.Double:
		return mortise.Float, 1
	case parquet.ByteArray:
		return mortise.String, 1
	}
	return mortise.Invalid, 0
}

// restoreTypes gives columns the types that the file says were declared, where
// they differ only in that a float of any column may be null in a file.
func restoreTypes(f *parquet.File, all []stored) {
	var decls []string
	text, _ := f.Lookup(keyColumns)
	if json.Unmarshal([]byte(text), &decls) != nil {
		return
	}
	for _, decl := range decls {
		name, typ, _ := strings.Cut(decl, " ")
		declared, err := mortise.ParseType(typ)
		at := slices.IndexFunc(all, func(s stored) bool { return s.Name == name })
		if err != nil || at < 0 {
			continue
		}
		if was := all[at].Type; was.Kind == declared.Kind && was.Elem == declared.Elem {
			all[at].Type = declared
		}
	}
}

// builtIn are the columns that every instance has beside labels and selected fields.
var builtIn = []mortise.Field{
	{Name: "instance_id", Type: mortise.Type{Kind: mortise.String}}, {Name: "event_time", Type: mortise.Type{Kind: mortise.Timestamp}},
	{Name: "weight", Type: mortise.Type{Kind: mortise.Float}}, {Name: "revision", Type: mortise.Type{Kind: mortise.Int}},
	{Name: "final", Type: mortise.Type{Kind: mortise.Bool}}, {Name: "late", Type: mortise.Type{Kind: mortise.Bool}},
	{Name: "degraded", Type: mortise.Type{Kind: mortise.List, Elem: mortise.String}},
}

// layoutOf finds the instances' columns in a file's: the labels that the file
// names, or, where it names none, each three columns that are named like a label's.
func layoutOf(f *parquet.File, all []stored) (*instances.Columns, error) {
	has := map[string]mortise.Type{}
	for _, s := range all {
		has[s.Name] = s.Type
	}
	for _, b := range builtIn {
		if got, ok := has[b.Name]; !ok || got.Kind != b.Type.Kind {
			return nil, fmt.Errorf("these are no instances: they have no column %s of type %s", b.Name, b.Type)
		}
		delete(has, b.Name)
	}
	labels := labelsOf(f, all, has)
	for _, label := range labels {
		for suffix, kind := range map[string]mortise.Kind{"": mortise.Float, "_time": mortise.Timestamp, "_count": mortise.Int} {
			name := "label_" + label + suffix
			if got, ok := has[name]; !ok || got.Kind != kind {
				return nil, fmt.Errorf("label %s has no column %s of type %s", label, name, kind)
			}
			delete(has, name)
		}
	}
	var selected mortise.Schema
	for _, s := range all {
		if _, ok := has[s.Name]; ok {
			selected = append(selected, s.Field)
		}
	}
	return instances.NewColumns(labels, selected)
}

func labelsOf(f *parquet.File, all []stored, has map[string]mortise.Type) (labels []string) {
	if text, ok := f.Lookup(keyLabels); ok && json.Unmarshal([]byte(text), &labels) == nil {
		return labels
	}
	for _, s := range all {
		name, isLabel := strings.CutPrefix(s.Name, "label_")
		if isLabel && has[s.Name].Kind == mortise.Float && has[s.Name+"_time"].Kind == mortise.Timestamp && has[s.Name+"_count"].Kind == mortise.Int {
			labels = append(labels, name)
		}
	}
	return labels
}
