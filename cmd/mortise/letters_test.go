package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// letter is a dead letter as it is written.
type letter struct {
	Experiment, Source, Topic, Reason, Error string
	Partition                                int32
	Offset                                   int64
	Raw                                      *string
	RawBase64                                string `json:"raw_base64"`
}

func (l *letter) bytes(t *testing.T) string {
	t.Helper()
	if l.Raw != nil {
		return *l.Raw
	}
	raw, err := base64.StdEncoding.DecodeString(l.RawBase64)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const tenMB = 10_000_000

// junk is impressions that cannot be used, with the reason, and those that can,
// with the instance's id; one of each has largeBytes.
func junk(largeBytes int) (bad map[string]string, sound map[string]string) {
	at := func(id, ts, more string) string { return fmt.Sprintf(`{"id":%s,"ts":%s%s}`, id, ts, more) }
	now, pos := fmt.Sprint(t0), `,"pos":1`
	bad = map[string]string{
		`{"id":"cut","ts":`: "bad_json", `not json`: "bad_json", `[1]`: "bad_json", `"text"`: "bad_json", `null`: "bad_json",
		at(`"after"`, now, pos) + " more": "bad_json", "{\"id\":\"\xff\",\"ts\":" + now + pos + "}": "bad_json",
		at("7", now, pos): "bad_field", at(`"typed"`, now, `,"pos":"1"`): "bad_field", at(`"null"`, now, `,"pos":null`): "bad_field",
		at(`"lacks"`, now, ""): "bad_field", at(`"wide"`, now, `,"pos":9223372036854775808`): "bad_field",
		at("null", now, pos): "missing_key", `{"ts":` + now + pos + "}": "missing_key",
		at(`"1970"`, "0", pos): "bad_time", at(`"1969"`, "-1", pos): "bad_time", at(`"2100"`, "4102444800000", pos): "bad_time",
		at(`"over"`, "99999999999999999999", pos): "bad_time", at(`"max"`, "9223372036854775807", pos): "bad_time",
		at(`"noon"`, `"noon"`, pos): "bad_time", at(`"never"`, "null", pos): "bad_time", `{"id":"without"` + pos + "}": "bad_time",
		at(`"typed"`, now, `,"pos":"`+strings.Repeat("x", 1000)+`"`):       "bad_field",
		at(`"open"`, now, pos+`,"blob":"`+strings.Repeat("x", largeBytes)): "bad_json",
	}
	sound = map[string]string{
		at(`"plain"`, now, pos): "plain", at(`""`, now, pos): "", at(`"a|b\\c"`, now, pos): `a\|b\\c`, at(`"ключ 键 🔑"`, now, pos): "ключ 键 🔑",
		at(`"\u00e9\t"`, now, pos): "é\t", at(`"large"`, now, pos+`,"blob":"`+strings.Repeat("y", largeBytes)+`"`): "large",
		" " + at(`"spaced"`, now, ` , "pos" : -1 `) + " ": "spaced", at(`"zero"`, now, `,"pos":0`): "zero",
	}
	return bad, sound
}

// TestJunk runs all kinds of bad input: every record comes out as one row or one
// dead letter that says where it lies and holds it.
func TestJunk(t *testing.T) {
	t.Parallel()
	t.Run("topic", func(t *testing.T) {
		t.Parallel()
		dir := runJunk(t, tenMB)
		checkLetters(t, lines(tool(t, released(t), "tail", "dead-letters.feed", "--until-end", "--embedded", dir)), tenMB, inTopics(t, dir))
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "letters", "dead.jsonl")
		dir := runJunk(t, 10_000, "--set", "output.dead_letters.file="+file)
		checkLetters(t, lines(read(t, file)), 10_000, inTopics(t, dir))
	})
}

// runJunk runs over junk and returns the broker's directory.
func runJunk(t *testing.T, largeBytes int, more ...string) (dir string) {
	t.Helper()
	bad, sound := junk(largeBytes)
	folder, dir := t.TempDir(), t.TempDir()
	var imps, clicks strings.Builder
	for _, records := range []map[string]string{bad, sound} {
		for raw := range records {
			imps.WriteString(raw + "\n")
		}
	}
	imps.WriteString("\n   \n")                                                                                                    // no records
	fmt.Fprintf(&clicks, `{"id":"a|b\\c","ts":%d}`+"\n"+`{"id":"ключ 键 🔑","ts":%d}`+"\n"+`{"id":"plain","ts":"noon"}`, t0+5, t0+5) // without a newline at the end
	args := append([]string{write(t, filepath.Join(folder, "feed.yaml"), feed), "--embedded", dir, "--partitions", "3",
		"--input", "impressions=" + write(t, filepath.Join(folder, "imps.jsonl"), imps.String()),
		"--input", "clicks=" + write(t, filepath.Join(folder, "clicks.jsonl"), clicks.String())}, more...)
	r := atEnd(t, tool(t, released(t), toEnd(args...)...)) // the race detector makes the large records take long
	if int(r.Impressions.In) != len(bad)+len(sound) || int(r.Instances) != len(sound) || r.Positives != 2 || r.Labels.In != 3 || int(r.DeadLetters) != len(bad)+1 {
		t.Errorf("%+v, want %d impressions, %d instances, 2 positives, %d dead letters", *r, len(bad)+len(sound), len(sound), len(bad)+1)
	}
	checkSound(t, tailed(t, "f.instances", "--embedded", dir), sound)
	return dir
}

// inTopics returns the records of the input topics by place, as tail shows them.
func inTopics(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, topic := range []string{"f.impressions", "f.clicks"} {
		for _, line := range lines(tool(t, released(t), "tail", topic, "--meta", "--until-end", "--embedded", dir)) {
			r := decode[struct {
				Partition int32
				Offset    int64
				Value     json.RawMessage
			}](t, line)
			all[fmt.Sprintf("%s/%d@%d", topic, r.Partition, r.Offset)] = string(r.Value)
		}
	}
	return all
}

// shown is how tail --meta shows a record's value.
func shown(t *testing.T, raw string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, jsonValue([]byte(raw))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func checkLetters(t *testing.T, letters []string, largeBytes int, at map[string]string) {
	t.Helper()
	bad, _ := junk(largeBytes)
	seen := map[string]bool{}
	clicks := 0
	for _, line := range letters {
		l := decode[letter](t, line)
		raw := l.bytes(t)
		place := fmt.Sprintf("%s/%d@%d", l.Topic, l.Partition, l.Offset)
		if at[place] != shown(t, raw) || l.Experiment != "feed" || l.Error == "" || len(l.Error) > 500 {
			t.Errorf("a letter about %s says %.300s", place, line)
		}
		if l.Source == "clicks" {
			clicks++
			continue
		}
		if want, ok := bad[raw]; !ok || want != l.Reason || l.Source != "impressions" || seen[raw] {
			t.Errorf("%.100q of %s has the reason %s, want %s, once", raw, l.Source, l.Reason, want)
		}
		seen[raw] = true
	}
	if len(seen) != len(bad) || clicks != 1 {
		t.Errorf("letters about %d impressions and %d clicks, want %d and 1", len(seen), clicks, len(bad))
	}
}

func checkSound(t *testing.T, rows []string, sound map[string]string) {
	t.Helper()
	want := map[string]bool{}
	for _, id := range sound {
		want[id] = true
	}
	for _, row := range rows {
		id := decode[struct {
			ID string `json:"instance_id"`
		}](t, row).ID
		if !want[id] {
			t.Errorf("a surplus row: %.200s", row)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("no rows for %v", want)
	}
}

// TestNothingAtAll runs over empty files, empty topics and no input.
func TestNothingAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	empty, blank := write(t, filepath.Join(dir, "empty.jsonl"), ""), write(t, filepath.Join(dir, "blank.jsonl.gz"), gzipped(t, "\n\n"))
	for name, inputs := range map[string][]string{
		"no input": nil, "empty files": {"--input", "impressions=" + empty, "--input", "clicks=" + blank},
		"clicks only": {"--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), fmt.Sprintf(`{"id":"nobody","ts":%d}`, t0))},
	} {
		r := runToEnd(t, append(inputs, file, "--embedded", filepath.Join(dir, name))...)
		if r.Impressions.In != 0 || r.Instances != 0 || r.Labels.Unmatched != r.Labels.In || (name == "clicks only") != (r.Labels.In == 1) {
			t.Errorf("%s: %+v", name, *r)
		}
		if rows := tailed(t, "f.instances", "--embedded", filepath.Join(dir, name)); len(rows) != 0 {
			t.Errorf("%s: rows %q", name, rows)
		}
	}
}
