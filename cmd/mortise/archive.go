package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

// archiving is the Parquet output of one pipeline, in this run:
//
//	the pipeline's worker → the rows' topic → archiver → dataset
//
// Every worker of a pipeline runs archivers too; the group of each shares the
// topic's partitions out among them.
type archiving struct {
	ways  []*archiveWay
	done  <-chan struct{} // closed when all input is there
	fixed chan struct{}   // closed when it is known where that ends; nil without an end
	ended chan struct{}   // closed when the worker has come to its end; nil without one
}

// archiveWay is one experiment's.
type archiveWay struct {
	way      *experiments.Archive
	path     string // without secrets
	bucket   *objectstore.Bucket
	dataset  *dataset.Dataset
	join     *joinProgress
	archiver *archive.Archiver
}

// rowsTopic describes the internal topic of an experiment that writes Parquet
// alone. Its records are kept for a week from when they were written: for that
// long archiving may stand still.
func (cl *cluster) rowsTopic(name string, partitions int32) kafka.TopicSpec {
	t := cl.topic(name, partitions)
	if cl.embedded == "" {
		t.Configs["retention.ms"] = kafka.Retention(0)
		t.Configs["message.timestamp.type"] = "LogAppendTime"
	}
	t.Configs["cleanup.policy"] = "delete"
	t.Configs["max.message.bytes"] = fmt.Sprint(kafka.MaxRecordBytes + 1<<20)
	return t
}

// archive opens the datasets of a pipeline as its group runs it, and makes their
// archivers.
func (c *console) archive(ctx context.Context, f *runFlags, cr *crew, cl *cluster, p *experiments.Pipeline, ways []*experiments.Archive, group string, tasks int32, id string, inputDone <-chan struct{}) (_ *archiving, err error) {
	ar := &archiving{done: inputDone}
	cr.archives = append(cr.archives, ar) // which closes what is open if the rest fails
	if len(ways) == 0 {
		return ar, nil
	}
	if f.untilEnd {
		ar.fixed, ar.ended = make(chan struct{}), make(chan struct{})
	}
	if err := cl.prepareRows(ctx, ways, tasks); err != nil {
		return nil, err
	}
	for _, way := range ways {
		one := &archiveWay{way: way}
		ar.ways = append(ar.ways, one)
		if one.join, err = newJoinProgress(ctx, cl.Connection, group, p, tasks, way.Topic); err != nil {
			return nil, err
		}
		if err := one.open(ctx, f, cl); err != nil {
			return nil, fmt.Errorf("%s: output.parquet: %w", way.Experiment.Path, err)
		}
		opts := kafka.Options{Group: way.Group, Inputs: []string{way.Topic}, TransactionalID: way.Group + "." + id, BufferBytes: 1}
		if opts.FetchMaxBytes == 0 || opts.FetchMaxBytes > archiveFetchBytes {
			opts.FetchMaxBytes = archiveFetchBytes
		}
		t, err := cl.join(ctx, opts)
		if err != nil {
			return nil, err
		}
		cr.transports = append(cr.transports, t)
		if one.archiver, err = archive.New(t, archive.Options{Archive: way, Dataset: one.dataset, Join: one.join, Ended: ar.ended, AcceptGap: f.acceptGap, Log: c.logger()}); err != nil {
			return nil, err
		}
	}
	return ar, nil
}

// archiveFetchBytes bounds what is fetched ahead of a rows' topic.
const archiveFetchBytes = 16 << 20

func (cl *cluster) prepareRows(ctx context.Context, ways []*experiments.Archive, tasks int32) error {
	var topics []kafka.TopicSpec
	for _, way := range ways {
		if way.Internal {
			topics = append(topics, cl.rowsTopic(way.Topic, tasks))
		}
	}
	if len(topics) == 0 {
		return nil
	}
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	_, err = admin.EnsureTopics(ctx, topics)
	return err
}

// open opens the folder of an experiment's dataset, and makes sure that it can be
// reached.
func (w *archiveWay) open(ctx context.Context, f *runFlags, cl *cluster) (err error) {
	e, out := w.way.Experiment, &w.way.Experiment.Output.ParquetOut
	state := f.stateDir(cl)
	ours := []string{state, f.checkpoint}
	if cl.embedded != "" {
		ours = append(ours, filepath.Join(cl.embedded, "log"))
	}
	for _, place := range ours {
		if spec.Overlap(out.Path, place) {
			return fmt.Errorf("path %s and %s, which the run keeps for itself, lie in one another: give the dataset a folder of its own", objectstore.Redact(out.Path), objectstore.Redact(place))
		}
	}
	if w.bucket, err = objectstore.Open(ctx, out.Path); err != nil {
		return err
	}
	w.path = w.bucket.String()
	reach, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := w.bucket.Reach(reach); err != nil {
		return err
	}
	source, err := w.join.rowsSource(ctx)
	if err != nil {
		return err
	}
	w.dataset, err = dataset.Open(ctx, w.bucket, dataset.Options{Columns: w.way.Columns, Experiment: e.Name, Version: e.Version, Config: e.Hash, Source: source,
		Partition: out.Partition, TempDir: filepath.Join(state, "parquet"), Encoders: encoders})
	return err
}

// encoders is how many files of a dataset are encoded at once; each holds two row
// groups in memory meanwhile.
const encoders = 2

func (w *archiveWay) close() (err error) {
	if w.join != nil {
		w.join.admin.Close()
	}
	if w.dataset != nil {
		err = w.dataset.Close()
	}
	if w.bucket != nil {
		err = errors.Join(err, w.bucket.Close())
	}
	return err
}

func (ar *archiving) close() error {
	var err error
	for _, w := range ar.ways {
		err = errors.Join(err, w.close())
	}
	return err
}

// inputDone says when the inputs of the pipeline's worker are all there. Until
// the end it is then also known where they end, for whoever archives what becomes
// of them.
func (ar *archiving) inputDone() <-chan struct{} {
	if ar.fixed != nil {
		return ar.fixed
	}
	return ar.done
}

// run runs the archivers in g until they have come to their end, or ctx ends.
func (ar *archiving) run(ctx context.Context, g *errgroup.Group) {
	for _, w := range ar.ways {
		g.Go(func() error { return w.archiver.Run(ctx) })
	}
	if ar.fixed != nil {
		g.Go(func() error { return ar.fixEnds(ctx) })
	}
}

func (ar *archiving) fixEnds(ctx context.Context) error {
	select {
	case <-ar.done:
	case <-ctx.Done():
		return nil
	}
	for _, w := range ar.ways {
		err := w.join.fixEnds(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the run is stopped, which is no failure of this
		}
		if err != nil {
			return err
		}
	}
	close(ar.fixed)
	return nil
}

// workerEnded tells the archivers that the worker has come to its end.
func (ar *archiving) workerEnded() {
	if ar.ended != nil {
		close(ar.ended)
	}
}

// of returns an experiment's way; nil where it writes no Parquet.
func (ar *archiving) of(experiment string) *archiveWay {
	for _, w := range ar.ways {
		if w.way.Experiment.Name == experiment {
			return w
		}
	}
	return nil
}

func (ar *archiving) statuses() (all []experiments.ArchiveStatus) {
	for _, w := range ar.ways {
		st := w.archiver.Status()
		st.Path = w.path
		all = append(all, st)
	}
	return all
}

// reachAgain is the pause before brokers that cannot be asked are asked again.
const reachAgain = 200 * time.Millisecond
