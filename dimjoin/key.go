package dimjoin

import mortise "github.com/mortise-dev/mortise"

// AppendKey appends the text that stands for a key in every store: its parts as
// instance_id writes them, joined by `|`, so that the key of a single text field
// without `|` and `\` is that text. ok is false where a part is null: then there is
// nothing to look up.
func AppendKey(dst []byte, values ...mortise.Value) (key []byte, ok bool) {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '|')
		}
		if dst, ok = v.AppendKey(dst); !ok {
			return dst, false
		}
	}
	return dst, len(values) > 0
}
