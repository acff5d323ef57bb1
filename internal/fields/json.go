package fields

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"unicode/utf8"
)

// AppendJSON appends a text, bytes, number or bool as encoding/json spells it,
// without HTML escaping; what JSON cannot say is null, bytes that are no text are
// {"base64": …}.
func AppendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(dst, "null"...)
		}
	case []byte:
		if utf8.Valid(v) {
			return AppendJSON(dst, string(v))
		}
		return append(AppendJSON(append(dst, `{"base64":`...), base64.StdEncoding.EncodeToString(v)), '}')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return append(dst, "null"...)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
