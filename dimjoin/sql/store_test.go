package sql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	dimsql "github.com/mortise-dev/mortise/dimjoin/sql"
	"github.com/mortise-dev/mortise/internal/sqltest"
)

// database is one that tests make tables in.
type database struct {
	name, driver string
	dsn          func(t testing.TB) string
	types        map[mortise.Kind]string // of columns
	list         string
	time         string
	quote        string
}

var databases = []database{
	{"postgres", "pgx", func(t testing.TB) string { return "postgres://postgres:swordfish@" + sqltest.Postgres(t) + "/postgres" },
		map[mortise.Kind]string{mortise.String: "text", mortise.Int: "bigint", mortise.Float: "double precision", mortise.Bool: "boolean", mortise.Timestamp: "timestamptz"}, "jsonb", "bigint", `"`},
	{"mysql", "mysql", func(t testing.TB) string { return "root:swordfish@tcp(" + sqltest.MariaDB(t) + ")/test" },
		map[mortise.Kind]string{mortise.String: "mediumtext", mortise.Int: "bigint", mortise.Float: "double", mortise.Bool: "tinyint(1)", mortise.Timestamp: "datetime(3)"}, "json", "bigint", "`"},
}

type subject struct {
	t   testing.TB
	of  *database
	def dimjoin.Definition
	db  *sql.DB
}

var tables atomic.Int64

func (d *database) store(times string, history bool) dimjointest.Store {
	return dimjointest.Store{History: history, Scale: 2, New: func(t testing.TB, def dimjoin.Definition) dimjointest.Subject {
		dsn := d.dsn(t)
		db, err := sql.Open(d.driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		table := fmt.Sprint("Items ", tables.Add(1))
		def.Store = dimjoin.Store{Kind: "sql", SQL: dimjoin.SQL{Driver: d.name, DSN: dsn, Table: table}}
		s := &subject{t, d, def, db}
		s.exec(s.create(times))
		return s
	}}
}

func (s *subject) quoted(name string) string { return s.of.quote + name + s.of.quote }

// create makes the table of a definition.
func (s *subject) create(times string) string {
	var columns, key []string
	for i, name := range s.def.Key {
		typ := s.of.types[s.def.KeyTypes[i].Kind]
		if s.def.KeyTypes[i].Kind == mortise.String && s.of.name == "mysql" {
			typ = "varchar(100) character set utf8mb4 collate utf8mb4_nopad_bin"
		}
		columns, key = append(columns, s.quoted(name)+" "+typ+" not null"), append(key, s.quoted(name))
	}
	for _, f := range s.def.Fields {
		typ := s.of.types[f.Type.Kind]
		if f.Type.Kind == mortise.List {
			typ = s.of.list
		}
		if s.of.name == "mysql" && typ == "mediumtext" {
			typ += " character set utf8mb4"
		}
		if !f.Type.Nullable {
			typ += " not null"
		}
		columns = append(columns, s.quoted(f.Name)+" "+typ)
	}
	if h := s.def.History; h.Kept() {
		columns, key = append(columns, s.quoted(h.From)+" "+times+" not null", s.quoted(h.To)+" "+times), append(key, s.quoted(h.From))
	}
	return "CREATE TABLE " + s.quoted(s.def.Store.SQL.Table) + " (" + strings.Join(columns, ", ") + ", PRIMARY KEY (" + strings.Join(key, ", ") + "))"
}

func (s *subject) exec(text string) {
	s.t.Helper()
	if _, err := s.db.Exec(text); err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
}

func (s *subject) Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error) {
	def := s.def
	def.Fields = fields
	t, err := dimsql.Open(ctx, &def, dimsql.Options{})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *subject) table(ctx context.Context) (*dimsql.Table, error) {
	t, err := dimsql.Open(ctx, &s.def, dimsql.Options{})
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

func (s *subject) Remove(testing.TB) { s.exec("DROP TABLE " + s.quoted(s.def.Store.SQL.Table)) }

func TestConformance(t *testing.T) {
	for i := range databases {
		d := &databases[i]
		t.Run(d.name, func(t *testing.T) { dimjointest.Run(t, d.store(d.time, true)) })
	}
}

func BenchmarkRead(b *testing.B) {
	for i := range databases {
		d := &databases[i]
		b.Run(d.name, func(b *testing.B) { dimjointest.Benchmark(b, d.store(d.time, false)) })
	}
}
