package kafka_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// states is experiments.States over one state directory.
type states struct{ db *disk.DB }

func (s states) Open(task string, o joiner.StoreOptions) (joiner.Store, error) {
	return s.db.OpenStore(task, o)
}
func (s states) Reset(task string) error { return s.db.Reset(task) }
func (s states) Close() error            { return s.db.Close() }

// A worker of your own program: one experiment over Kafka, state on disk, until
// it is interrupted.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := work(ctx); err != nil {
		log.Print(err)
	}
}

func work(ctx context.Context) error {
	e, found := spec.Load("experiment.yaml", spec.LoadOptions{CleanFuncs: clean.Registered()})
	if found.HasErrors() {
		log.Fatal(found.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		return err
	}
	p := plan.Pipelines[0]
	db, err := disk.OpenDB("/var/lib/feed", disk.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	t, err := kafka.Open(ctx, kafka.Options{
		Connection:      kafka.Connection{Kafka: spec.Kafka{SeedBrokers: []string{"kafka-1:9092"}}},
		Group:           "feed",
		Inputs:          p.Inputs(),  // all must exist, with the same number of partitions
		Outputs:         p.Outputs(), // must exist
		ExactlyOnce:     true,
		TransactionalID: "feed.worker-1", // one per worker, the same after a restart
	})
	if err != nil {
		return err
	}
	defer t.Close()
	w, err := experiments.NewWorker(p, t, states{db}, "feed", experiments.WorkerOptions{})
	if err != nil {
		return err
	}
	return w.Run(ctx) // until ctx ends; what is done is then committed
}
