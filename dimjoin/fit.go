package dimjoin

import (
	"fmt"
	"math"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
)

// Fit makes a value that a store holds one of a field: an integer may stand for a
// float, and for a timestamp in ms, as may a timestamp for an integer. NaN and
// the infinities are null, as in rows. The error says what the field is instead.
func Fit(f *mortise.Field, v mortise.Value) (mortise.Value, error) {
	if v.Kind == mortise.Float && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		v = mortise.NullValue()
	}
	if v.IsNull() {
		if f.Type.Nullable {
			return mortise.NullValue(), nil
		}
		return v, fmt.Errorf("field %s is null, and %s is declared; %s? allows null", f.Name, f.Type, f.Type)
	}
	if f.Type.Kind != mortise.List {
		out, ok := fitScalar(f.Type.Kind, v)
		if !ok {
			return v, misfit(f, v)
		}
		return out, nil
	}
	if v.Kind != mortise.List {
		return v, misfit(f, v)
	}
	for i, e := range v.List() {
		out, ok := fitScalar(f.Type.Elem, e)
		if !ok {
			return v, fmt.Errorf("field %s is a list whose item %d is %s, and %s is declared", f.Name, i, describe(e), f.Type)
		}
		if out.Kind != e.Kind {
			v.List()[i] = out
		}
	}
	return v, nil
}

func fitScalar(want mortise.Kind, v mortise.Value) (mortise.Value, bool) {
	switch {
	case v.Kind == mortise.String && want == mortise.String:
		return v, utf8.Valid(v.Text())
	case v.Kind == want:
		return v, true
	case v.Kind == mortise.Int && want == mortise.Float:
		return mortise.FloatValue(float64(v.Int())), true
	case v.Kind == mortise.Int && want == mortise.Timestamp:
		return mortise.TimestampValue(v.Int()), true
	case v.Kind == mortise.Timestamp && want == mortise.Int:
		return mortise.IntValue(v.Int()), true
	}
	return v, false
}

func misfit(f *mortise.Field, v mortise.Value) error {
	return fmt.Errorf("field %s is %s, and %s is declared", f.Name, describe(v), f.Type)
}

func describe(v mortise.Value) string {
	switch {
	case v.Kind == mortise.String && !utf8.Valid(v.Text()):
		return "text that is not UTF-8"
	case v.Kind == mortise.String:
		return fmt.Sprintf("the text %s", Excerpt(v.Text()))
	case v.IsNull():
		return "null"
	case v.Kind == mortise.Int:
		return "an int"
	}
	return "a " + v.Kind.String()
}

// Excerpt quotes the beginning of what was found, for messages.
func Excerpt(text []byte) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}

// FitRow is Fit for every field of a row, in place.
func FitRow(fields mortise.Schema, row mortise.Row) error {
	for i := range fields {
		v, err := Fit(&fields[i], row[i])
		if err != nil {
			return err
		}
		row[i] = v
	}
	return nil
}

// ErrTooLarge says of a row of sizeBytes that it is beyond MaxRowBytes.
func ErrTooLarge(sizeBytes int) error {
	return fmt.Errorf("the row has %d bytes, and more than %d are not read", sizeBytes, MaxRowBytes)
}
