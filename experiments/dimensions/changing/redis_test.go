package changing

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/changes"
	"github.com/mortise-dev/mortise/dimjoin/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// onWarning does something whenever something is warned of.
type onWarning struct {
	n  int
	do func()
}

func (*onWarning) Enabled(context.Context, slog.Level) bool { return true }
func (w *onWarning) WithAttrs([]slog.Attr) slog.Handler     { return w }
func (w *onWarning) WithGroup(string) slog.Handler          { return w }
func (w *onWarning) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		w.n++
		w.do()
	}
	return nil
}

// TestRedis keeps the latest rows in a real Redis, which is killed again and again
// while it is written to, and comes back.
func TestRedis(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "always")
	rnd := rand.New(rand.NewPCG(8, 8))
	w, d := newWorld(rnd, 300), dimension(changes.Debezium)
	d.History = dimjoin.History{}
	d.Store = dimjoin.Store{Kind: "redis", Addrs: []string{server.Addr}, Redis: dimjoin.Redis{Prefix: fmt.Sprint("changing-", rnd.Uint32())}}
	table, err := redis.Open(context.Background(), &d.Definition, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	writer, err := table.Writer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewWritten(d, "demo", table, writer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.topic.ended = cancel
	polls := 0
	w.topic.fail = func() error {
		if polls++; polls%5 == 0 {
			server.Kill()
		}
		return nil
	}
	failed := &onWarning{do: func() { server.Restart(t) }}
	sh := NewShared(transport{w.topic}, s, Options{Now: now, PollRecords: 5, MaxBytes: 1, RetryEvery: time.Millisecond, Log: slog.New(failed)})
	if err := sh.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if failed.n < 3 {
		t.Errorf("it was gone %d times, in %d polls", failed.n, polls)
	}
	for key := range w.said {
		l := []dimjoin.Lookup{{Key: []byte(key), Values: mortise.Row{mortise.StringValue(key)}, AsOfMS: dimjoin.Latest}}
		if err := table.Read(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		if got, want := show(l[0].Row), w.want(key, nowMS); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}
