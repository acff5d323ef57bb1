package experiments_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/joiner"
)

// simCheck holds what is committed against the oracle, as it becomes readable.
type simCheck struct {
	world      *simWorld
	partitions int
	seen       map[string]int // final rows, at revision 0
	revisions  map[string]int // the next one of an instance that is not final yet
	letters    map[string]int // by where the record lies
	reached    map[experiments.TopicPartition][]simReached
	end        func(tp experiments.TopicPartition) int64
	allIn      bool // nothing more is published
	faults     []string
	calm       bool                      // nothing is ever rebuilt
	complete   bool                      // every row of a dimension that is to come has come
	waiting    map[int32]map[string]bool // rows that wait, by partition
	parkings   int
	amendings  int
	newest     map[string]string // rows as they were written last, where they are corrected
}

// simReached is the greatest event time of a partition up to an offset.
type simReached struct{ offset, maxMS int64 }

func newSimCheck(w *simWorld, partitions int) *simCheck {
	return &simCheck{world: w, partitions: partitions, seen: map[string]int{}, revisions: map[string]int{}, letters: map[string]int{},
		newest: map[string]string{}, reached: map[experiments.TopicPartition][]simReached{}, waiting: map[int32]map[string]bool{}}
}

func (c *simCheck) fault(format string, args ...any) {
	if len(c.faults) < 8 {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

// published takes note of a record.
func (c *simCheck) published(tp experiments.TopicPartition, offset, timeMS int64) {
	all := c.reached[tp]
	if n := len(all); n > 0 {
		timeMS = max(timeMS, all[n-1].maxMS)
	}
	c.reached[tp] = append(all, simReached{offset, timeMS})
}

// committed checks what became readable at once.
func (c *simCheck) committed(got *simulation.Committed) {
	for i := range got.Rows {
		switch o := &got.Rows[i]; o.Topic {
		case "out":
			c.row(o, got)
		case "dead-letters.hostile":
			c.letter(o)
		case simParkedTopic:
			c.parked(o)
		default:
			c.fault("a record in topic %s", o.Topic)
		}
	}
	c.account(got.Offsets)
}

func (c *simCheck) exactlyOnce() bool { return c.world.kind.delivery == "exactly_once" }

func (c *simCheck) row(o *experiments.Output, in *simulation.Committed) {
	text := string(o.Value)
	if c.world.kind.policy != "at_close" {
		var final bool
		if text, final = c.revision(text); !final {
			return
		}
	}
	if c.world.kind.amending {
		var first bool
		if text, first = c.amended(text); !first {
			return
		}
	}
	text = c.patiently(text)
	row, ok := c.world.rows[text]
	switch {
	case !ok:
		c.fault("the oracle has no row %s", o.Value)
		return
	case string(o.Key) != row.id || o.TimestampMS != row.timeMS:
		c.fault("key %q and time %d of %s", o.Key, o.TimestampMS, o.Value)
	}
	c.seen[text]++
	if c.seen[text] > 1 && c.exactlyOnce() {
		c.fault("doubled: %s", o.Value)
	}
	if closeMS := row.timeMS + c.world.plan.Pipelines[0].Join.DelayMS; closeMS > c.watermark(row, in) {
		c.fault("early: the window of %s closes at %d and the watermark is at most %d", o.Value, closeMS, c.watermark(row, in))
	}
}

// revision follows the revisions of an instance and returns a final row as
// at_close would write it. A rebuild may leave a revision out.
func (c *simCheck) revision(text string) (string, bool) {
	var row instance
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		c.fault("%v: %s", err, text)
		return "", false
	}
	if want := c.revisions[row.ID]; c.exactlyOnce() && (row.Revision < want || row.Revision > want && c.calm) {
		c.fault("revision %d instead of %d: %s", row.Revision, want, text)
	}
	c.revisions[row.ID] = row.Revision + 1
	if row.Final {
		c.revisions[row.ID] = 0 // the key may come again, a window later
	}
	return strings.Replace(text, `"revision":`+itoa(row.Revision), `"revision":0`, 1), row.Final
}

// watermark is the most that the watermark of a row's partition can have been
// when it was emitted: by what was committed as read with it, or could be read
// at all. Where events come as they happen, silence may raise it as far as time.
func (c *simCheck) watermark(row simRow, in *simulation.Committed) int64 {
	slackMS := c.world.kind.slack.Milliseconds()
	leastMS := int64(1<<63 - 1)
	for _, topic := range []string{"imps", "clicks", "orders", "queries"} {
		tp := experiments.TopicPartition{Topic: topic, Partition: int32(experiments.PartitionOf(row.key, c.partitions))}
		next := c.end(tp)
		if at, ok := in.Offsets[tp]; ok {
			next = at.Next
		}
		if c.allIn && next >= c.end(tp) {
			continue // it has ended
		}
		maxMS := joiner.NoTimeMS + slackMS
		for _, r := range c.reached[tp] {
			if r.offset < next {
				maxMS = r.maxMS
			}
		}
		leastMS = min(leastMS, maxMS-slackMS)
	}
	if c.world.kind.live {
		leastMS = max(leastMS, simNow().UnixMilli()-slackMS)
	}
	return leastMS
}

func (c *simCheck) letter(o *experiments.Output) {
	var l struct {
		Topic     string
		Partition int32
		Offset    int64
		Reason    string
	}
	if err := json.Unmarshal(o.Value, &l); err != nil {
		c.fault("dead letter %s: %v", o.Value, err)
		return
	}
	at := fmt.Sprintf("%s[%d]@%d", l.Topic, l.Partition, l.Offset)
	if c.letters[at]++; c.letters[at] > 1 && c.exactlyOnce() {
		c.fault("doubled dead letter: %s", o.Value)
	}
}

// finish checks the whole.
func (c *simCheck) finish() {
	for at, text := range c.newest {
		if _, ok := c.world.rows[text]; !ok {
			c.fault("%s has not been corrected: %s", at, text)
		}
	}
	for _, text := range c.world.want.rows {
		if c.seen[text] == 0 {
			c.fault("missing: %s", text)
		}
	}
	if len(c.letters) != c.world.want.letters {
		c.fault("%d dead letters, want %d", len(c.letters), c.world.want.letters)
	}
}

// audit checks the account of a worker that has taken everything over at the end.
func (c *simCheck) audit(s experiments.Status) {
	l, want := s.Experiments[0].Ledger, &c.world.want
	if err := l.Check(); err != nil {
		c.fault("%v", err)
	}
	imps := 0
	for i := range c.world.records {
		if c.world.records[i].topic == "imps" {
			imps++
		}
	}
	labels := len(c.world.records) - imps
	if int(l.Impressions.In) != imps || int(l.Impressions.Emitted) != len(want.rows) || l.Impressions.Pending != 0 || l.Impressions.Dropped != want.dropped {
		c.fault("%+v, want %d in, %d emitted, none pending, dropped %v", l.Impressions, imps, len(want.rows), want.dropped)
	}
	if int(l.Labels.In) != labels || l.Labels.Pending != 0 || int(l.Labels.Attached) != want.attached {
		c.fault("%+v, want %d in, %d attached, none pending", l.Labels, labels, want.attached)
	}
	if l.Remembered != 0 || int(l.Corrected) != c.amendings {
		c.fault("%d corrected rows, want %d; %d may still be", l.Corrected, c.amendings, l.Remembered)
	}
	if int(l.Instances) != len(want.rows) || int(l.Positives) != want.positives || l.LateEmitted != 0 {
		c.fault("%d instances, %d positive, %d late; want %d, %d, none", l.Instances, l.Positives, l.LateEmitted, len(want.rows), want.positives)
	}
}

// simNow is the simulation's wall time.
func simNow() time.Time {
	return time.Now().Add(simEpochMS*time.Millisecond - time.Duration(synctestEpoch.UnixNano()))
}

// synctestEpoch is when time begins in a bubble of testing/synctest.
var synctestEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
