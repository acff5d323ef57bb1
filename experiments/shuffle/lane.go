package shuffle

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// lane is one origin that this shuffler reads.
type lane struct {
	at         experiments.TopicPartition
	next       int64 // the next offset to read; negative until the first poll tells
	high       int64 // the partition's end as last seen
	maxMS      int64 // greatest event time sent on
	asOfMS     int64 // when high was its end, by wall time; 0: it holds until something else is said
	lastWallMS int64 // when it was last heard, or caught up with, or gained
	polled     bool  // next and high are known
	endKnown   bool  // high was asked for when all that is published was there
	paused     bool
	caughtUp   bool
	idle       bool  // caught up, and silent for idle_after
	lost       int64 // records that the topic no longer held, and that no marker has told of

	told     bool // by a marker since it was gained
	toldMS   int64
	toldIdle bool
}

func newLane(tp experiments.TopicPartition, next, maxMS, nowMS int64) *lane {
	return &lane{at: tp, next: next, maxMS: maxMS, lastWallMS: nowMS}
}

// read takes note of how far a poll has come.
func (l *lane) read(f *experiments.Fetched, nowMS int64) {
	l.next, l.high, l.polled = max(l.next, f.Next), max(l.high, f.HighWatermark), true
	l.asOfMS = f.EndAsOfMS
	if len(f.Records) > 0 {
		l.lastWallMS = nowMS
	}
}

// behind reports whether there are records that have not been read.
func (l *lane) behind() bool { return l.polled && l.next < l.high }

// judge settles whether the origin is idle. One that lags is not, nor one that is
// paused: they merely have not been read. Silence counts from when all was.
func (l *lane) judge(inputDone, untilEnd bool, idleAfterMS, nowMS int64) {
	caughtUp := inputDone && l.polled && !l.paused && !l.behind()
	if !caughtUp || !l.caughtUp {
		l.lastWallMS = nowMS
	}
	l.caughtUp = caughtUp
	silent := idleAfterMS > 0 && joiner.SeenMS(l.asOfMS, nowMS)-l.lastWallMS >= idleAfterMS
	l.idle = caughtUp && (silent || untilEnd && l.endKnown)
}

// news reports whether a marker has something to say of the origin.
func (l *lane) news() bool { return !l.told || l.maxMS > l.toldMS || l.idle != l.toldIdle }

// clock is what a marker says of the origin; it counts as told from now on.
func (l *lane) clock() experiments.Clock {
	l.told, l.toldMS, l.toldIdle = true, l.maxMS, l.idle
	c := experiments.Clock{Partition: l.at.Partition, Idle: l.idle}
	if l.maxMS != joiner.NoTimeMS {
		maxMS := l.maxMS
		c.MaxMS = &maxMS
	}
	return c
}

// The committed offset's metadata keeps the origin's clock for whoever reads it
// next: "mortise-shuffle1:" and the greatest event time, then "/idle" if it is.
const metadataPrefix = "mortise-shuffle1:"

func (l *lane) committed() experiments.CommittedOffset {
	text := metadataPrefix
	if l.maxMS != joiner.NoTimeMS {
		text += strconv.FormatInt(l.maxMS, 10)
	}
	if l.idle {
		text += "/idle"
	}
	return experiments.CommittedOffset{Next: l.next, Metadata: text}
}

// ParseMetadata reads what a shuffler commits beside an offset: the origin's
// greatest event time, joiner.NoTimeMS before any, and whether it was idle. An
// offset that was set by hand has no metadata, and tells nothing.
func ParseMetadata(text string) (maxMS int64, idle bool, err error) {
	if text == "" {
		return joiner.NoTimeMS, false, nil
	}
	body, ok := strings.CutPrefix(text, metadataPrefix)
	if !ok {
		return 0, false, fmt.Errorf("offset metadata %.40q is not a shuffler's: another program uses this consumer group", text)
	}
	body, idle = strings.CutSuffix(body, "/idle")
	if body == "" {
		return joiner.NoTimeMS, idle, nil
	}
	if maxMS, err = strconv.ParseInt(body, 10, 64); err != nil || maxMS == math.MinInt64 {
		return 0, false, fmt.Errorf("offset metadata %.40q: its time is no number", text)
	}
	return maxMS, idle, nil
}
