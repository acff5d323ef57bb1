package experiments_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/joiner"
)

// simDimensionBlock declares the dimensions of a simulated world, one read at each
// of the three times. ARRIVED and LATEST are what becomes of impressions without a row
// of the first and the last.
const simDimensionBlock = `dimensions:
  arrived: {key: item_id, store: {file: {path: none.csv}}, missing: ARRIVED, fields: {x: int, name: string?}}
  valid: {key: [user_segment, item_id], store: {file: {path: none.csv}}, as_of: event_time, missing: default, AMENDED fields: {x: int}}
  latest: {key: user_segment, store: {file: {path: none.csv}}, as_of: emission, missing: LATEST, fields: {x: int}}
`

const simDimensionColumns = "arrived.x, arrived.name, valid.x, latest.x"

// simLookup is what the simulated tables hold: how a key is served, and its row.
func simLookup(table, key string, timeMS int64) (dimjoin.Served, int64) {
	h := fnv.New32a()
	fmt.Fprint(h, table, key)
	if table == "valid" {
		fmt.Fprint(h, timeMS/600_000)
	}
	n := int64(h.Sum32() % 1000)
	switch {
	case n%11 == 0 && table == "valid":
		return dimjoin.ServedDefault, 0
	case n%11 == 0:
		return dimjoin.ServedMissing, 0
	case n%7 == 0:
		return dimjoin.ServedStale, n
	}
	return dimjoin.ServedStore, n
}

// simComing is when a key of the table "arrived" gets its row, where rows are late:
// some have it from the beginning, some from a time on, some when all input is there,
// some never.
func (r *simRun) simComing(key string) bool {
	h := fnv.New32a()
	fmt.Fprint(h, "coming", key)
	switch h.Sum32() % 5 {
	case 0:
		return r.check.complete
	case 1:
		return r.check.complete || time.Since(synctestEpoch) > time.Duration(h.Sum32()%3600)*time.Second
	}
	return true
}

// simDimensions are stores that are slow at times.
type simDimensions struct {
	process *simulation.Process
	run     *simRun
}

// Read implements experiments.Dimensions.
func (s *simDimensions) Read(_ context.Context, lookups [][]dimjoin.Answer) error {
	if err := s.process.Request(fmt.Sprintf("read %d, %d and %d dimensions", len(lookups[0]), len(lookups[1]), len(lookups[2]))); err != nil {
		return err
	}
	away := !s.run.check.complete && s.run.schedule.Chance(4) // it cannot be read
	for dim, table := range []string{"arrived", "valid", "latest"} {
		s.run.counts.lookedUp += len(lookups[dim])
		for i := range lookups[dim] {
			a := &lookups[dim][i]
			var n int64
			a.Served, n = simLookup(table, string(a.Key), a.AsOfMS)
			if table == "arrived" && s.run.world.kind.parking && (away || !s.run.simComing(string(a.Key))) {
				a.Served = dimjoin.ServedMissing
			}
			if table == "valid" && s.run.world.kind.amending && !a.Served.Degraded() && !s.run.simComing("valid"+string(a.Key)) {
				if a.Served, n = dimjoin.ServedDefault, 0; len(a.Key)%2 == 0 {
					a.Served, n = dimjoin.ServedStale, 5000
				}
			}
			if a.Row = (mortise.Row{mortise.IntValue(n)}); table == "arrived" {
				a.Row = append(a.Row, mortise.StringValue(fmt.Sprint("name-", n)))
			}
			if a.Served != dimjoin.ServedMissing {
				continue
			}
			for field := range a.Row {
				a.Row[field] = mortise.NullValue()
			}
			if a.Absent = !away; table == "latest" && s.run.world.kind.policy == "at_close" {
				a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Field: table, Detail: "no row of key " + string(a.Key)}
			}
		}
	}
	return nil
}

// addDimensions adds to an oracle's row what an impression's lookups give, and what
// they were not served as; false says that it belongs to the dead letters.
func addDimensions(row *ordered, i event, rejects bool) (degraded []string, ok bool) {
	degraded = []string{}
	item, segment := escapeKey(i.text("item_id")), escapeKey(i.text("user_segment"))
	for _, l := range []struct{ table, key string }{{"arrived", item}, {"valid", segment + "|" + item}, {"latest", segment}} {
		served, n := simLookup(l.table, l.key, i.ts)
		var x, name any = n, fmt.Sprint("name-", n)
		if served == dimjoin.ServedMissing {
			if x, name = nil, nil; l.table == "latest" && rejects {
				return nil, false
			}
		}
		if row.add(l.table+"_x", x); l.table == "arrived" {
			row.add("arrived_name", name)
		}
		if served.Degraded() {
			degraded = append(degraded, l.table+":"+served.String())
		}
	}
	return degraded, true
}

// simParked reads the topic of rows that wait.
type simParked struct {
	process *simulation.Process
	broker  *simulation.Broker
}

// Read implements experiments.ParkedRows.
func (s *simParked) Read(_ context.Context, partition int32, fn func(key, value []byte) error) error {
	if err := s.process.Request("read rows that wait"); err != nil {
		return err
	}
	for _, o := range s.broker.Output(simParkedTopic) {
		if o.Partition != partition {
			continue
		}
		if err := fn(o.Key, o.Value); err != nil {
			return err
		}
	}
	return nil
}

const simParkedTopic = "group.parked"

// parked follows a record of the topic of rows that wait.
func (c *simCheck) parked(o *experiments.Output) {
	if !o.Placed {
		c.fault("row %s waits anywhere", o.Key)
	}
	all := c.waiting[o.Partition]
	if all == nil {
		all = map[string]bool{}
		c.waiting[o.Partition] = all
	}
	key := string(o.Key)
	switch {
	case o.Value == nil && !all[key]:
		c.fault("%s waits no longer, and did not", o.Key)
	case o.Value == nil:
		delete(all, key)
	case all[key]:
		c.fault("%s waits twice", o.Key)
	default:
		all[key] = true
		c.parkings++
	}
}

// account holds the committed account against what waits.
func (c *simCheck) account(offsets map[experiments.TopicPartition]experiments.CommittedOffset) {
	for tp, at := range offsets {
		if tp.Topic != "imps" {
			continue
		}
		s, err := joiner.ParseMetadata(at.Metadata)
		if err != nil {
			c.fault("%v", err)
			return
		}
		l := &s.Ledgers[0]
		if err := l.Check(); err != nil {
			c.fault("%v", err)
		}
		if got := len(c.waiting[tp.Partition]); int(l.Impressions.Parked+l.Remembered) != got {
			c.fault("the account of partition %d says that %d rows wait and %d may be corrected, and there are %d", tp.Partition, l.Impressions.Parked, l.Remembered, got)
		}
	}
}

// patiently returns a row as it is with what it waited for; where rows do not wait
// long, some are written without.
func (c *simCheck) patiently(text string) string {
	if !c.world.kind.parking || !c.world.kind.hasty {
		return text
	}
	var row struct {
		Item     string   `json:"item_id"`
		X        *int64   `json:"arrived_x"`
		Degraded []string `json:"degraded"`
	}
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		c.fault("%v: %s", err, text)
		return text
	}
	served, n := simLookup("arrived", escapeKey(row.Item), 0)
	if row.X != nil || served == dimjoin.ServedMissing {
		return text
	}
	text = strings.Replace(text, `"arrived_x":null,"arrived_name":null`, fmt.Sprintf(`"arrived_x":%d,"arrived_name":"name-%d"`, n, n), 1)
	how := ""
	if served.Degraded() {
		how = `"arrived:` + served.String() + `"`
	}
	text = strings.Replace(text, `"arrived:missing"`, how, 1)
	return strings.NewReplacer("[,", "[").Replace(text)
}

// amended follows the revisions of a row, and returns the first as the last is to be;
// false for the others.
func (c *simCheck) amended(text string) (string, bool) {
	var row struct {
		ID       string   `json:"instance_id"`
		TimeMS   int64    `json:"event_time"`
		Item     string   `json:"item_id"`
		Segment  string   `json:"user_segment"`
		X        int64    `json:"valid_x"`
		Revision int      `json:"revision"`
		Degraded []string `json:"degraded"`
	}
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		c.fault("%v: %s", err, text)
		return text, false
	}
	at := fmt.Sprint(row.ID, "@", row.TimeMS)
	if want := c.revisions[at]; row.Revision != want {
		c.fault("revision %d instead of %d: %s", row.Revision, want, text)
	}
	c.revisions[at]++
	text = strings.Replace(text, `"revision":`+itoa(row.Revision), `"revision":0`, 1)
	c.newest[at] = c.patiently(text)
	served, n := simLookup("valid", escapeKey(row.Segment)+"|"+escapeKey(row.Item), row.TimeMS)
	text = strings.Replace(text, fmt.Sprintf(`"valid_x":%d`, row.X), fmt.Sprintf(`"valid_x":%d`, n), 1)
	var degraded []string
	for _, table := range []string{"arrived", "valid", "latest"} {
		for _, d := range row.Degraded {
			if table != "valid" && strings.HasPrefix(d, table) {
				degraded = append(degraded, strconv.Quote(d))
			}
		}
		if table == "valid" && served.Degraded() {
			degraded = append(degraded, strconv.Quote("valid:"+served.String()))
		}
	}
	text = degradedList.ReplaceAllString(text, `"degraded":[`+strings.Join(degraded, ",")+"]")
	if row.Revision > 0 {
		c.amendings++
		if _, ok := c.world.rows[c.patiently(text)]; !ok {
			c.fault("the oracle has no row %s", text)
		}
	}
	return text, row.Revision == 0
}

var degradedList = regexp.MustCompile(`"degraded":\[[^\]]*\]`)

var _ experiments.ParkedRows = (*simParked)(nil)

var _ experiments.Dimensions = (*simDimensions)(nil)
