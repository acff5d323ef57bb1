package dimjoin

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// why says what an answer without a row comes from.
type why uint8

const (
	nullKey     why = iota // a part of the key is null
	absent                 // the table has no row of the key
	badRow                 // it has one that cannot be used
	unavailable            // it did not answer
	whyCount
)

// fallbacks are the rows that stand in for missing ones, shared by all answers.
type fallbacks struct {
	row    mortise.Row
	served Served
}

func newFallbacks(d *Definition) fallbacks {
	f := fallbacks{row: make(mortise.Row, len(d.Fields)), served: ServedMissing}
	for i := range f.row {
		f.row[i] = mortise.NullValue()
		if d.Missing == MissingDefault {
			f.row[i] = zeroOf(d.Fields[i].Type)
		}
	}
	if d.Missing == MissingDefault {
		f.served = ServedDefault
	}
	return f
}

// fallBack serves a lookup without a row. err is what the table said, if anything.
func (r *Reader) fallBack(a *Answer, because why, err error) {
	r.fallbacks.serve(r.def, a, because, err)
}

func (f *fallbacks) serve(def *Definition, a *Answer, because why, err error) {
	a.Row, a.Served, a.Absent = f.row, f.served, because == absent
	if def.Missing != MissingDeadLetter {
		return
	}
	detail := ""
	switch because {
	case nullKey:
		detail = "a part of its key is null"
	case absent:
		detail = fmt.Sprintf("no row of key %q", a.Key)
	case badRow:
		detail = fmt.Sprintf("the row of key %q cannot be used", a.Key)
	case unavailable:
		detail = fmt.Sprintf("the row of key %q could not be read", a.Key)
	}
	if err != nil {
		detail += ": " + err.Error()
	}
	a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Field: def.Name, Detail: detail}
}

// zeroOf is a type's zero value.
func zeroOf(t mortise.Type) mortise.Value {
	switch t.Kind {
	case mortise.String:
		return mortise.TextValue([]byte{})
	case mortise.Int:
		return mortise.IntValue(0)
	case mortise.Timestamp:
		return mortise.TimestampValue(0)
	case mortise.Float:
		return mortise.FloatValue(0)
	case mortise.Bool:
		return mortise.BoolValue(false)
	case mortise.List:
		return mortise.ListValue(nil)
	}
	return mortise.NullValue()
}
