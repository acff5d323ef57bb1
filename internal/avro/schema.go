package avro

import (
	"fmt"
	"strings"

	"github.com/twmb/avro"

	mortise "github.com/mortise-dev/mortise"
)

// Kind is what a value is in the binary format.
type Kind uint8

const (
	Null Kind = iota
	Boolean
	Int
	Long
	Float
	Double
	Bytes
	String
	Fixed
	Enum
	Array
	Map
	Union
	Record
)

var kindNames = [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum", "array", "map", "union", "record"}

// String is the kind's name in schemas.
func (k Kind) String() string { return kindNames[k] }

// Node is one type of a schema. A type that contains itself makes a circle of
// nodes. Nodes are immutable.
type Node struct {
	Kind     Kind
	Logical  string // such as timestamp-millis; empty for none
	Name     string // of a Record, Enum or Fixed
	Fields   []Field
	Elem     *Node   // of an Array or Map
	Branches []*Node // of a Union
	Symbols  []string
	Size     int // of a Fixed
	Scale    int // of a decimal

	symbols [][]byte
	unit    unit
}

// unit says which time a number is: how many of them make a millisecond.
type unit int32

const (
	noUnit unit = 0
	days   unit = -1
)

var units = map[string]unit{"timestamp-millis": 1, "local-timestamp-millis": 1, "timestamp-micros": 1000, "local-timestamp-micros": 1000,
	"timestamp-nanos": 1_000_000, "local-timestamp-nanos": 1_000_000, "date": days}

// Field is one field of a Record, in the order of the binary format.
type Field struct {
	Name       string
	Type       *Node
	Default    any // as the library gives it
	HasDefault bool
}

// Schema is a parsed schema: its tree, and the library's form of it.
type Schema struct {
	Root *Node
	Full *avro.Schema
}

// Parse reads a schema whose root is a record.
func Parse(ws *mortise.WriterSchema) (*Schema, error) {
	if ws.Type != "AVRO" {
		return nil, fmt.Errorf("it is of type %s, not AVRO", ws.Type)
	}
	var known avro.SchemaCache
	for _, ref := range ws.References {
		if _, err := known.Parse(ref.Text, avro.WithLaxNames(nil)); err != nil {
			return nil, fmt.Errorf("reading %s, which it refers to: %w", ref.Name, err)
		}
	}
	full, err := known.Parse(ws.Text, avro.WithLaxNames(nil))
	if err != nil {
		return nil, err
	}
	t := tree{}
	root, err := t.node(full.Root(), "")
	if err != nil {
		return nil, err
	}
	if root.Kind != Record {
		return nil, fmt.Errorf("it is a %s, not a record with fields", root.Kind)
	}
	return &Schema{Root: root, Full: full}, nil
}

// tree has the named types by their full names.
type tree map[string]*Node

// node makes a Node; namespace is that of the enclosing named type.
func (t tree) node(from *avro.SchemaNode, namespace string) (*Node, error) {
	n := &Node{Logical: from.LogicalType, Size: from.Size, Scale: from.Scale}
	switch from.Type {
	case "error":
		n.Kind = Record
	default:
		known := false
		for k, name := range kindNames {
			if name == from.Type {
				n.Kind, known = Kind(k), true
			}
		}
		if !known {
			return t.named(from.Type, namespace)
		}
	}
	if n.Kind == Record || n.Kind == Enum || n.Kind == Fixed {
		namespace = t.define(n, from)
	}
	n.Symbols, n.unit = from.Symbols, units[n.Logical]
	for _, symbol := range n.Symbols {
		n.symbols = append(n.symbols, []byte(symbol))
	}
	return n, t.children(n, from, namespace)
}

// define puts a named type where references find it, and returns its namespace.
func (t tree) define(n *Node, from *avro.SchemaNode) (namespace string) {
	n.Name, namespace = from.Name, from.Namespace
	if dot := strings.LastIndexByte(n.Name, '.'); dot >= 0 {
		namespace = n.Name[:dot]
	} else if namespace != "" {
		n.Name = namespace + "." + n.Name
	}
	t[n.Name] = n
	return namespace
}

func (t tree) named(name, namespace string) (*Node, error) {
	if namespace != "" && !strings.Contains(name, ".") {
		if n := t[namespace+"."+name]; n != nil {
			return n, nil
		}
	}
	if n := t[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("it refers to %s, which is not defined before", name)
}

func (t tree) children(n *Node, from *avro.SchemaNode, namespace string) (err error) {
	switch n.Kind {
	case Record:
		n.Fields = make([]Field, len(from.Fields))
		for i := range from.Fields {
			f := &from.Fields[i]
			n.Fields[i].Name, n.Fields[i].Default, n.Fields[i].HasDefault = f.Name, f.Default, f.HasDefault
			if n.Fields[i].Type, err = t.node(&f.Type, namespace); err != nil {
				return err
			}
		}
	case Array:
		n.Elem, err = t.node(from.Items, namespace)
	case Map:
		n.Elem, err = t.node(from.Values, namespace)
	case Union:
		for i := range from.Branches {
			branch, err := t.node(&from.Branches[i], namespace)
			if err != nil {
				return err
			}
			n.Branches = append(n.Branches, branch)
		}
	}
	return err
}
