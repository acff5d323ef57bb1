package hbase_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tsuna/gohbase"
	"github.com/tsuna/gohbase/hrpc"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/hbase"
	"github.com/mortise-dev/mortise/internal/hbasetest"
)

type subject struct {
	t   testing.TB
	def dimjoin.Definition
}

func (s *subject) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	def := s.def
	def.Fields = fields
	t, err := hbase.Open(ctx, &def, hbase.Options{})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *subject) table(ctx context.Context) (*hbase.Table, error) {
	t, err := hbase.Open(ctx, &s.def, hbase.Options{})
	if err == nil {
		s.t.Cleanup(func() { t.Close() })
	}
	return t, err
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

func (s *subject) Break(t testing.TB, r dimjoin.Record) {
	s.put(r.Key, "stock", "many", uint64(time.Now().Add(time.Hour).UnixMilli()))
}

// put writes a cell as any program does.
func (s *subject) put(key []byte, field, value string, ms uint64) {
	c := gohbase.NewClient(s.def.Store.HBase.ZK)
	defer c.Close()
	p, err := hrpc.NewPut(context.Background(), []byte(s.def.Store.HBase.Table), key, map[string]map[string][]byte{hbase.DefaultFamily: {field: []byte(value)}}, hrpc.TimestampUint64(ms))
	if err == nil {
		_, err = c.Put(p)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) Remove(testing.TB) { s.def.Store.HBase.Table += "-gone" }

var tables atomic.Int64

func store(history bool) dimjointest.Store {
	return dimjointest.Store{History: history, Scale: 2, New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		server := hbasetest.Shared(t)
		def.Store = dimjoin.Store{Kind: "hbase", HBase: dimjoin.HBase{ZK: server.ZK, Table: fmt.Sprint("items", tables.Add(1))}}
		admin := gohbase.NewAdminClient(server.ZK)
		create := hrpc.NewCreateTable(context.Background(), []byte(def.Store.HBase.Table), map[string]map[string]string{hbase.DefaultFamily: {"VERSIONS": "20"}})
		if err := admin.CreateTable(create); err != nil {
			t.Fatal(err)
		}
		return &subject{t, def}
	}}
}

func TestConformance(t *testing.T) { dimjointest.Run(t, store(true)) }

func BenchmarkRead(b *testing.B) { dimjointest.Benchmark(b, store(false)) }

func itemDef() dimjoin.Definition {
	return dimjoin.Definition{Name: "item", Key: []string{"id"}, Fields: mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int, Nullable: true}}, {Name: "b", Type: mortise.Type{Kind: mortise.String, Nullable: true}}}}
}

// Cells that other programs write are read, each by its own time.
func TestForeignCells(t *testing.T) {
	def := itemDef()
	def.History.From = "from"
	s := store(true).New(t, def).(*subject)
	s.put([]byte("k"), "a", "1", 100)
	s.put([]byte("k"), "b", "x", 150)
	s.put([]byte("k"), "a", "2", 200)
	table, err := s.Open(context.Background(), def.Fields)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for at, want := range map[int64]string{99: "-", 100: "1 null", 149: "1 null", 150: "1 x", 199: "1 x", 200: "2 x", dimjoin.Latest: "2 x"} {
		l := []dimjoin.Lookup{{Key: []byte("k"), AsOfMS: at}}
		if err := table.Read(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		got := "-"
		if l[0].Row != nil {
			got = string(dimjoin.AppendText(nil, l[0].Row[0])) + " null"
			if b := l[0].Row[1]; !b.IsNull() {
				got = strings.Replace(got, "null", string(b.Text()), 1)
			}
		}
		if got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	s := store(false).New(t, itemDef()).(*subject)
	for _, c := range []struct {
		change func(def *dimjoin.Definition)
		want   string
	}{
		{func(d *dimjoin.Definition) { d.Store.HBase.Table = "nothing" }, "there is no such table"},
		{func(d *dimjoin.Definition) { d.Store.HBase.Family = "x" }, "it has no column family x"},
		{func(d *dimjoin.Definition) { d.Store.HBase.ZK = "" }, "name the ZooKeeper quorum"},
		{func(d *dimjoin.Definition) { d.Store.HBase.ZK = "127.0.0.1:1" }, "cannot be reached"},
	} {
		def := s.def
		c.change(&def)
		begun := time.Now()
		_, err := hbase.Open(context.Background(), &def, hbase.Options{Timeout: 2 * time.Second})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dimension item") {
			t.Errorf("%v, want %s", err, c.want)
		}
		if errors.Is(err, dimjoin.ErrUnreachable) != (c.want == "cannot be reached") {
			t.Errorf("%v is unreachable: %v", err, errors.Is(err, dimjoin.ErrUnreachable))
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %v", c.want, took)
		}
	}
}
