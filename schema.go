package mortise

import (
	"fmt"
	"strings"
)

// Kind is the type of a value, without nullability.
type Kind uint8

const (
	Invalid Kind = iota // no value, or one that broke its declared type
	Null
	String
	Int
	Float
	Bool
	Timestamp // int64 ms UTC
	List
)

var kindNames = [...]string{"invalid", "null", "string", "int", "float", "bool", "timestamp", "list"}

func (k Kind) String() string { return kindNames[k] }

// Type is a declared type: `string`, `int?`, `[float]`, `[string]?`.
type Type struct {
	Kind     Kind
	Elem     Kind // of a List
	Nullable bool
}

// ParseType reads a type as experiment files write it.
func ParseType(s string) (Type, error) {
	text := strings.TrimSpace(s)
	var t Type
	text, t.Nullable = strings.CutSuffix(text, "?")
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		elem := scalarKind(strings.TrimSpace(inner))
		if !ok || elem == Invalid {
			return Type{}, fmt.Errorf("unknown list type %q: write [string], [int], [float], [bool] or [timestamp]", s)
		}
		t.Kind, t.Elem = List, elem
		return t, nil
	}
	if t.Kind = scalarKind(text); t.Kind == Invalid {
		return Type{}, fmt.Errorf("unknown type %q: write string, int, float, bool, timestamp, or a list such as [int]; ? makes it nullable", s)
	}
	return t, nil
}

func scalarKind(s string) Kind {
	for k := String; k <= Timestamp; k++ {
		if kindNames[k] == s {
			return k
		}
	}
	return Invalid
}

// String writes the type as experiment files do.
func (t Type) String() string {
	s := t.Kind.String()
	if t.Kind == List {
		s = "[" + t.Elem.String() + "]"
	}
	if t.Nullable {
		s += "?"
	}
	return s
}

// Field is one named, typed column of a source, dimension or instance.
type Field struct {
	Name string
	Type Type
}

// Schema is an ordered list of fields; the order is the row's order.
type Schema []Field

// Index returns the position of the named field, or -1.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// Names returns the fields' names in order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}
