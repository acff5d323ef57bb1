package csvrow

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

func split(row string) (cells []string, broken, whole bool) {
	var c Cells
	c.Reset()
	whole = c.Split([]byte(row), ',')
	var buf []byte
	for i := range c.List {
		var text []byte
		text, buf = c.Text([]byte(row), i, buf)
		cells = append(cells, string(text))
	}
	return cells, c.Broken, whole
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		row    string
		want   []string
		broken bool
		whole  bool
	}{
		{"a,b", []string{"a", "b"}, false, true},
		{"", []string{""}, false, true},
		{",", []string{"", ""}, false, true},
		{`"a,""b""",c`, []string{`a,"b"`, "c"}, false, true},
		{`"a"x,b`, []string{`"a"x`, "b"}, true, true},
		{`a,"b`, []string{"a"}, false, false},
	} {
		got, broken, whole := split(c.row)
		if !slices.Equal(got, c.want) || broken != c.broken || whole != c.whole {
			t.Errorf("%s: %q, broken %v, whole %v", c.row, got, broken, whole)
		}
	}
}

// FuzzSplit holds rows against the standard library's reader where it takes them.
func FuzzSplit(f *testing.F) {
	for _, row := range []string{"a,b", `"a,""b""",c`, "a\"b,c", `"",""`, `"a"x`} {
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, row string) {
		got, broken, whole := split(row)
		if strings.ContainsAny(row, "\r\n") || row == "" {
			return
		}
		r := csv.NewReader(strings.NewReader(row))
		want, err := r.Read()
		if err != nil {
			return
		}
		if !whole || broken || !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", row, got, want)
		}
	})
}
