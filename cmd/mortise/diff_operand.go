package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/instances/compare"
)

const stdin = "-"

// operand is one side of a diff, as the command line names it.
type operand struct {
	text  string
	topic string // of topic:NAME
	shown *values
	place string // else: a path, a glob, a URL or stdin

	fromMS, toMS     int64 // event time, to exclusive
	fromOff, toOff   int64 // offsets of each partition, to exclusive
	hasTime, hasOffs bool
}

var rangePattern = regexp.MustCompile(`^(.*)@([^@/]*)\.\.([^@/]*)$`)

// parseOperand reads one side of a diff.
func parseOperand(text string) (*operand, error) {
	o := &operand{text: text, place: text, fromMS: math.MinInt64, toMS: math.MaxInt64, toOff: math.MaxInt64}
	if m := rangePattern.FindStringSubmatch(text); m != nil {
		o.place = m[1]
		if err := o.parseRange(m[2], m[3]); err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", text, err)}
		}
	}
	if name, ok := strings.CutPrefix(o.place, "topic:"); ok {
		o.topic, o.place = name, ""
	}
	switch {
	case o.topic == "" && o.place == "":
		return nil, usageError{fmt.Errorf("%q names no set of instances: write a path, a URL or topic:NAME", text)}
	case o.hasOffs && o.topic == "":
		return nil, usageError{fmt.Errorf("%s: only a topic has offsets; a range of event time is written as @2026-01-01..2026-01-02", text)}
	}
	return o, nil
}

func (o *operand) parseRange(from, to string) error {
	isOffset := func(s string) bool { return s == "" || strings.Trim(s, "0123456789") == "" }
	if from == "" && to == "" {
		return fmt.Errorf("the range has neither beginning nor end")
	}
	o.hasOffs = isOffset(from) && isOffset(to)
	o.hasTime = !o.hasOffs
	for _, end := range []struct {
		text     string
		ms, offs *int64
	}{{from, &o.fromMS, &o.fromOff}, {to, &o.toMS, &o.toOff}} {
		var err error
		switch {
		case end.text == "":
		case o.hasOffs:
			*end.offs, err = strconv.ParseInt(end.text, 10, 64)
		default:
			*end.ms, err = parseTime(end.text)
		}
		if err != nil {
			return err
		}
	}
	if o.fromMS > o.toMS || o.fromOff > o.toOff {
		return fmt.Errorf("the range ends before it begins")
	}
	return nil
}

// parseTime reads an event time as people write it, UTC where it says nothing
// else.
func parseTime(text string) (ms int64, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time: write 2026-01-01, 2026-01-01T12:00 or 2026-01-01T12:00:00Z", text)
}

// read gives every row of the side to add, in any order.
func (o *operand) read(ctx context.Context, cl *cluster, add func(compare.Row) error) error {
	if o.hasTime {
		add = o.within(add)
	}
	if o.topic != "" {
		return o.readTopic(ctx, cl, add)
	}
	files, err := o.files(ctx)
	if err != nil {
		return err
	}
	defer files.close()
	return files.read(ctx, o, add)
}

// within leaves out the rows beyond the range of event time.
func (o *operand) within(add func(compare.Row) error) func(compare.Row) error {
	var of *compare.Layout
	at := -1
	return func(r compare.Row) error {
		if r.Layout != of {
			of, at = r.Layout, slices.Index(r.Layout.Names, "event_time")
		}
		if at < 0 {
			return fmt.Errorf("there is no column event_time, of which a range is asked for; the columns are %s", strings.Join(of.Names, ", "))
		}
		if ms, ok := r.Values[at].Number(); !ok || int64(ms) < o.fromMS || int64(ms) >= o.toMS {
			return nil
		}
		return add(r)
	}
}
