package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

type subject struct {
	t    testing.TB
	def  dimjoin.Definition
	opts redis.Options
	main *redis.Table
}

func (s *subject) table(ctx context.Context) (*redis.Table, error) {
	if s.main == nil {
		var err error
		if s.main, err = redis.Open(ctx, &s.def, s.opts); err != nil {
			return nil, err
		}
		s.t.Cleanup(func() { s.main.Close() })
	}
	return s.main, nil
}

func (s *subject) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	def := s.def
	def.Fields = fields
	return redis.Open(ctx, &def, s.opts)
}

func (s *subject) Writer(ctx context.Context) (dimjoin.Writer, error) {
	t, err := s.table(ctx)
	if err != nil {
		return nil, err
	}
	return t.Writer(ctx)
}

func (s *subject) Versioned(ctx context.Context) (dimjoin.Versioned, error) { return s.table(ctx) }

func (s *subject) Fill(t testing.TB, records []dimjoin.Record) {
	w, err := s.Writer(context.Background())
	if err == nil {
		err = w.Write(context.Background(), records)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *subject) client() goredis.UniversalClient {
	c := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: s.def.Store.Addrs, IsClusterMode: s.def.Store.Redis.Cluster})
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (s *subject) Break(t testing.TB, r dimjoin.Record) {
	ctx, key := context.Background(), s.def.Store.Redis.Prefix+":"+string(r.Key)
	c := s.client()
	err := c.Del(ctx, key).Err()
	if s.def.Store.Redis.Layout == redis.LayoutPacked {
		err = errors.Join(err, c.HSet(ctx, key, "rank", "high").Err())
	} else {
		err = errors.Join(err, c.Set(ctx, key, "high", 0).Err())
	}
	if err != nil {
		t.Fatal(err)
	}
}

var prefixes atomic.Int64

func store(at func(t testing.TB) dimjoin.Store, layout string, opts redis.Options) dimjointest.Store {
	return dimjointest.Store{New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		def.Store = at(t)
		def.Store.Kind, def.Store.Redis.Layout, def.Store.Redis.Prefix = "redis", layout, fmt.Sprint("dim*", prefixes.Add(1))
		return &subject{t: t, def: def, opts: opts}
	}}
}

func single(t testing.TB) dimjoin.Store {
	return dimjoin.Store{Addrs: []string{redistest.Shared(t).Addr}}
}

func TestConformance(t *testing.T) {
	for _, layout := range []string{redis.LayoutHash, redis.LayoutPacked} {
		t.Run(layout, func(t *testing.T) { dimjointest.Run(t, store(single, layout, redis.Options{})) })
	}
	t.Run("small pipelines", func(t *testing.T) {
		dimjointest.Run(t, store(single, redis.LayoutPacked, redis.Options{PipelineKeys: 7}))
	})
}

func BenchmarkRead(b *testing.B) {
	for _, layout := range []string{redis.LayoutHash, redis.LayoutPacked} {
		b.Run(layout, func(b *testing.B) { dimjointest.Benchmark(b, store(single, layout, redis.Options{})) })
	}
}

func itemDef(store dimjoin.Store) *dimjoin.Definition {
	return &dimjoin.Definition{Name: "item", Key: []string{"id"}, Store: store, Fields: mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int, Nullable: true}}}}
}

// Hashes are read as any program writes them.
func TestForeignHashes(t *testing.T) {
	ctx := context.Background()
	at := single(t)
	at.Redis.Prefix = "foreign"
	table, err := redis.Open(ctx, itemDef(at), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	c := (&subject{t: t, def: *itemDef(at)}).client()
	for key, a := range map[string]string{"one": "1", "text": "x", "blank": ""} {
		if err := c.HSet(ctx, "foreign:"+key, "a", a).Err(); err != nil {
			t.Fatal(err)
		}
	}
	l := []dimjoin.Lookup{{Key: []byte("one")}, {Key: []byte("text")}, {Key: []byte("blank")}}
	if err := table.Read(ctx, l); err != nil {
		t.Fatal(err)
	}
	if l[0].Row == nil || l[0].Row[0].Int() != 1 || l[1].Err == nil || !strings.Contains(l[1].Err.Error(), `field a is the text "x", and int? is declared`) || l[2].Row == nil || !l[2].Row[0].IsNull() {
		t.Errorf("%+v", l)
	}
}

func TestOpenFaults(t *testing.T) {
	up, locked := single(t), redistest.Start(t, "--requirepass", "open sesame")
	for _, c := range []struct {
		change func(def *dimjoin.Definition)
		want   string
	}{
		{func(d *dimjoin.Definition) { d.Store.Addrs = nil }, "no address"},
		{func(d *dimjoin.Definition) { d.Store.Redis.Layout = "json" }, `unknown layout "json"`},
		{func(d *dimjoin.Definition) { d.Store.Redis.Prefix = "a@b" }, "has an @"},
		{func(d *dimjoin.Definition) { d.History.From = "f" }, "no history"},
		{func(d *dimjoin.Definition) { d.Store.Redis.Cluster, d.Store.Redis.DB = true, 1 }, "no db but 0"},
		{func(d *dimjoin.Definition) { d.Store.Addrs = []string{"127.0.0.1:1"} }, "cannot be reached"},
		{func(d *dimjoin.Definition) { d.Store.Addrs, d.Store.Redis.Password = []string{locked.Addr}, "hunter2" }, "WRONGPASS"},
	} {
		def := itemDef(up)
		c.change(def)
		_, err := redis.Open(context.Background(), def, redis.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dimension item") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %s", err, c.want)
		}
		if errors.Is(err, dimjoin.ErrUnreachable) != (c.want == "cannot be reached") {
			t.Errorf("%v is unreachable: %v", err, errors.Is(err, dimjoin.ErrUnreachable))
		}
	}
}

// A server that is killed is an error of reads, at once; when it is back, so are they.
func TestServerGoesAndComes(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t)
	s := store(func(testing.TB) dimjoin.Store { return dimjoin.Store{Addrs: []string{server.Addr}} }, redis.LayoutHash, redis.Options{}).New(t, *itemDef(dimjoin.Store{})).(*subject)
	s.Fill(t, []dimjoin.Record{{Key: []byte("k"), Row: mortise.Row{mortise.IntValue(7)}}})
	l := []dimjoin.Lookup{{Key: []byte("k")}}
	read := func() error { return s.main.Read(ctx, l) }
	if err := read(); err != nil || l[0].Row == nil {
		t.Fatalf("%+v, %v", l, err)
	}
	server.Kill()
	for range 3 {
		begun := time.Now()
		if err := read(); err == nil || !strings.Contains(err.Error(), "dimension item") {
			t.Fatalf("a dead server answers: %v", err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("a dead server is noticed after %v", took)
		}
	}
	server.Restart(t)
	if err := read(); err != nil || l[0].Row == nil || l[0].Row[0].Int() != 7 {
		t.Errorf("after the restart: %+v, %v", l, err)
	}
}

// A server that is there and does not answer holds nobody beyond their deadline, and
// nobody who gives up.
func TestFrozenServer(t *testing.T) {
	s := store(single, redis.LayoutPacked, redis.Options{}).New(t, *itemDef(dimjoin.Store{})).(*subject)
	s.Fill(t, []dimjoin.Record{{Key: []byte("k"), Row: mortise.Row{mortise.IntValue(7)}}})
	frozen := make(chan error, 1)
	go func() { frozen <- s.client().Do(context.Background(), "CLIENT", "PAUSE", "1000", "ALL").Err() }()
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	deadline, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.main.Read(deadline, []dimjoin.Lookup{{Key: []byte("k")}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	given, giveUp := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, giveUp)
	if err := s.main.Read(given, []dimjoin.Lookup{{Key: []byte("k")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after giving up: %v", err)
	}
	if took := time.Since(begun); took > 800*time.Millisecond {
		t.Errorf("both took %v", took)
	}
	l := []dimjoin.Lookup{{Key: []byte("k")}}
	if err := s.main.Read(context.Background(), l); err != nil || l[0].Row == nil {
		t.Errorf("when it goes on: %+v, %v", l, err)
	}
}
