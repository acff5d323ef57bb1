package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Columns is an open file of columns, such as Parquet.
type Columns interface {
	// Names are its columns.
	Names() []string
	// Open begins to read columns of it, which there are, as their types; a type
	// without a kind takes what there is, and times as RFC 3339 texts. It tells which
	// column cannot be read as its type.
	Open(columns mortise.Schema) (Objects, error)
}

// Objects are rows, each as a JSON object.
type Objects interface {
	// Next returns the next row, valid until the next call, and io.EOF after the last.
	Next() ([]byte, error)
	Close() error
}

// columnRows reads rows of columns.
type columnRows struct {
	objects Objects
	wants   []want
	object  map[string]json.RawMessage
	number  int
}

func newColumns(c Columns, wants []want, def *dimjoin.Definition) (*columnRows, error) {
	there := map[string]bool{}
	for _, name := range c.Names() {
		there[name] = true
	}
	var columns mortise.Schema
	for i := range wants {
		w := &wants[i]
		if !there[w.name] {
			if err := w.lacking(def, c.Names()); err != nil {
				return nil, err
			}
			continue
		}
		if at := columns.Index(w.name); at >= 0 {
			if columns[at].Type.Kind == mortise.Invalid {
				columns[at].Type = w.typ // of a key whose type is not known, and that is a field
			}
			continue
		}
		columns = append(columns, mortise.Field{Name: w.name, Type: w.typ})
	}
	objects, err := c.Open(columns)
	if err != nil {
		return nil, err
	}
	return &columnRows{objects: objects, wants: wants, object: map[string]json.RawMessage{}}, nil
}

func (c *columnRows) next(values []mortise.Value) (int, error) {
	data, err := c.objects.Next()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("behind row %d: %w", c.number, err)
		}
		return 0, err
	}
	c.number++
	clear(c.object)
	if err := json.Unmarshal(data, &c.object); err != nil {
		return 0, fmt.Errorf("row %d: %w", c.number, err)
	}
	for i := range c.wants {
		w := &c.wants[i]
		raw, ok := c.object[w.name]
		if values[i] = mortise.NullValue(); !ok {
			continue
		}
		if values[i], ok = dimjoin.ParseJSON(w.typ, raw); !ok {
			return c.number, &fault{c.number, "column " + w.name, fmt.Errorf("%s is no %s", dimjoin.Excerpt(raw), w.typeName())}
		}
	}
	return c.number, nil
}
