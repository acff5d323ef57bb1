package dimjoin

import (
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func TestParseText(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"string", "", "string "}, {"string", " a ", "string  a "},
		{"int", " +7 ", "int 7"}, {"int", "007", "int 7"}, {"int", "7.0", "int 7"}, {"int", "", "null "}, {"int", "7.5", ""}, {"int", "a", ""}, {"int", "9223372036854775808", ""}, {"int", ".", ""},
		{"float", "1e3", "float 1000"}, {"float", "0x10", ""}, {"float", "1_0", ""}, {"float", "1,5", ""},
		{"bool", "TRUE", "bool true"}, {"bool", "0", "bool false"}, {"bool", "yes", ""},
		{"timestamp", "1500", "timestamp 1500"}, {"timestamp", "1970-01-01T00:00:01Z", "timestamp 1000"}, {"timestamp", "soon", ""},
		{"[int]", "[1, 2]", "list [1,2]"}, {"[int]", "[1,null]", ""}, {"[string]", `["a\"b"]`, `list ["a\"b"]`}, {"[int]", "1", ""},
	} {
		v, ok := ParseText(fieldsOf(t, "f", c.typ)[0].Type, []byte(c.text))
		if got := text(mortise.Row{v}); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q as %s is %s, %v", c.text, c.typ, got, ok)
		}
	}
}

func TestParseJSON(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"string", `"a"`, "string a"}, {"string", `"\u00e9\n"`, "string é\n"}, {"string", "1", ""}, {"string", "null", "null "},
		{"int", "1", "int 1"}, {"int", "1.0", "int 1"}, {"int", "1e3", "int 1000"}, {"int", "1.5", ""}, {"int", `"1"`, ""}, {"int", "true", ""},
		{"float", "1", "float 1"}, {"float", "-0.5e-1", "float -0.05"},
		{"bool", "true", "bool true"}, {"bool", "1", ""},
		{"timestamp", "5", "timestamp 5"}, {"timestamp", `"1970-01-01"`, "timestamp 0"}, {"timestamp", `"x"`, ""},
		{"[float]", "[1,2.5]", "list [1,2.5]"}, {"[float]", `["1"]`, ""}, {"[float]", `{}`, ""},
		{"", "1", "int 1"}, {"", "1.5", "float 1.5"}, {"", `"a"`, "string a"}, {"", "false", "bool false"}, {"", "{}", ""},
	} {
		var typ mortise.Type
		if c.typ != "" {
			typ = fieldsOf(t, "f", c.typ)[0].Type
		}
		v, ok := ParseJSON(typ, []byte(c.text))
		if got := text(mortise.Row{v}); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s as %s is %s, %v", c.text, c.typ, got, ok)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for _, c := range []struct{ name, known, want string }{
		{"price", "brand prices", "did you mean prices?"},
		{"Price", "brand price", "did you mean price?"},
		{"price", "a b", "there is a, b"},
		{"price", "", "there is nothing in it"},
		{"price", "1 2 3 4 5 6 7 8 9 10 11 12 13", "and more"},
	} {
		if got := DidYouMean(c.name, strings.Fields(c.known)); !strings.Contains(got, c.want) {
			t.Errorf("%s among %s: %s", c.name, c.known, got)
		}
	}
}
