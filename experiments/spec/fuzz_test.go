package spec

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: no text makes the loader panic or point outside it, and what is
// good stays what it is when it is read again.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, text := range corpus(f, dir) {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		opts := testOptions()
		opts.NoEnvironment = true
		exp, diags := Parse("fuzz.yaml", text, opts)
		lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		for _, d := range diags {
			if d.Line < 1 || d.Line > len(lines) {
				t.Fatalf("line %d of %d:\n%s", d.Line, len(lines), d.String())
			}
			if width := utf8.RuneCountInString(strings.TrimSuffix(lines[d.Line-1], "\r")); d.Col < 1 || d.Col > width+1 || d.Len < 1 || d.Len > 1 && d.Col-1+d.Len > width {
				t.Fatalf("column %d+%d of %d:\n%s", d.Col, d.Len, width, d.String())
			}
			if d.String() == "" || d.Message == "" || d.Code == "" {
				t.Fatalf("%#v", d)
			}
		}
		if (exp == nil) != diags.HasErrors() {
			t.Fatalf("experiment %v beside\n%s", exp != nil, diags)
		}
		if exp == nil {
			return
		}
		again, _ := Parse("fuzz.yaml", append([]byte("# again\n"), []byte(strings.TrimPrefix(string(text), "\ufeff"))...), opts)
		if strings.HasPrefix(strings.TrimPrefix(string(text), "\ufeff"), "%") {
			return // a directive does not stand after a comment for this parser
		}
		if again == nil || again.Hash != exp.Hash {
			t.Fatalf("the hash is not stable for\n%s", text)
		}
	})
}
