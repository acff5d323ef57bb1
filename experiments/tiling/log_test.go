package tiling_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// fakeLog is topics of a broker as one reader sees them. It dies at the poll at
// which it is told to.
type fakeLog struct {
	topics map[string][][]mortise.Record // by partition
	first  map[experiments.TopicPartition]int64
	rnd    *rand.Rand
	lives  int // polls left; negative: for ever

	next   map[experiments.TopicPartition]int64
	fresh  map[experiments.TopicPartition]bool
	paused map[experiments.TopicPartition]bool
	parts  []experiments.TopicPartition
}

var errDied = errors.New("the reader died")

// publish spreads a world over partitions, whatever its keys.
func publish(w *world, partitions int, rnd *rand.Rand) map[string][][]mortise.Record {
	topics := map[string][][]mortise.Record{}
	for topic, lines := range map[string][]line{"i": w.imps, "c": w.clicks} {
		topics[topic] = make([][]mortise.Record, partitions)
		for i := range lines {
			p := rnd.IntN(partitions)
			log := &topics[topic][p]
			*log = append(*log, mortise.Record{Topic: topic, Partition: int32(p), Offset: int64(len(*log)), Value: []byte(lines[i].text)})
		}
	}
	return topics
}

func newLog(topics map[string][][]mortise.Record, rnd *rand.Rand, lives int) *fakeLog {
	l := &fakeLog{topics: topics, rnd: rnd, lives: lives, next: map[experiments.TopicPartition]int64{}, fresh: map[experiments.TopicPartition]bool{},
		first: map[experiments.TopicPartition]int64{}, paused: map[experiments.TopicPartition]bool{}}
	for _, topic := range []string{"c", "i"} {
		for p := range topics[topic] {
			l.parts = append(l.parts, experiments.TopicPartition{Topic: topic, Partition: int32(p)})
		}
	}
	return l
}

func (l *fakeLog) Partitions() []experiments.TopicPartition { return l.parts }

func (l *fakeLog) Starts(context.Context) (map[experiments.TopicPartition]int64, error) {
	all := map[experiments.TopicPartition]int64{}
	for _, tp := range l.parts {
		all[tp] = l.first[tp]
	}
	return all, nil
}

func (l *fakeLog) Start(offsets map[experiments.TopicPartition]int64) error {
	for tp, at := range offsets {
		if at < l.first[tp] {
			return &experiments.GapError{Gaps: []experiments.Gap{{TopicPartition: tp, Need: at, First: l.first[tp]}}}
		}
	}
	for tp, at := range offsets {
		l.next[tp], l.fresh[tp] = at, true
	}
	return nil
}

func (l *fakeLog) Stop(parts []experiments.TopicPartition) {
	for _, tp := range parts {
		delete(l.next, tp)
	}
}

func (l *fakeLog) Poll(_ context.Context, limit int, _ time.Duration) (out []experiments.Fetched, _ error) {
	if l.lives--; l.lives == 0 {
		return nil, errDied
	}
	for _, tp := range l.parts {
		from, reading := l.next[tp]
		if !reading {
			continue
		}
		log := l.topics[tp.Topic][tp.Partition]
		n := min(l.rnd.Int64N(int64(limit)), int64(len(log))-from)
		if l.paused[tp] {
			n = 0
		}
		if n == 0 && !l.fresh[tp] {
			continue
		}
		l.fresh[tp] = false
		l.next[tp] = from + n
		out = append(out, experiments.Fetched{TopicPartition: tp, Records: log[from : from+n], Next: from + n, HighWatermark: int64(len(log))})
	}
	return out, nil
}

func (l *fakeLog) Ends(context.Context) (map[experiments.TopicPartition]int64, error) {
	all := map[experiments.TopicPartition]int64{}
	for _, tp := range l.parts {
		all[tp] = int64(len(l.topics[tp.Topic][tp.Partition]))
	}
	return all, nil
}

func (l *fakeLog) SetPaused(parts []experiments.TopicPartition) {
	clear(l.paused)
	for _, tp := range parts {
		l.paused[tp] = true
	}
}
