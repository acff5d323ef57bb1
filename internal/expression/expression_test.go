package expression

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// schema and row are what the tables below read: one field of every type, and
// every nullable type twice, with and without a value.
var schema = mortise.Schema{
	{Name: "position", Type: typ("int")},
	{Name: "dwell", Type: typ("float")},
	{Name: "name", Type: typ("string")},
	{Name: "is_top", Type: typ("bool")},
	{Name: "ts", Type: typ("timestamp")},
	{Name: "xs", Type: typ("[int]")},
	{Name: "tags", Type: typ("[string]")},
	{Name: "ni", Type: typ("int?")},
	{Name: "nf", Type: typ("float?")},
	{Name: "ns", Type: typ("string?")},
	{Name: "nb", Type: typ("bool?")},
	{Name: "nl", Type: typ("[int]?")},
	{Name: "i", Type: typ("int?")},
	{Name: "s", Type: typ("string?")},
	{Name: "b", Type: typ("bool?")},
	{Name: "zero", Type: typ("int")},
	{Name: "item.brand", Type: typ("string?")},
	{Name: "item.price", Type: typ("float")},
}

var row = mortise.Row{
	mortise.IntValue(3), mortise.FloatValue(5.5), mortise.StringValue("Käse"), mortise.BoolValue(true), mortise.TimestampValue(1_700_000_000_000),
	mortise.ListValue([]mortise.Value{mortise.IntValue(3), mortise.IntValue(1), mortise.IntValue(2)}),
	mortise.ListValue([]mortise.Value{mortise.StringValue("a"), mortise.StringValue("b")}),
	mortise.NullValue(), mortise.NullValue(), mortise.NullValue(), mortise.NullValue(), mortise.NullValue(),
	mortise.IntValue(7), mortise.StringValue("seven"), mortise.BoolValue(true), mortise.IntValue(0),
	mortise.StringValue("acme"), mortise.FloatValue(9.5),
}

func typ(s string) mortise.Type {
	t, err := mortise.ParseType(s)
	if err != nil {
		panic(err)
	}
	return t
}

// bind makes an evaluator for rows of the whole schema.
func bind(p *Program, env mortise.Schema) *Evaluator {
	slots := make([]int, len(p.Fields()))
	for i, name := range p.Fields() {
		slots[i] = env.Index(name)
	}
	return p.Bind(slots)
}

// show writes a value the way the tables do.
func show(v mortise.Value) string {
	switch v.Kind {
	case mortise.Null:
		return "null"
	case mortise.String:
		return fmt.Sprintf("%q", v.Text())
	case mortise.Int, mortise.Timestamp:
		return fmt.Sprint(v.Int())
	case mortise.Float:
		return fmt.Sprintf("%gf", v.Float())
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	case mortise.List:
		parts := []string{}
		for _, e := range v.List() {
			parts = append(parts, show(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return v.Kind.String()
}

func TestEval(t *testing.T) {
	for _, c := range []struct{ src, typ, want string }{
		// the experiment file's own examples
		{`position >= 1`, "bool", "true"},
		{`dwell >= 5`, "bool", "true"},
		{`position == 1`, "bool", "false"},
		{`zero == 0 ? 0.0 : position / zero`, "float", "0f"},
		{`position == 0 ? 0.0 : zero / position`, "float", "0f"},
		{`item.price * 2`, "float", "19f"},
		{`item.brand == "acme"`, "bool?", "true"},
		// numbers
		{`position / 2`, "float", "1.5f"},
		{`position + 1`, "int", "4"},
		{`position + 1.5`, "float", "4.5f"},
		{`-position`, "int", "-3"},
		{`ts`, "timestamp", "1700000000000"},
		{`ts + 1`, "int", "1700000000001"},
		{`position % 2`, "int", "1"},
		{`2 ** 3`, "float", "8f"},
		{`true ? 1 : 2.5`, "float", "1f"},
		{`position == 3.0`, "bool", "true"},
		{`1 < position < 4`, "bool", "true"},
		{`int("42") + int(2.9)`, "int", "44"},
		{`float("1.5")`, "float", "1.5f"},
		{`round(2.5)`, "float", "3f"},
		{`abs(-3)`, "int", "3"},
		{`max(position, 9)`, "int", "9"},
		{`min(position, 0.5)`, "float", "0.5f"},
		{`bitand(position, 1)`, "int", "1"},
		// text
		{`name == "Käse"`, "bool", "true"},
		{`upper(name)`, "string", `"KÄSE"`},
		{`name + "!"`, "string", `"Käse!"`},
		{`name contains "äs"`, "bool", "true"},
		{`name startsWith "K" and not (name endsWith "x")`, "bool", "true"},
		{`name matches "^K.+e$"`, "bool", "true"},
		{`len(name)`, "int", "4"},
		{`split("a,b", ",")`, "[string]", `["a" "b"]`},
		{`join(tags, "-")`, "string", `"a-b"`},
		{`replace(name, "ä", "ae")`, "string", `"Kaese"`},
		{`string(position) + string(dwell) + string(is_top)`, "string", `"35.5true"`},
		{`name | lower() | trimPrefix("k")`, "string", `"äse"`},
		{`fromBase64(toBase64(name)) == name`, "bool", "true"},
		// lists
		{`position in [1, 2, 3]`, "bool", "true"},
		{`name not in ["x", "y"]`, "bool", "true"},
		{`position in xs`, "bool", "true"},
		{`dwell in xs`, "bool", "false"},
		{`xs[0]`, "int", "3"},
		{`xs[-1]`, "int", "2"},
		{`xs[1:]`, "[int]", "[1 2]"},
		{`len(xs)`, "int", "3"},
		{`sum(xs)`, "int", "6"},
		{`sum(xs, # * 2)`, "int", "12"},
		{`mean(xs)`, "float", "2f"},
		{`sort(xs)`, "[int]", "[1 2 3]"},
		{`filter(xs, # > 1)`, "[int]", "[3 2]"},
		{`map(xs, # / 2)`, "[float]", "[1.5f 0.5f 1f]"},
		{`map(tags, upper(#))`, "[string]", `["A" "B"]`},
		{`count(xs, # > position - 2)`, "int", "2"},
		{`any(tags, # == "b")`, "bool", "true"},
		{`first(filter(xs, # > 9))`, "int?", "null"},
		{`max(xs)`, "int?", "3"},
		{`get(xs, 17)`, "int?", "null"},
		{`position in 1..5`, "bool", "true"},
		{`concat(xs, [4])`, "[int]", "[3 1 2 4]"},
		{`uniq([1, 1, 2])`, "[int]", "[1 2]"},
		{`take(xs, 2)`, "[int]", "[3 1]"},
		{`let half = dwell / 2; half * half`, "float", "7.5625f"},
	} {
		check1(t, c.src, c.typ, c.want)
	}
}

// TestNull fixes how null goes through an expression; see the package doc.
func TestNull(t *testing.T) {
	for _, c := range []struct{ src, typ, want string }{
		{`ni`, "int?", "null"},
		{`ni + 1`, "int?", "null"},
		{`1 + ni`, "int?", "null"},
		{`i + 1`, "int?", "8"},
		{`-ni`, "int?", "null"},
		{`ni >= 1`, "bool?", "null"},
		{`ni == 1`, "bool?", "null"},
		{`ni != 1`, "bool?", "null"},
		{`ni == ni`, "bool?", "null"},
		{`i == 7`, "bool?", "true"},
		{`ns == "x"`, "bool?", "null"},
		{`ns contains "x"`, "bool?", "null"},
		{`ns + "x"`, "string?", "null"},
		{`ns in ["x"]`, "bool?", "null"},
		{`ni in [1]`, "bool?", "null"},
		{`position in nl`, "bool?", "null"},
		{`upper(ns)`, "string?", "null"},
		{`len(nl)`, "int?", "null"},
		{`nl[0]`, "int?", "null"},
		{`xs[ni]`, "int?", "null"},
		{`nf / 0`, "float?", "null"},
		// tests and defaults
		{`ni == nil`, "bool", "true"},
		{`ni != nil`, "bool", "false"},
		{`nil == i`, "bool", "false"},
		{`position == nil`, "bool", "false"},
		{`ni ?? 0`, "int", "0"},
		{`i ?? 0`, "int", "7"},
		{`ni ?? 0.5`, "float", "0.5f"},
		{`i ?? 0.5`, "float", "7f"},
		{`ni ?? nf ?? 2`, "float", "2f"},
		{`(ni + 1) ?? -1`, "int", "-1"},
		{`ni ?? i`, "int?", "7"},
		{`ni == nil ? 1 : ni + 1`, "int?", "1"},
		// three-valued logic: every pair
		{`nb && true`, "bool?", "null"},
		{`true && nb`, "bool?", "null"},
		{`nb && false`, "bool?", "false"},
		{`false && nb`, "bool?", "false"},
		{`nb && nb`, "bool?", "null"},
		{`nb || true`, "bool?", "true"},
		{`true || nb`, "bool?", "true"},
		{`nb || false`, "bool?", "null"},
		{`false || nb`, "bool?", "null"},
		{`nb || nb`, "bool?", "null"},
		{`not nb`, "bool?", "null"},
		{`not b`, "bool?", "false"},
		{`ni >= 5 || name == "Käse"`, "bool?", "true"},
		// conditions
		{`nb ? 1 : 2`, "int?", "null"},
		{`b ? 1 : 2`, "int?", "1"},
		{`is_top ? nil : 2`, "int?", "null"},
		{`is_top ? ni : 2.5`, "float?", "null"},
		{`is_top ? i : 2.5`, "float?", "7f"},
		{`any(xs, # > ni)`, "bool", "false"},
		{`none(xs, # > ni)`, "bool", "true"},
		{`filter(xs, nb)`, "[int]", "[]"},
		{`count(nl, # > 1)`, "int?", "null"},
		// short circuit, left to right
		{`zero != 0 && 10 % zero > 1`, "bool", "false"},
		{`zero == 0 || 10 % zero > 1`, "bool", "true"},
		{`ni + 10 % zero`, "int?", "null"},
		{`ni != nil && ni % 0 == 1`, "bool?", "false"},
	} {
		check1(t, c.src, c.typ, c.want)
	}
}

func check1(t *testing.T, src, wantType, want string) {
	t.Helper()
	p, err := Compile(src, schema)
	if err != nil {
		t.Errorf("%s: %v", src, err)
		return
	}
	if got := p.Type().String(); got != wantType {
		t.Errorf("%s: type %s, want %s", src, got, wantType)
	}
	e := bind(p, schema)
	for range 2 { // the second run reuses the machine
		v, err := e.Eval(row)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if got := show(v); got != want {
			t.Errorf("%s = %s, want %s", src, got, want)
		}
	}
}

// TestFailures are failures of a record: an error, not null and not a panic.
func TestFailures(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`10 % zero`, "integer divide by zero"},
		{`i % zero`, "integer divide by zero"},
		{`xs[17]`, "index out of range"},
		{`int(name)`, `"Käse" is not an int`},
		{`int(1e300)`, "does not fit an int"},
		{`position / zero`, "not a finite number"},
		{`fromBase64("?")`, "illegal base64"},
		{`repeat(name, 1000000)`, "too long"},
		{`replace(repeat("x", 100000), "", repeat("y", 100000))`, "too long"},
		{`sum(1..20000)`, "at most 10000"},
		{`1..9000000 == nil`, "memory budget exceeded"},
		{`map(xs, repeat("x", 5000))`, "too long"},
	} {
		p, err := Compile(c.src, schema)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if _, err := bind(p, schema).Eval(row); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.src, err, c.want)
		}
	}
}

// TestBoundsInsidePredicates: what is read for every element of a list is short,
// so that no row makes an expression run for hours.
func TestBoundsInsidePredicates(t *testing.T) {
	long := make([]mortise.Value, 1001)
	for i := range long {
		long[i] = mortise.IntValue(int64(i))
	}
	big := append(mortise.Row{}, row...)
	big[schema.Index("nl")] = mortise.ListValue(long)
	big[schema.Index("name")] = mortise.StringValue(strings.Repeat("x", maxElementReadBytes+1))
	for src, want := range map[string]string{
		`any(tags, name contains #)`:                "65537 bytes is read for every element",
		`any(xs, # in nl)`:                          "1001 elements",
		`let l = nl; any(xs, max(l) == #)`:          "1001 elements",
		`any(xs, len(uniq(take(xs, 101))) > #)`:     "",
		`any(xs, len(uniq(take(1..101, 101))) > #)`: "101 elements",
		`all(nl, # >= 0)`:                           "",
		`len(uniq(nl)) == 1001`:                     "",
		`name contains "y"`:                         "",
	} {
		p, err := Compile(src, schema)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		_, err = bind(p, schema).Eval(big)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

// TestCompileErrors are found before any record is read, each at its place.
func TestCompileErrors(t *testing.T) {
	for _, c := range []struct {
		src  string
		col  int
		name string
		want string
	}{
		{`positon >= 1`, 1, "positon", "unknown field or function positon"},
		{`1 < 2 && dwel > 1`, 10, "dwel", "unknown field or function dwel"},
		{`"ä" == nam`, 8, "nam", "unknown"},
		{`position >=`, 11, "", "ends too early"},
		{``, 1, "", "empty"},
		{`position + name`, 10, "", "mismatched types int and string"},
		{`name > 1`, 6, "", "mismatched"},
		{`now() > 1`, 1, "", "wall clock"},
		{`groupBy(xs, #)`, 1, "", "maps have no order"},
		{`xs == xs`, 4, "", "does not take"},
		{`name matches name`, 14, "", "literal"},
		{`{"a": 1}`, 1, "", "maps are not available"},
		{`[]`, 1, "", "empty list"},
		{`[1, "a"]`, 5, "", "one type"},
		{`is_top ? 1 : "a"`, 16, "", "different types"},
		{`ni ?? "a"`, 4, "", "different types"},
		{`nil`, 1, "", "always null"},
		{`any(xs, any(xs, # > 1))`, 9, "", "no bound"},
		{`map(xs, # + ni)`, 1, "", "??"},
		{`name[0]`, 5, "", ""},
		{`$env["position"]`, 1, "", "$env is not available"},
		{`item.brnd == "x"`, 6, "brnd", "brnd"},
		{`upper(position)`, 7, "", "cannot use int"},
		{`position; dwell`, 1, "", "semicolon"},
		{strings.Repeat("(", 9000), 1, "", "limit"},
		{strings.Repeat("1+", 2000) + "1", -1, "", "nodes"},
		{"\xff", 1, "", "UTF-8"},
		{`reduce(xs, #acc + #, 0)`, 1, "", "no bound"},
	} {
		_, err := Compile(c.src, schema)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.40s: error %v, want an *Error", c.src, err)
			continue
		}
		if c.col >= 0 && e.Col != c.col || e.Name != c.name || !strings.Contains(e.Message, c.want) {
			t.Errorf("%.40s: %+v; want column %d, name %q, message with %q", c.src, e, c.col, c.name, c.want)
		}
	}
}
