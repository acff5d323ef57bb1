package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestInputsOfEveryFormat runs an experiment on JSON lines, and on the same as
// Parquet in folders and as compressed CSV: the rows are the same. A second run
// finds that it has published them.
func TestInputsOfEveryFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 400)
	type imp struct {
		Pos int32  `parquet:"pos"`
		ID  string `parquet:"id"`
		TS  int64  `parquet:"ts,timestamp"`
	}
	halves := [2][]imp{}
	for i, line := range lines(read(t, dir, "imps.jsonl")) {
		var r imp
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		halves[i/200] = append(halves[i/200], r)
	}
	for i, rows := range halves {
		var out bytes.Buffer
		if err := parquet.Write(&out, rows); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "lake", "imps", fmt.Sprintf("part=%d", i), "a.parquet"), out.String())
		write(t, filepath.Join(dir, "lake", "imps", fmt.Sprintf("part=%d", i), "_SUCCESS"), "")
	}
	cells := strings.NewReplacer(`{"id":"`, "", `","ts":`, ",", "}", "").Replace(read(t, dir, "clicks.jsonl"))
	write(t, filepath.Join(dir, "lake", "clicks.csv.gz"), gzipped(t, "id,ts\n"+cells))
	other := []string{"--input", "impressions=" + filepath.Join(dir, "lake", "imps"), "--input", "clicks=file://" + filepath.Join(dir, "lake", "*.csv.gz")}
	var first []string
	for name, flags := range map[string][]string{"lines": inputs, "lake": other} {
		data := filepath.Join(dir, name)
		args := append([]string{file, "--embedded", data}, flags...)
		if r := runToEnd(t, args...); r.Instances != 400 || r.Positives != 40 {
			t.Errorf("%s: %d instances, %d positives", name, r.Instances, r.Positives)
		}
		runToEnd(t, args...)
		rows := tailed(t, "f.instances", "--embedded", data)
		if len(rows) != 400 {
			t.Errorf("%s: %d rows after two runs, want 400", name, len(rows))
		}
		if first != nil {
			same(t, "rows", rows, first)
		}
		first = rows
	}
}

func TestInputsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	good := write(t, filepath.Join(dir, "good.csv"), "id,ts,pos\na,1700000000000,1\n")
	bad := write(t, filepath.Join(dir, "bad.csv"), "id,when\n")
	cut := write(t, filepath.Join(dir, "cut.parquet"), "PAR1 and no more")
	for _, c := range []struct{ input, text string }{
		{bad, bad + " has no column ts, which is the event time; " + good + " has it"},
		{cut, cut + ": the Parquet file cannot be opened: it does not end with PAR1"},
		{filepath.Join(dir, "none"), "no such file: " + filepath.Join(dir, "none")},
		{dir, "feed.yaml, which is no data file by its name"},
	} {
		for _, verb := range []string{"debug", "run", "replay"} {
			fails(t, 1, []string{"--input impressions", c.text}, verb, file, "--input", "impressions="+good, "--input", "impressions="+c.input)
		}
	}
}
