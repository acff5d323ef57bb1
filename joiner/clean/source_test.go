package clean

import (
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// experiment builds an Experiment from texts: fields as `name:type` separated by
// spaces, derived fields as `name=expression`.
func experiment(t testing.TB, fields, where string, derive ...string) Experiment {
	t.Helper()
	var exp Experiment
	for decl := range strings.FieldsSeq(fields) {
		name, typ, _ := strings.Cut(decl, ":")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		exp.Fields = append(exp.Fields, mortise.Field{Name: name, Type: parsed})
	}
	env := append(mortise.Schema{}, exp.Fields...)
	compile := func(src string) *expression.Program {
		p, err := expression.Compile(src, env)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		return p
	}
	for _, d := range derive {
		name, src, _ := strings.Cut(d, "=")
		p := compile(strings.TrimSpace(src))
		name = strings.TrimSpace(name)
		exp.Derive = append(exp.Derive, Derived{name, p})
		env = append(env, mortise.Field{Name: name, Type: p.Type()})
	}
	if where != "" {
		exp.Where = compile(where)
	}
	return exp
}

// newSource fills in what most tests do not care about.
func newSource(t testing.TB, opts Options) *Source {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "impressions"
	}
	if opts.TimeField == "" {
		opts.TimeField, opts.TimeUnit = "ts", "ms"
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSourceSharesFieldsAndExpressions(t *testing.T) {
	s := newSource(t, Options{Experiments: []Experiment{
		experiment(t, "a:int b:int?", "top && b == 1", "top = a == 1", "twice = a * 2"),
		experiment(t, "c:string a:int b:int?", "top && b == 1", "top = a == 1", "twice = a + a"),
		experiment(t, "b:int a:int", "top && b == 1", "top = a == 1"), // here b must be there
	}})
	if len(s.fields) != 3 || len(s.derive) != 3 || len(s.wheres) != 2 || s.Width() != 6 {
		t.Fatalf("got %d fields, %d derived, %d wheres, want 3, 3, 2", len(s.fields), len(s.derive), len(s.wheres))
	}
	for _, c := range []struct {
		exp   int
		field string
		want  int
	}{
		{0, "a", 0}, {0, "b", 1}, {1, "c", 2}, {1, "a", 0}, {2, "b", 1},
		{0, "top", 3}, {1, "top", 3}, {2, "top", 3}, {0, "twice", 4}, {1, "twice", 5}, {2, "twice", -1}, {0, "c", -1}, {0, "ts", -1},
	} {
		if got := s.Slot(c.exp, c.field); got != c.want {
			t.Errorf("Slot(%d, %s) = %d, want %d", c.exp, c.field, got, c.want)
		}
	}
	if s.wheres[0].users != 0b011 || s.wheres[1].users != 0b100 || s.derive[0].users != 0b111 {
		t.Errorf("users: %b, %b, %b", s.wheres[0].users, s.wheres[1].users, s.derive[0].users)
	}
}

func TestSourceRefuses(t *testing.T) {
	plain := experiment(t, "a:int", "")
	foreign := experiment(t, "a:int b:int", "b == 1")
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{}, "source s: 0 experiments share it: a pipeline takes 1 to 32"},
		{Options{Experiments: make([]Experiment, 33)}, "source s: 33 experiments share it"},
		{Options{TimeUnit: "m", Experiments: []Experiment{plain}}, `source s: unknown unit "m" of event time: write s, ms, us, ns or rfc3339`},
		{Options{TimeField: "-", Experiments: []Experiment{plain}}, "source s: event time needs a field"},
		{Options{Experiments: []Experiment{plain, experiment(t, "a:string", "")}}, "source s: field a is declared as int and as string by experiments"},
		{Options{Experiments: []Experiment{experiment(t, "a:[int]", ""), experiment(t, "a:[float]", "")}}, "field a is declared as [int] and as [float]"},
		{Options{Experiments: []Experiment{{Fields: append(plain.Fields, plain.Fields...)}}}, `field "a" is declared twice`},
		{Options{Experiments: []Experiment{{Fields: plain.Fields, Derive: []Derived{{Name: "a", Program: foreign.Where}}}}}, `derived field "a" has the name of another field`},
		{Options{Experiments: []Experiment{{Fields: plain.Fields, Where: foreign.Where}}}, `where: "b == 1" reads b, which is not declared`},
		{Options{Experiments: []Experiment{{Fields: plain.Fields, Derive: []Derived{{Name: "d", Program: foreign.Where}}}}}, `d: "b == 1" reads b, which is not declared`},
		{Options{Experiments: []Experiment{{Fields: plain.Fields, Where: experiment(t, "a:int", "", "d = a + 1").Derive[0].Program}}}, `where: "a + 1" is int, not bool`},
		{Options{Experiments: []Experiment{plain}, Keys: [][]string{{"a", "id"}}}, "key: field id is not declared: add it to the source's fields"},
		{Options{Experiments: []Experiment{plain}, Keys: [][]string{{}}}, "key: it needs at least one field"},
		{Options{Experiments: []Experiment{plain}, PartitionBy: []string{"id"}}, "partition_by: field id is not declared"},
		{Options{Experiments: []Experiment{experiment(t, "l:[int]", "")}, Keys: [][]string{{"l"}}}, "key: field l is a list"},
		{Options{Experiments: []Experiment{experiment(t, "a:int", "", "k = a + 1"), experiment(t, "a:int", "", "k = a + 2")}, Keys: [][]string{{"k"}}},
			"key: field k is computed in different ways"},
	} {
		c.opts.Name = "s"
		switch {
		case c.opts.TimeField == "":
			c.opts.TimeField = "ts"
		case c.opts.TimeField == "-":
			c.opts.TimeField = ""
		}
		if c.opts.TimeUnit == "" {
			c.opts.TimeUnit = "ms"
		}
		if _, err := New(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// Intake looks for what it needs, and for nothing else.
func TestSourcePlansIntake(t *testing.T) {
	s := newSource(t, Options{
		Experiments: []Experiment{experiment(t, "id:string a:int b:int c:int d:int shown:bool", "shown && top", "top = a == 1", "deep = top ? b : c")},
		Keys:        [][]string{{"id"}}, PartitionBy: []string{"id"},
	})
	if got := strings.Join(s.intake.wanted, " "); got != "shown a id ts" {
		t.Errorf("intake looks for %q", got)
	}
	if len(s.intake.steps) != 1 || len(s.decode.steps) != 2 {
		t.Errorf("intake computes %v, decode %v", s.intake.steps, s.decode.steps)
	}
}
