package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const changedTables = `
experiment: kept
sources:
  impressions:
    topic: ct.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, item_id: string}
  clicks:
    topic: ct.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
dimensions:
  debezium: {key: item_id, store: STORE1, timeout: 30s, as_of: emission, fields: {brand: string, price: float?}, changes: {topic: ct.debezium, format: debezium, key: id}}
  canal: {key: item_id, store: STORE2, timeout: 30s, as_of: emission, fields: {brand: string, price: float?}, changes: {topic: ct.canal, format: canal, key: id, table: shop.items}}
instance:
  select: [item_id, debezium.brand, debezium.price, canal.brand, canal.price]
output:
  topic: {name: ct.instances}
`

// keptRow is an item's row; nil where there is none.
type keptRow struct {
	brand string
	price *float64
}

// keptTraffic draws changes of items and writes them in both formats, in two parts:
// rows that come, change, as a whole or (Debezium) a column, and go. It returns what
// they leave.
func keptTraffic(t *testing.T, dir string, rng *rand.Rand, items, changes int) map[string]*keptRow {
	t.Helper()
	rows := map[string]*keptRow{}
	at := int64(1_700_000_000_000)
	for _, part := range []string{"1", "2"} {
		var debezium, canal strings.Builder
		for range changes {
			at++
			id := fmt.Sprint("item|", rng.IntN(items))
			was := rows[id]
			if was != nil && rng.IntN(5) == 0 {
				fmt.Fprintf(&debezium, `{"op":"d","before":{"id":%q},"source":{"ts_ms":%d}}`+"\n", id, at)
				fmt.Fprintf(&canal, `{"type":"DELETE","database":"shop","table":"items","es":%d,"data":[{"id":%q}]}`+"\n", at, id)
				delete(rows, id)
				continue
			}
			now := &keptRow{brand: fmt.Sprint("brand ", rng.IntN(9), `"ü`)}
			price, text := "null", "null"
			if rng.IntN(3) > 0 {
				p := float64(rng.IntN(400)) / 4
				now.price, price, text = &p, fmt.Sprint(p), fmt.Sprintf("%q", fmt.Sprint(p))
			}
			brand := fmt.Sprintf(`"brand":%q,`, now.brand)
			if was != nil && rng.IntN(2) == 0 {
				now.brand, brand = was.brand, "" // stays as it was
			}
			fmt.Fprintf(&debezium, `{"op":"u","after":{"id":%q,%s"price":%s},"source":{"ts_ms":%d}}`+"\n", id, brand, price, at)
			fmt.Fprintf(&canal, `{"type":"INSERT","database":"shop","table":"items","es":%d,"data":[{"id":%q,"brand":%q,"price":%s}]}`+"\n", at, id, now.brand, text)
			rows[id] = now
		}
		write(t, filepath.Join(dir, "debezium"+part+".jsonl"), debezium.String())
		write(t, filepath.Join(dir, "canal"+part+".jsonl"), canal.String())
	}
	return rows
}

// TestChangesIntoServers keeps tables of real databases by change streams of both
// formats, under a run that is killed: rows of the run have what the changes leave,
// and so has a backfill that makes the tables of the topics.
func TestChangesIntoServers(t *testing.T) {
	t.Parallel()
	for _, s := range tableServers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			changeIn(t, s.open(t))
		})
	}
}

func changeIn(t *testing.T, in tables) {
	rng, dir := random(t), t.TempDir()
	const items = 60
	left := keptTraffic(t, dir, rng, items, 600)
	var stores []string
	for range 2 {
		table := newTable()
		in.create(t, table, false)
		stores = append(stores, in.store(table))
	}
	file, data := servedBy(t, filepath.Join(dir, "kept.yaml"), changedTables, stores...), filepath.Join(dir, "data")
	replay := func(part string) {
		t.Helper()
		args := []string{"replay", file, "--embedded", data}
		for _, format := range []string{"debezium", "canal"} {
			args = append(args, "--input", "ct."+format+"="+filepath.Join(dir, format+part+".jsonl"))
		}
		succeed(t, args...)
	}
	run := []string{file, "--partitions", "2", "--commit-every", "5ms"}
	p, brokers, _ := live(t, data, run...)
	replay("1")
	await(t, "some changes to be in their tables", func() bool { return takenIn(t, brokers, "ct.debezium") > 0 && takenIn(t, brokers, "ct.canal") > 0 }, p)
	_ = p.cmd.Process.Kill()
	<-p.done
	p, brokers, _ = live(t, data, run...)
	replay("2")
	await(t, "all changes to be in their tables", func() bool {
		return takenIn(t, brokers, "ct.debezium") == 1200 && takenIn(t, brokers, "ct.canal") == 1200
	}, p)
	p.stop()

	var imps strings.Builder
	for i := range 4 * items {
		fmt.Fprintf(&imps, `{"impression_id":"m%d","ts":%d,"item_id":"item|%d"}`+"\n", i, 1_700_000_100_000+i, i%(items+5))
	}
	inputs := []string{"--input", "impressions=" + write(t, filepath.Join(dir, "imps.jsonl"), imps.String()), "--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), "")}
	if r := runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "2")...); r.Instances != 4*items {
		t.Errorf("%+v", *r)
	}
	for _, text := range tailed(t, "ct.instances", "--embedded", data) {
		checkKept(t, text, left)
	}
	out := filepath.Join(dir, "out")
	succeed(t, "backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--embedded", data)
	if r := execute(t, "diff", "topic:ct.instances", out, "--embedded", data); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
}

func checkKept(t *testing.T, text string, left map[string]*keptRow) {
	t.Helper()
	row := decode[map[string]any](t, text)
	want := left[row["item_id"].(string)]
	for _, name := range []string{"debezium", "canal"} {
		brand, price := any(nil), any(nil)
		if want != nil {
			if brand = want.brand; want.price != nil {
				price = *want.price
			}
		}
		if row[name+"_brand"] != brand || row[name+"_price"] != price {
			t.Errorf("%s: %s has %v, %v to be expected", text, name, brand, price)
		}
	}
	if degraded := len(row["degraded"].([]any)); (want == nil) != (degraded == 2) || want != nil && degraded > 0 {
		t.Errorf("%s: a row is there: %t", text, want != nil)
	}
}

// takenIn is how many records of a topic of changes are in their tables: the group
// that writes them says so.
func takenIn(t *testing.T, brokers, topic string) (records int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	groups, err := admin.ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups() {
		if !strings.HasPrefix(group, "mortise.changes."+topic+".") {
			continue
		}
		offsets, err := admin.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) { records += o.At })
	}
	return records
}
