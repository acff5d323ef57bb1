package instancetest

import (
	"fmt"
	"math/rand"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Traffic makes instances as they come in a feed: in order of time, a few users
// and items much more often than others, few clicks. A row that it returns is
// overwritten by the next.
type Traffic struct {
	r       *rand.Rand
	users   *rand.Zipf
	columns *instances.Columns
	texts   [][]byte
	in      instances.Instance
	id      []byte
	n       int64
}

// TrafficStartMS is the first row's event time.
const TrafficStartMS = 1_700_000_000_000

// NewTraffic makes rows of the columns.
func NewTraffic(seed int64, c *instances.Columns) *Traffic {
	r := rand.New(rand.NewSource(seed))
	t := &Traffic{r: r, columns: c, users: rand.NewZipf(r, 1.2, 8, 50_000)}
	for i := range 50_001 {
		t.texts = append(t.texts, fmt.Appendf(nil, "value-%05d-%x", i, i*i))
	}
	t.in.Labels = make([]instances.LabelValue, len(c.Labels()))
	t.in.Selected = make(mortise.Row, len(c.Selected()))
	for i, f := range c.Selected() {
		if f.Type.Kind == mortise.List {
			t.in.Selected[i] = mortise.ListValue(make([]mortise.Value, 5))
		}
	}
	return t
}

// Next is the next row, everyMS after the one before.
func (t *Traffic) Next(everyMS int64) *instances.Instance {
	t.n++
	in := &t.in
	t.id = strconv.AppendInt(append(t.id[:0], "request-7f-"...), t.n, 10)
	in.ID, in.TimeMS, in.Weight, in.Final = t.id, TrafficStartMS+t.n*everyMS, 1, true
	for i := range in.Labels {
		in.Labels[i] = instances.LabelValue{}
		if t.r.Intn(8) == 0 {
			in.Labels[i] = instances.LabelValue{Value: 1, FirstMS: in.TimeMS + t.r.Int63n(3_600_000), Count: 1}
		}
	}
	for i, f := range t.columns.Selected() {
		if f.Type.Kind == mortise.List {
			for j := range in.Selected[i].List() {
				in.Selected[i].List()[j] = t.value(f.Type.Elem, in.TimeMS)
			}
			continue
		}
		in.Selected[i] = t.value(f.Type.Kind, in.TimeMS)
	}
	return in
}

func (t *Traffic) value(kind mortise.Kind, atMS int64) mortise.Value {
	switch kind {
	case mortise.String:
		return mortise.TextValue(t.texts[t.users.Uint64()])
	case mortise.Int:
		return mortise.IntValue(t.r.Int63n(40))
	case mortise.Float:
		return mortise.FloatValue(float64(t.r.Intn(2000)) / float64(10+t.r.Intn(5000)))
	case mortise.Bool:
		return mortise.BoolValue(t.r.Intn(3) == 0)
	}
	return mortise.TimestampValue(atMS - t.r.Int63n(1e9))
}
