package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const minimal = `experiment: demo
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int, pos: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int}}
join: {main: imps, key: id, labels: {click: {source: clicks, within: 1h}}}
output: {topic: {name: out}}
`

func mustParse(t *testing.T, text string, opts LoadOptions) *Experiment {
	t.Helper()
	exp, diags := Parse("test.yaml", []byte(text), opts)
	if exp == nil || len(diags) > 0 {
		t.Fatalf("not good:\n%s", diags)
	}
	return exp
}

// TestDefaults fixes what a file that says nothing gets.
func TestDefaults(t *testing.T) {
	e := mustParse(t, minimal, testOptions())
	s := e.Sources[0]
	if e.Version != 1 || s.Format != "json" || s.TimeUnit != "ms" || s.OutOfOrderness != 30*time.Second || s.IdleAfter != time.Minute {
		t.Errorf("version %d, source %+v", e.Version, s)
	}
	j := e.Join
	if !slices.Equal(j.PartitionBy, []string{"id"}) || !j.Dedup || j.Delay != time.Hour || j.Late != "emit" {
		t.Errorf("join %+v", j)
	}
	if l := j.Labels[0]; !slices.Equal(l.On, []Pair{{"id", "id"}}) || l.Before != 0 || l.Where != nil || l.Value != nil {
		t.Errorf("label %+v", l)
	}
	if i := e.Instance; len(i.Select) != 0 || i.Sample != (Sample{Negatives: 1}) || i.Emit != "at_close" {
		t.Errorf("instance %+v", i)
	}
	o := e.Output
	if o.Format != "json" || o.DeadLetter != (DeadLetter{Topic: "dead-letters.demo"}) || o.Delivery != "exactly_once" || o.Parquet {
		t.Errorf("output %+v", o)
	}
	if k := e.Kafka; k.StartOffset != "earliest" || k.FetchMaxBytes != 50<<20 {
		t.Errorf("kafka %+v", k)
	}
}

func TestEverything(t *testing.T) {
	e, diags := Load("testdata/good/everything.yaml", testOptions())
	if e == nil {
		t.Fatal(diags)
	}
	if got := e.Kafka.SASL; got.Password != "hunter2" || got.Mechanism != "SCRAM-SHA-512" {
		t.Error("the password did not come from the environment")
	}
	if got := strings.Join(e.Sources[0].Row().Names(), " "); got != "request_id item_id shown_at score tags sizes bot seen top score_2 first_tag constant top_score" {
		t.Errorf("row %s", got)
	}
	if got := e.Join.Labels[0].On; !slices.Equal(got, []Pair{{"request_id", "rid"}, {"item_id", "item"}}) {
		t.Errorf("on %v", got)
	}
	if got := e.Join.Labels[1]; got.Before != 10*time.Minute || got.Within != 0 || got.Value.Source() != "words" {
		t.Errorf("search %+v", got)
	}
	if got := e.Instance.Select[1]; got != (Column{"score", "score", got.Type}) || got.Type.String() != "float?" {
		t.Errorf("column %+v", got)
	}
}

func TestSetOverrides(t *testing.T) {
	opts := testOptions()
	opts.Set = []string{"join.delay=1d", "output.delivery=at_least_once", "join.delay=2d", "sources.imps.topic=other", `instance={select: [pos]}`}
	e := mustParse(t, minimal, opts)
	if e.Join.Delay != 48*time.Hour || e.Output.Delivery != "at_least_once" || e.Sources[0].Topic != "other" || len(e.Instance.Select) != 1 {
		t.Errorf("delay %s, %+v, %+v", e.Join.Delay, e.Output, e.Instance)
	}
}

func TestNoEnvironment(t *testing.T) {
	text := strings.Replace(minimal, "topic: imps", "topic: ${NOT_SET_ANYWHERE}", 1)
	text = strings.Replace(text, "topic: ${NOT_SET_ANYWHERE}", `topic: "${NOT_SET_ANYWHERE}"`, 1) + "kafka: {tls: {enabled: true, root_cas_file: not-there.pem}}\n"
	opts := testOptions()
	if _, diags := Parse("test.yaml", []byte(text), opts); len(diags) != 2 {
		t.Errorf("with an environment:\n%s", diags)
	}
	opts.NoEnvironment = true
	if _, diags := Parse("test.yaml", []byte(text), opts); len(diags) != 0 {
		t.Errorf("without one:\n%s", diags)
	}
}

// TestUnreadable: what is no file is said, not panicked about.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("a: 1\n", 2<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                           "this is a directory",
		filepath.Join(dir, "no.yaml"): "no such file",
		big:                           "larger than 256 KiB",
	} {
		exp, diags := Load(path, testOptions())
		if exp != nil || len(diags) != 1 || diags[0].Code != BadFile || !strings.Contains(diags[0].Message, want) {
			t.Errorf("%s: %v", path, diags)
		}
	}
}

// TestHostileTexts: as large as a file may be, and still read or refused soon.
func TestHostileTexts(t *testing.T) {
	for _, unit := range []string{"[", "{a: ", "- ", "- - ", "? ", "&a ", "&a\n", "!!str ", "a: ", "a:\n ", "-\n ", "x: 1\n", "'", "\"", "|\n", "#", "*a ", "<<: ", "${", "password: ", "password:\n", ", ", "a: [b, c]\n- ", "? a\n"} {
		text := strings.Repeat(unit, min(maxFileBytes/len(unit), maxLines-1))
		if !strings.Contains(unit, "\n") {
			text = strings.Repeat(unit, maxLineBytes/len(unit))
		}
		start := time.Now()
		if exp, diags := Parse("x.yaml", []byte(text), testOptions()); exp != nil || !diags.HasErrors() || diags.String() == "" {
			t.Errorf("%q is good", unit)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%q took %s", unit, d)
		} else {
			t.Logf("%q took %s", unit, d)
		}
	}
}

// TestSecretsAreHidden: no output of any fault shows what is secret.
func TestSecretsAreHidden(t *testing.T) {
	opts := testOptions()
	opts.Set = []string{"kafka.sasl.password=hunter2", "kafka.sasl.tokn=hunter2"}
	env := opts.Environ
	opts.Environ = func(name string) (string, bool) {
		if name == "SECRET" {
			return "hunter2", true
		}
		return env(name)
	}
	for _, text := range []string{
		minimal + "kafka: {sasl: {mechanism: PLAIN, user: me, password: hunter2}}",
		minimal + "kafka: {sasl: {mechanism: PLAIN, user: me, 'password': 'hunter2, too'}}",
		minimal + "kafka: {sasl: {mechanism: PLAIN, user: me, pasword: hunter2}}",
		minimal + "kafka: {sasl: {mechanism: PLAIN, user: me, password:\n hunter2, toke: hunter2}}",
		minimal + "kafka: {sasl: {mechanism: PLAIN, user: me, password: [hunter2], token: {hunter2: 5}}}",
		minimal + "kafka:\n  sasl:\n    mechanism: PLAN\n    password: |\n      hunter2\n    \"password\": hunter2\n",
		minimal + "kafka:\n  sasl:\n    password:\n      hunter2: x\n",
		minimal + "kafka:\n  sasl:\n    password: [hunter2\n",
		minimal + "kafka:\n  sasl:\n    password: >\n      hunter2\n\t    bad: hunter2\n",
		minimal + "dimensions: {d: {key: id, store: {sql: {driver: x, dsn: 'a:hunter2@b', tabel: y}}, fields: {x: int}}}",
		strings.Replace(minimal, "topic: imps", "topic: ${SECRET}/x", 1),
		strings.Replace(strings.Replace(minimal, "main: imps", `main: "${SECRET}"`, 1), "within: 1h", `within: "${SECRET}"`, 1),
		strings.Replace(minimal, "source: clicks", `source: clicks, where: "${SECRET} > 1", value: "${SECRET}", on: "${SECRET}"`, 1),
		strings.Replace(minimal, "key: id", `key: "${SECRET}", partition_by: ["${SECRET}"], late: "${SECRET}"`, 1),
		strings.Replace(minimal, "pos: int", `pos: "${SECRET}"`, 1),
		minimal + `features: {f: {source: clicks, entity: "${SECRET}", agg: "${SECRET}", window: 1h}}` + "\ninstance: {select: ['${SECRET}'], sample: {negatives: '${SECRET}', by: '${SECRET}'}}",
		minimal + `kafka: {seed_brokers: ["${SECRET}"], fetch_max_bytes: "${SECRET}"}`,
	} {
		exp, diags := Parse("test.yaml", []byte(text), opts)
		if exp != nil || len(diags) == 0 {
			t.Errorf("nothing is wrong with\n%s", text)
		}
		asJSON, err := json.Marshal(diags)
		if err != nil {
			t.Fatal(err)
		}
		if out := diags.String() + string(asJSON); strings.Contains(out, "hunter2") {
			t.Errorf("a secret is shown:\n%s\nof\n%s", out, text)
		}
	}
}

// TestPrintedExperiment: no way of printing an experiment shows what is secret.
func TestPrintedExperiment(t *testing.T) {
	e, _ := Load("testdata/good/everything.yaml", testOptions())
	asJSON, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%v %+v %#v %s", e, *e, e.Kafka, asJSON)
	if strings.Contains(out, "hunter2") || !strings.Contains(out, "SCRAM-SHA-512") {
		t.Errorf("printed as %s", out)
	}
}

// TestSecretOfAnotherType: a password that YAML takes for a number is as secret.
func TestSecretOfAnotherType(t *testing.T) {
	_, diags := Parse("x.yaml", []byte(minimal+"kafka: {sasl: {mechanism: PLAIN, username: me, password: 71077345}}"), testOptions())
	if len(diags) == 0 || strings.Contains(diags.String(), "71077345") {
		t.Errorf("it is shown, or taken:\n%s", diags)
	}
}

// TestSecretKeysAreMasked: whatever the table calls secret, the masks know.
func TestSecretKeysAreMasked(t *testing.T) {
	walkBlocks(experimentBlock, map[*block]bool{}, func(b *block, k *key) {
		if !k.secret {
			return
		}
		for _, line := range []string{k.name + ": hunter2", "{" + k.name + ": hunter2}", `"` + k.name + `": "hunter2"`} {
			if got := newSource("", 0, line).shown(1); strings.Contains(got, "hunter2") || len(got) != len(line) {
				t.Errorf("%s is shown as %s", line, got)
			}
		}
	})
}

func TestDiagnosticJSON(t *testing.T) {
	_, diags := Parse("x.yaml", []byte(strings.Replace(minimal, "join:", "joint:", 1)), testOptions())
	text, err := json.Marshal(diags)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"path":"x.yaml","line":5,"col":1,"len":5,"severity":"error","code":"unknown-key","message":"unknown key ` + "`joint`" + ` in the experiment","help":"did you mean ` + "`join`" + `?"}`
	if !strings.Contains(string(text), want) {
		t.Errorf("%s", text)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"within", "where", "value", "source"}
	for name, want := range map[string]string{"withn": "within", "whithin": "within", "WHERE": "where", "suorce": "source", "dwell": "", "": ""} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%q is near %q, want %q", name, got, want)
		}
	}
}
