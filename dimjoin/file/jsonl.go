package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// jsonRows reads one JSON object a line. A member that a line lacks is null.
type jsonRows struct {
	*text
	wants  []want
	def    *dimjoin.Definition
	object map[string]json.RawMessage
	seen   []bool // the wants that any line had
}

func newJSONL(t *text, wants []want, def *dimjoin.Definition) *jsonRows {
	return &jsonRows{text: t, wants: wants, def: def, object: map[string]json.RawMessage{}, seen: make([]bool, len(wants))}
}

func (j *jsonRows) next(values []mortise.Value) (int, error) {
	data, err := j.line()
	for err == nil && len(bytes.TrimSpace(data)) == 0 {
		data, err = j.line()
	}
	line := j.number
	if errors.Is(err, io.EOF) {
		return line, j.end()
	}
	if err != nil {
		return line, err
	}
	clear(j.object)
	if err := json.Unmarshal(data, &j.object); err != nil || j.object == nil {
		return line, j.unreadable(line, err)
	}
	for i := range j.wants {
		w := &j.wants[i]
		raw, ok := j.object[w.name]
		j.seen[i] = j.seen[i] || ok
		if values[i] = mortise.NullValue(); !ok {
			if w.role == ofKey || w.role == ofRow && !w.typ.Nullable {
				return line, &fault{line, "", w.lacking(j.def, slices.Sorted(maps.Keys(j.object)))}
			}
			continue
		}
		if values[i], ok = dimjoin.ParseJSON(w.typ, raw); !ok {
			return line, &fault{line, "column " + w.name, fmt.Errorf("%s is no %s", dimjoin.Excerpt(raw), w.typeName())}
		}
	}
	return line, nil
}

func (w *want) typeName() string {
	if w.typ.Kind == mortise.Invalid {
		return "text or number"
	}
	return w.typ.String()
}

func (j *jsonRows) unreadable(line int, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &fault{line, fmt.Sprintf("byte %d", syntax.Offset), errors.New("it is no JSON: " + syntax.Error())}
	}
	j.object = map[string]json.RawMessage{}
	return &fault{line, "", errors.New("it is no JSON object: write one {…} a line")}
}

// end ends the rows: a column that no line had is not there.
func (j *jsonRows) end() error {
	for i, seen := range j.seen {
		if !seen && len(j.object) > 0 {
			if err := j.wants[i].lacking(j.def, slices.Sorted(maps.Keys(j.object))); err != nil {
				return err
			}
		}
	}
	return io.EOF
}
