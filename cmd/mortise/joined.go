package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/joiner"
)

// joinProgress tells an archiver how far the join has come whose rows it
// archives: it is an archive.Join over what the join's group has committed.
type joinProgress struct {
	admin *kafka.Admin
	group string
	main  string   // the main stream's topic, beside whose offsets snapshots stand
	reads []string // all topics that the join reads
	tasks int32
	rows  string                                               // the rows' topic
	ends  atomic.Pointer[map[experiments.TopicPartition]int64] // where what is to be worked off ends; nil until that is known
}

var _ archive.Join = (*joinProgress)(nil)

func newJoinProgress(ctx context.Context, conn kafka.Connection, group string, p *experiments.Pipeline, tasks int32, rows string) (*joinProgress, error) {
	admin, err := kafka.OpenAdmin(ctx, conn)
	if err != nil {
		return nil, err
	}
	return &joinProgress{admin: admin, group: group, main: p.Sources[0].Topic, reads: p.Inputs(), tasks: tasks, rows: rows}, nil
}

// rowsSource names the rows' topic as a dataset is to know it; empty where brokers
// give no ids.
func (j *joinProgress) rowsSource(ctx context.Context) (string, error) {
	id, err := j.admin.TopicID(ctx, j.rows)
	if err != nil || id == "" {
		return "", err
	}
	return fmt.Sprintf("topic %s (id %s)", j.rows, id), nil
}

// fixEnds notes where the inputs end that are to be worked off.
func (j *joinProgress) fixEnds(ctx context.Context) error {
	for giveUp := time.Now().Add(reachWithin); ; {
		ends, err := j.admin.Ends(ctx, j.reads...)
		if err == nil {
			j.ends.Store(&ends)
			return nil
		}
		if ctx.Err() != nil || time.Now().After(giveUp) {
			return fmt.Errorf("asking where the inputs end: %w", err)
		}
		select {
		case <-time.After(reachAgain):
		case <-ctx.Done():
		}
	}
}

// Tasks implements archive.Join.
func (j *joinProgress) Tasks(ctx context.Context) ([]archive.Task, error) {
	g, err := j.admin.Group(ctx, j.group)
	if err != nil {
		return nil, err
	}
	read := map[experiments.TopicPartition]*kafka.PartitionStatus{}
	for i := range g.Partitions {
		read[g.Partitions[i].TopicPartition] = &g.Partitions[i]
	}
	tasks := make([]archive.Task, j.tasks)
	for p := range tasks {
		if tasks[p], err = j.task(ctx, int32(p), read); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

func (j *joinProgress) task(ctx context.Context, p int32, read map[experiments.TopicPartition]*kafka.PartitionStatus) (t archive.Task, err error) {
	t.Partition = p
	at := read[experiments.TopicPartition{Topic: j.main, Partition: p}]
	if at == nil || at.Metadata == "" {
		return t, nil
	}
	if t.Committed, err = joiner.ParseMetadata(at.Metadata); err != nil {
		return t, fmt.Errorf("group %s, %s[%d]: %w", j.group, j.main, p, err)
	}
	if t.Pending() > 0 {
		return t, nil // what lies behind changes nothing
	}
	for _, topic := range j.reads {
		tp := experiments.TopicPartition{Topic: topic, Partition: p}
		in := read[tp]
		if in == nil {
			t.Behind = true
			return t, nil
		}
		end := in.End
		if ends := j.ends.Load(); ends != nil {
			end = (*ends)[tp]
		}
		if in.Next >= end {
			continue
		}
		next, err := j.admin.NextRecord(ctx, tp, in.Next) // what lies there may be no records
		if err != nil {
			return t, err
		}
		if next < end {
			t.Behind = true
			return t, nil
		}
	}
	return t, nil
}

// Written implements archive.Join.
func (j *joinProgress) Written(ctx context.Context) (map[int32]int64, error) {
	written, err := j.admin.Written(ctx, j.rows)
	if err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	for tp, end := range written {
		ends[tp.Partition] = end
	}
	return ends, nil
}

// NextRow implements archive.Join.
func (j *joinProgress) NextRow(ctx context.Context, partition int32, from int64) (int64, error) {
	return j.admin.NextRecord(ctx, experiments.TopicPartition{Topic: j.rows, Partition: partition}, from)
}
