package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// reassign follows the group.
func (a *Archiver) reassign(ctx context.Context) error {
	changes, err := a.transport.Assigned()
	if err != nil {
		return err
	}
	if len(changes.Revoked) > 0 {
		if err := a.release(ctx, changes.Revoked); err != nil {
			return err
		}
	}
	for tp, c := range changes.Gained {
		l, err := newLane(tp, c, &a.opts)
		if err != nil {
			return err
		}
		at, _ := slices.BinarySearchFunc(a.lanes, tp.Partition, func(l *lane, p int32) int { return cmp.Compare(l.tp.Partition, p) })
		a.lanes = slices.Insert(a.lanes, at, l)
	}
	return nil
}

// release gives partitions up once what was read of them is published, so that
// their next owner has less to read again.
func (a *Archiver) release(ctx context.Context, revoked []experiments.TopicPartition) error {
	gone := func(l *lane) bool { return slices.Contains(revoked, l.tp) }
	var lanes []*lane
	for _, l := range a.lanes {
		if gone(l) {
			lanes = append(lanes, l)
		}
	}
	within, cancel := context.WithTimeout(ctx, a.opts.StopWithin)
	err := a.publishNow(within, lanes)
	cancel()
	if err == nil {
		err = a.commit(ctx)
	}
	if err != nil {
		return err
	}
	for _, l := range lanes {
		l.drop()
		a.past.add(&l.counts)
	}
	a.lanes = slices.DeleteFunc(a.lanes, gone)
	return a.transport.Release(revoked)
}

// startFound begins to read lanes of which it is known where they go on, and
// keeps the others back.
func (a *Archiver) startFound() error {
	var paused []experiments.TopicPartition
	for _, l := range a.lanes {
		if l.state == found {
			if err := a.start(l); err != nil {
				return err
			}
		}
		if l.state != reading {
			paused = append(paused, l.tp)
		}
	}
	a.transport.SetPaused(paused)
	return nil
}

func (a *Archiver) start(l *lane) error {
	err := a.transport.Start(map[experiments.TopicPartition]int64{l.tp: l.next})
	var gap *experiments.GapError
	if errors.As(err, &gap) {
		g := gap.Gaps[0]
		if g.Recreate || !a.opts.AcceptGap {
			return err
		}
		a.opts.Log.Warn("rows are lost to the dataset: the topic no longer holds them", "topic", g.Topic, "partition", g.Partition, "from", g.Need, "to", g.First)
		l.counts.missing += g.First - g.Need
		l.next = g.First
		err = a.transport.Start(map[experiments.TopicPartition]int64{l.tp: l.next})
	}
	if err == nil {
		l.state = reading
	}
	return err
}

// explain adds to a gap what it means for the dataset.
func (a *Archiver) explain(err error) error {
	var gap *experiments.GapError
	if errors.As(err, &gap) {
		return &GapError{Experiment: a.opts.Archive.Experiment.Name, Gaps: gap.Gaps}
	}
	return err
}

// GapError says that the rows' topic no longer holds rows that the dataset does
// not have.
type GapError struct {
	Experiment string
	Gaps       []experiments.Gap
}

// Error names every partition, and what can be done.
func (e *GapError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "experiment %s: the topic no longer holds rows that output.parquet does not have yet:", e.Experiment)
	for _, g := range e.Gaps {
		switch {
		case g.Recreate:
			fmt.Fprintf(&b, " %s[%d] ends before offset %d, up to which it is archived, so it was made anew: choose another output.parquet.path;", g.Topic, g.Partition, g.Need)
		case g.FirstMS == 0:
			fmt.Fprintf(&b, " %s[%d] from offset %d to %d, and nothing is left of it;", g.Topic, g.Partition, g.Need, g.First)
		default:
			fmt.Fprintf(&b, " %s[%d] from offset %d to %d, the first left being of %s;", g.Topic, g.Partition, g.Need, g.First,
				time.UnixMilli(g.FirstMS).UTC().Format(time.RFC3339))
		}
	}
	b.WriteString(" retention removed them: go on without them with --accept-gap; a backfill writes the hours anew from the inputs; keep the topic for longer than archiving may stand still")
	return b.String()
}

// The committed offset's metadata says how far the dataset has come in event time:
// "mortise-parquet1:" and the greatest event time published, nothing before any.
const metadataPrefix = "mortise-parquet1:"

func metadata(maxMS int64) string {
	if maxMS == joiner.NoTimeMS {
		return metadataPrefix
	}
	return metadataPrefix + strconv.FormatInt(maxMS, 10)
}

// ParseMetadata reads what an archiver commits beside an offset: the greatest
// event time published, joiner.NoTimeMS before any. An offset that was set by
// hand has no metadata, and tells nothing.
func ParseMetadata(text string) (maxMS int64, err error) {
	if text == "" {
		return joiner.NoTimeMS, nil
	}
	body, ok := strings.CutPrefix(text, metadataPrefix)
	if !ok {
		return 0, fmt.Errorf("offset metadata %.40q is not an archiver's: another program uses this consumer group", text)
	}
	if body == "" {
		return joiner.NoTimeMS, nil
	}
	if maxMS, err = strconv.ParseInt(body, 10, 64); err != nil {
		return 0, fmt.Errorf("offset metadata %.40q: its time is no number", text)
	}
	return maxMS, nil
}
