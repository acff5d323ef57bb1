package main

import (
	"fmt"
	"math/rand"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// openBanditCut cuts the logged files into several of random names, in a format,
// and returns them as --input flags. Each file is a random part of the lines, in
// the order that they had: a stream reads files side by side.
const openBanditCut = `
import sys, gzip, json, random, os
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.csv as pc
source, out, form, seed = sys.argv[1:5]
rnd = random.Random(int(seed))
for name in ["impressions", "clicks"]:
    parts = [[] for _ in range(rnd.randint(2, 5))]
    with gzip.open(f"{source}/{name}.jsonl.gz", "rt") as lines:
        for line in lines:
            rnd.choice(parts).append(json.loads(line))
    os.makedirs(f"{out}/{name}")
    for rows in parts:
        if not rows:
            continue
        if form == "scattered":
            rnd.shuffle(rows)
        file = f"{out}/{name}/{rnd.randrange(10**9)}"
        if form == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), file + ".parquet", row_group_size=2000, compression=rnd.choice(["snappy", "zstd", "none"]))
        elif form == "csv":
            pc.write_csv(pa.Table.from_pylist(rows), file + ".csv")
        else:
            with gzip.open(file + ".jsonl.gz", "wt") as f:
                f.writelines(json.dumps(row) + "\n" for row in rows)
`

// cutOpenBandit returns the flags for files in a format.
func cutOpenBandit(t *testing.T, form string, seed int) []string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cut")
	out, err := exec.Command(provisioned.Python(t), "-c", openBanditCut, provisioned.Data(t, "openbandit"), dir, form, fmt.Sprint(seed)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{"--input", "impressions=" + filepath.Join(dir, "impressions", "*"), "--input", "clicks=" + filepath.Join(dir, "clicks", "*")}
}

// TestEqualityOfOpenBandit compares, on real logs, the stream's topic and dataset
// with backfills of the same events as JSON lines, CSV and Parquet, cut anyhow.
func TestEqualityOfOpenBandit(t *testing.T) {
	t.Parallel()
	inputs, dir := openBanditInputs(t), t.TempDir()
	file := write(t, filepath.Join(dir, "openbandit.yaml"), openbandit+"  parquet: {path: "+filepath.Join(dir, "out")+"}\n")
	atEnd(t, tool(t, released(t), toEnd(append([]string{file, "--embedded", dir, "--partitions", "3"}, inputs...)...)...))
	want := lines(tool(t, released(t), "tail", "instances.openbandit", "--until-end", "--embedded", dir))
	slices.Sort(want)
	if positive := strings.Count(strings.Join(want, "\n"), `"label_click":1,`); len(want) != 40_000 || positive != 207 {
		t.Fatalf("%d rows, %d of them positive, want 40000 and 207", len(want), positive)
	}
	same(t, "the stream's dataset", parquetIn(t, filepath.Join(dir, "out")).rows, want)
	for i, form := range []string{"jsonl", "scattered", "csv", "parquet"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			seed := rand.Intn(1_000_000)
			t.Logf("seed %d", seed)
			rows, out := batchRows(t, file, append(cutOpenBandit(t, form, seed), "--workers", fmt.Sprint(1+3*(i%2)), "--splits", fmt.Sprint(1+2*i))...)
			same(t, "backfill of "+form, rows, want)
			for _, side := range []string{"topic:instances.openbandit", filepath.Join(dir, "out")} {
				tool(t, released(t), "diff", side, out, "--embedded", dir)
			}
		})
	}
}
