package experiments

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
)

// A topic that is shuffled goes through an internal topic, whose records are of
// two kinds, told apart by their first header:
//
//	mortise-origin   a record, its value and its own headers as they were; the
//	                 header says where it lay and, if it was another, what its key was
//	mortise-clocks   a marker: how far the origins, the partitions of the topic
//	                 that is shuffled, have come in event time; one goes to every
//	                 partition, behind the records that it speaks of
//
// Both are text, so that any client can read them.
const (
	OriginHeader = "mortise-origin"
	ClocksHeader = "mortise-clocks"
)

// AppendOrigin writes the value of OriginHeader for a record that is sent on
// under key:
//
//	partition/offset/timestamp              its own key was the same
//	partition/offset/timestamp/=key         it was another
//	partition/offset/timestamp/-            it had none
func AppendOrigin(dst []byte, rec *mortise.Record, key []byte) []byte {
	dst = strconv.AppendInt(dst, int64(rec.Partition), 10)
	dst = strconv.AppendInt(append(dst, '/'), rec.Offset, 10)
	dst = strconv.AppendInt(append(dst, '/'), rec.TimestampMS, 10)
	switch {
	case rec.Key == nil:
		dst = append(dst, "/-"...)
	case !bytes.Equal(rec.Key, key):
		dst = append(append(dst, "/="...), rec.Key...)
	}
	return dst
}

// RestoreOrigin makes rec, a record of an internal topic, what it was in topic.
func RestoreOrigin(rec *mortise.Record, topic string) error {
	if len(rec.Headers) == 0 || rec.Headers[0].Key != OriginHeader {
		return fmt.Errorf("a record without the header %s: something else writes to this topic, which is mortise's own", OriginHeader)
	}
	text := rec.Headers[0].Value
	var n [3]int64
	rest := text
	for i := range n {
		var ok bool
		if n[i], rest, ok = cutInt(rest); !ok {
			return fmt.Errorf("header %s is %q, not partition/offset/timestamp", OriginHeader, text)
		}
	}
	switch {
	case len(rest) == 0:
	case string(rest) == "-":
		rec.Key = nil
	case rest[0] == '=':
		rec.Key = rest[1:]
	default:
		return fmt.Errorf("header %s is %q: what stands behind the timestamp is no key", OriginHeader, text)
	}
	if n[0] < 0 || n[0] >= maxOrigins {
		return fmt.Errorf("header %s is %q: there is no such partition", OriginHeader, text)
	}
	rec.Topic, rec.Partition, rec.Offset, rec.TimestampMS, rec.Headers = topic, int32(n[0]), n[1], n[2], rec.Headers[1:]
	return nil
}

// cutInt reads a decimal number up to the next slash or the end.
func cutInt(text []byte) (n int64, rest []byte, ok bool) {
	i, negative := 0, false
	if len(text) > 0 && text[0] == '-' {
		i, negative = 1, true
	}
	from := i
	for ; i < len(text) && text[i] != '/'; i++ {
		if text[i] < '0' || text[i] > '9' || i-from >= 18 {
			return 0, nil, false
		}
		n = 10*n + int64(text[i]-'0')
	}
	if i == from {
		return 0, nil, false
	}
	if negative {
		n = -n
	}
	if i < len(text) {
		i++
	}
	return n, text[i:], true
}

// IsClocks reports whether a record of an internal topic is a marker.
func IsClocks(headers []Header) bool { return len(headers) > 0 && headers[0].Key == ClocksHeader }

// Clocks is what a marker says: how many origins there are, and how far some of
// them have come.
type Clocks struct {
	Origins int     `json:"origins"`
	Clocks  []Clock `json:"clocks"`
}

// Clock is how far one origin has come in event time.
type Clock struct {
	Partition int32  `json:"partition"`
	MaxMS     *int64 `json:"max_ms,omitempty"` // the greatest event time; nil before any
	Idle      bool   `json:"idle,omitempty"`   // read to its end, and silent for idle_after
	Lost      int64  `json:"lost,omitempty"`   // records before what follows that the topic no longer held; said to one task
}

// maxOrigins is more partitions than any topic has: a marker that speaks of more
// is not one.
const maxOrigins = 1 << 20

// ParseClocks reads a marker's value.
func ParseClocks(value []byte) (*Clocks, error) {
	var c Clocks
	if err := json.Unmarshal(value, &c); err != nil {
		return nil, fmt.Errorf("reading a marker: %w", err)
	}
	outside := func(k Clock) bool { return k.Partition < 0 || int(k.Partition) >= c.Origins || k.Lost < 0 }
	if c.Origins < 1 || c.Origins > maxOrigins || slices.ContainsFunc(c.Clocks, outside) {
		return nil, fmt.Errorf("reading a marker: it speaks of %d origins and of others than those", c.Origins)
	}
	return &c, nil
}

// A task keeps a shuffled record with its offset in the topic that it came from
// behind it: the join orders records by origin and by their offset in the
// internal topic, which is the same order, and needs that offset to know from
// where to read again; a dead letter names the origin's.
const keptOffsetBytes = 8

func appendKept(dst, value []byte, offset int64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, value...), uint64(offset))
}

// splitKept takes apart what appendKept wrote.
func splitKept(kept []byte) (value []byte, offset int64) {
	at := len(kept) - keptOffsetBytes
	if at < 0 {
		return kept, 0 // state is checked as it is read, so this is not reached
	}
	return kept[:at:at], int64(binary.LittleEndian.Uint64(kept[at:]))
}
