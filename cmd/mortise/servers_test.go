package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/tsuna/gohbase"
	"github.com/tsuna/gohbase/hrpc"

	"github.com/mortise-dev/mortise/internal/hbasetest"
	"github.com/mortise-dev/mortise/internal/sqltest"
)

// tableServer is a kind of store whose tables lie in a real server.
type tableServer struct {
	name string
	// open starts the server, once for all tests, and returns what makes a table in it.
	open func(t *testing.T) tables
}

// tables are a server's.
type tables struct {
	// create makes a table with a key item_id and columns brand and price, with history
	// also since and until.
	create func(t *testing.T, table string, history bool)
	// store is a table as an experiment file names it.
	store func(table string) string
}

var tableServers = []tableServer{
	{"postgres", func(t *testing.T) tables {
		return sqlTables("pgx", "postgres", postgresDSN(sqltest.Postgres(t)), "text")
	}},
	{"mariadb", func(t *testing.T) tables {
		return sqlTables("mysql", "mysql", mariaDSN(sqltest.MariaDB(t)), "varchar(64)")
	}},
	{"hbase", func(t *testing.T) tables { return hbaseTables(hbasetest.Shared(t).ZK) }},
}

func postgresDSN(addr string) string { return "postgres://postgres@" + addr + "/postgres" }
func mariaDSN(addr string) string    { return "root@tcp(" + addr + ")/test" }

func sqlTables(driver, dialect, dsn, key string) tables {
	return tables{
		create: func(t *testing.T, table string, history bool) {
			t.Helper()
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			times, unique := "", "item_id"
			if history {
				times, unique = "since bigint, until bigint, ", "item_id, since"
			}
			if _, err := db.Exec(fmt.Sprintf("CREATE TABLE %s (item_id %s NOT NULL, brand %[2]s NOT NULL, price double precision, %sUNIQUE (%s))", table, key, times, unique)); err != nil {
				t.Fatal(err)
			}
		},
		store: func(table string) string {
			return fmt.Sprintf("{sql: {driver: %s, dsn: %q, table: %s}}", dialect, dsn, table)
		},
	}
}

func hbaseTables(zk string) tables {
	return tables{
		create: func(t *testing.T, table string, _ bool) {
			t.Helper()
			create := hrpc.NewCreateTable(context.Background(), []byte(table), map[string]map[string]string{"d": {"VERSIONS": "20"}})
			if err := gohbase.NewAdminClient(zk).CreateTable(create); err != nil {
				t.Fatal(err)
			}
		},
		store: func(table string) string { return fmt.Sprintf("{hbase: {zk: %q, table: %s}}", zk, table) },
	}
}

var tableNumber atomic.Int64

// newTable names a table that nobody has.
func newTable() string { return fmt.Sprint("items", tableNumber.Add(1)) }

// servedBy writes an experiment file whose words STORE1, STORE2, … are stores.
func servedBy(t *testing.T, path, text string, stores ...string) string {
	t.Helper()
	for i, s := range stores {
		text = strings.ReplaceAll(text, fmt.Sprint("STORE", i+1), s)
	}
	return write(t, path, text)
}
