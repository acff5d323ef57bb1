package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// publication is what TestPublishingGoesOn publishes: some records have no key,
// some come twice.
func publication(n int) (keys, values [][]byte) {
	for i := range n {
		var key []byte
		if i%5 != 0 {
			key = fmt.Append(nil, "k", i%17)
		}
		keys, values = append(keys, key), append(values, fmt.Append(nil, "v", i%50))
	}
	return keys, values
}

func publishAll(t *testing.T, c Connection, resume map[string][]Published, keys, values [][]byte) error {
	t.Helper()
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a"}, Resume: resume})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range keys {
		if err := p.Publish("a", keys[i], values[i], int64(i)); err != nil {
			return err
		}
	}
	return errors.Join(p.Flush(testContext(t)), p.Resumed())
}

// contents are the values of each partition of a.
func contents(t *testing.T, c Connection) string {
	t.Helper()
	byPartition := make([][]string, 3)
	err := Tail(testContext(t), c, "a", true, func(m *Message) error {
		byPartition[m.Partition] = append(byPartition[m.Partition], fmt.Sprintf("%s@%d=%s", m.Key, m.TimestampMS, m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(byPartition)
}

// TestPublishingGoesOn cuts a publication short at random, with the partitions
// at different places, and expects the same contents as without a cut.
func TestPublishingGoesOn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	keys, values := publication(400)
	_, whole := fake(t)
	topics(t, whole, 3, "a")
	if err := publishAll(t, whole, nil, keys, values); err != nil {
		t.Fatal(err)
	}
	want := contents(t, whole)
	for range 5 {
		_, c := fake(t)
		topics(t, c, 3, "a")
		cut := make([]int, 3)
		for i := range cut {
			cut[i] = rng.IntN(150)
		}
		publishUpTo(t, c, keys, values, cut)
		there, err := ReadPublished(testContext(t), c, "a", []int64{0, 0, 0})
		if err != nil {
			t.Fatal(err)
		}
		if err := publishAll(t, c, map[string][]Published{"a": there}, keys, values); err != nil {
			t.Fatalf("going on after %v records: %v", cut, err)
		}
		if got := contents(t, c); got != want {
			t.Fatalf("after %v records, got\n%s\nwant\n%s", cut, got, want)
		}
	}
}

// publishUpTo publishes at most cut[p] records to partition p.
func publishUpTo(t *testing.T, c Connection, keys, values [][]byte, cut []int) {
	t.Helper()
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := &outLane{partitions: len(cut)}
	sent := make([]int, len(cut))
	for i := range keys {
		at := l.choose(keys[i])
		if sent[at]++; sent[at] > cut[at] {
			continue
		}
		p.row.Topic, p.row.Key, p.row.Value, p.row.TimestampMS = "a", keys[i], values[i], int64(i)
		p.out.send(&p.row, int32(at))
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestPublishingGoesOnWithNothingElse(t *testing.T) {
	keys, values := publication(60)
	for name, change := range map[string]func(c Connection) ([][]byte, [][]byte){
		"a record in between": func(c Connection) ([][]byte, [][]byte) {
			client, err := kgo.NewClient(kgo.SeedBrokers(c.SeedBrokers...))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.ProduceSync(testContext(t), &kgo.Record{Topic: "a", Key: []byte("k1"), Value: []byte("other")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			return keys, values
		},
		"a changed input": func(Connection) ([][]byte, [][]byte) {
			changed := append([][]byte{}, values...)
			changed[7] = []byte("changed")
			return keys, changed
		},
		"a shorter input": func(Connection) ([][]byte, [][]byte) { return keys[:20], values[:20] },
	} {
		t.Run(name, func(t *testing.T) {
			_, c := fake(t)
			topics(t, c, 3, "a")
			publishUpTo(t, c, keys, values, []int{15, 15, 15})
			k, v := change(c)
			there, err := ReadPublished(testContext(t), c, "a", []int64{0, 0, 0})
			if err != nil {
				t.Fatal(err)
			}
			if err := publishAll(t, c, map[string][]Published{"a": there}, k, v); !errors.Is(err, ErrPublishedOther) {
				t.Errorf("got %v, want %v", err, ErrPublishedOther)
			}
		})
	}
}
