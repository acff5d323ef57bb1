package traffic

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// text is one string as JSON writes it, in two spellings that decode to the same.
type text struct{ utf8, ascii string }

// oddities are put into ids: what breaks a key that is joined, split, compared
// or escaped carelessly.
var oddities = newTexts(
	`|`, `\`, `a|b\|c\\`, `"quoted"`, `'; --`, "tab\there", "\u0001", " padded ", "null", "<&>", "%7C", "{}",
	"ключ", "漢字", "e\u0301", "é", "🙂", "\u2028", "עברית", "\ufeff", strings.Repeat("long-", 60),
)

// words are what queries are made of.
var words = newTexts(
	"red", "blue", "running", "shoes", "jacket", "summer", "dress", "wireless", "headphones", "gift", "size", "10",
	"cheap", "waterproof", "women", "men", "kids", "vintage", "chaussures", "überzug", "кеды", "靴", "niño", `27"`,
)

func newTexts(decoded ...string) []text {
	texts := make([]text, len(decoded))
	for i, s := range decoded {
		texts[i] = text{escape(s, false), escape(s, true)}
	}
	return texts
}

func escape(s string, ascii bool) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '/' && ascii:
			b.WriteString(`\/`)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		case c < 0x7f || !ascii:
			b.WriteRune(c)
		default:
			for _, unit := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(&b, `\u%04X`, unit)
			}
		}
	}
	return b.String()
}
