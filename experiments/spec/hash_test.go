package spec

import (
	"strings"
	"testing"
)

// TestHashIsOfTheMeaning: what changes nothing for an instance keeps the hash.
func TestHashIsOfTheMeaning(t *testing.T) {
	want := mustParse(t, minimal, testOptions()).Hash
	for what, text := range map[string]string{
		"comments":          "# hello\n" + strings.ReplaceAll(minimal, "\n", "   # there\n"),
		"order of keys":     "output: {topic: {name: out}}\n" + strings.Replace(strings.Replace(minimal, "output: {topic: {name: out}}\n", "", 1), "id: string, ts: int, pos: int", "pos: int, ts: int, id: string", 1),
		"durations":         strings.Replace(minimal, "within: 1h", "within: 60m", 1),
		"written defaults":  strings.Replace(minimal, "key: id", "key: [id], partition_by: id, delay: 3600s, dedup: true", 1) + "version: 1\ninstance: {select: [], emit: at_close}\n",
		"kafka":             minimal + "kafka: {seed_brokers: [\"a:1\"], sasl: {mechanism: SCRAM-SHA-256, username: a, password: b}}\n",
		"order of sources":  "experiment: demo\nsources:\n" + lines(minimal, 3, 4) + lines(minimal, 2, 3) + lines(minimal, 4, 6),
		"repartition":       strings.Replace(minimal, "key: id", "key: id, repartition: true, partitions: 9", 1),
		"partitioner":       strings.Replace(minimal, "key: id", "key: id, partitioner: any", 1),
		"parquet":           strings.Replace(minimal, "{topic: {name: out}}", "{topic: {name: out}, parquet: {path: ./out, roll: {every: 1m}, partition: [dt]}}", 1),
		"on as the default": strings.Replace(minimal, "within: 1h", "within: 1h, on: {id: id}", 1),
	} {
		if got := mustParse(t, text, testOptions()).Hash; got != want {
			t.Errorf("%s changed the hash:\n%s", what, text)
		}
	}
}

// TestHashTellsApart: what does change an instance changes the hash.
func TestHashTellsApart(t *testing.T) {
	seen := map[string]string{mustParse(t, minimal, testOptions()).Hash: "the file as it is"}
	for what, text := range map[string]string{
		"name":        strings.Replace(minimal, "demo", "demo2", 1),
		"version":     minimal + "version: 2\n",
		"within":      strings.Replace(minimal, "within: 1h", "within: 2h", 1),
		"delay":       strings.Replace(minimal, "key: id", "key: id, delay: 2h", 1),
		"dedup":       strings.Replace(minimal, "key: id", "key: id, dedup: false", 1),
		"late":        strings.Replace(minimal, "key: id", "key: id, late: drop", 1),
		"where":       strings.Replace(minimal, "within: 1h", "within: 1h, where: id != ''", 1),
		"value":       strings.Replace(minimal, "within: 1h", "within: 1h, value: ts", 1),
		"field":       strings.Replace(minimal, "pos: int", "pos: int?", 1),
		"derive":      strings.Replace(minimal, "topic: imps", "topic: imps, derive: {x: pos}", 1),
		"derive else": strings.Replace(minimal, "topic: imps", "topic: imps, derive: {x: ts}", 1),
		"select":      minimal + "instance: {select: [pos, ts]}\n",
		"select else": minimal + "instance: {select: [ts, pos]}\n",
		"sample":      minimal + "instance: {sample: {negatives: 0.5}}\n",
		"sample by":   minimal + "instance: {sample: {by: pos}}\n",
		"emit":        minimal + "instance: {emit: early_positive}\n",
		"topic":       strings.Replace(minimal, "topic: imps", "topic: imps2", 1),
		"disorder":    strings.Replace(minimal, "topic: imps", "topic: imps, out_of_orderness: 1s", 1),
		"letters":     strings.Replace(minimal, "{name: out}", "{name: out}, dead_letters: {file: x}", 1),
		"label":       strings.Replace(minimal, "click:", "klick:", 1),
		"on":          strings.Replace(minimal, "within: 1h", "within: 1h, on: [id, ts]", 1),
		"time unit":   strings.Replace(minimal, "{field: ts}", "{field: ts, unit: s}", 1),
	} {
		hash := mustParse(t, text, testOptions()).Hash
		if other, taken := seen[hash]; taken {
			t.Errorf("%s and %s have one hash", what, other)
		}
		seen[hash] = what
	}
}

// lines are text's lines from (0-based) to to.
func lines(text string, from, to int) string {
	return strings.Join(strings.SplitAfter(text, "\n")[from:to], "")
}
