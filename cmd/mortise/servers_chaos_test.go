package main

import (
	"fmt"
	"testing"

	"github.com/mortise-dev/mortise/internal/hbasetest"
	"github.com/mortise-dev/mortise/internal/sqltest"
)

// serverChaos is a run whose dimension is a table that a change stream fills.
type serverChaos struct {
	*chaosRun
	changes int64
}

func startServerChaos(t *testing.T, in tables) *serverChaos {
	t.Helper()
	table := newTable()
	in.create(t, table, false)
	return &serverChaos{chaosRun: startChaos(t, in.store(table), "2s", "changes: {topic: x.changes, format: debezium}")}
}

// change publishes the rows of items from up to to.
func (c *serverChaos) change(from, to int) {
	c.t.Helper()
	var changes []string
	for i := from; i < to; i++ {
		c.changes++
		changes = append(changes, fmt.Sprintf(`{"op":"c","after":{"item_id":"item-%d","brand":"brand-%[1]d"},"source":{"ts_ms":%d}}`, i, 1_767_225_600_000+c.changes))
	}
	c.produce("x.changes", changes)
}

// changed waits until all that was published is in the table.
func (c *serverChaos) changed() {
	c.t.Helper()
	await(c.t, "changes to be in the table", func() bool { return takenIn(c.t, c.brokers, "x.changes") == c.changes }, c.run)
}

// begin has rows served, and some that are not there.
func (c *serverChaos) begin() {
	c.t.Helper()
	c.change(0, 120)
	c.changed()
	c.publish("well", 0, 100)
	c.publish("absent", 500, 510)
	c.settled()
}

// freeze has the store freeze while rows are asked for and change, and go on.
func (c *serverChaos) freeze(freeze, thaw func(testing.TB)) {
	c.t.Helper()
	freeze(c.t)
	c.publish("frozen", 0, 100)
	c.change(140, 160)
	c.settled()
	c.openBreaker("frozen")
	thaw(c.t)
	c.recovered("being frozen")
	c.changed()
	c.publish("thawed", 0, 120)
	c.publish("thawed", 140, 160)
	c.settled()
}

// TestDatabaseChaos has the database of a dimension killed and frozen, and back each
// time, under a run that goes on, as TestRedisChaos does; changes of its rows that
// came meanwhile are in it afterwards.
func TestDatabaseChaos(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (*sqltest.Server, tables){
		"postgres": func(t *testing.T) (*sqltest.Server, tables) {
			s := sqltest.StartPostgres(t)
			return s, sqlTables("pgx", "postgres", postgresDSN(s.Addr), "text")
		},
		"mariadb": func(t *testing.T) (*sqltest.Server, tables) {
			s := sqltest.StartMariaDB(t)
			return s, sqlTables("mysql", "mysql", mariaDSN(s.Addr), "varchar(64)")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, in := start(t)
			c := startServerChaos(t, in)
			c.begin()
			server.Kill()
			c.publish("killed", 0, 120) // the last 20 were never read
			c.change(120, 140)
			c.settled()
			if c.metric("mortise_dimension_requests_total", `result="failed"`) == 0 {
				t.Error("no request has failed while the database was dead")
			}
			server.Restart(t)
			c.recovered("being killed")
			c.changed()
			c.publish("back", 0, 140)
			c.settled()
			c.freeze(server.Freeze, server.Thaw)
			c.end()
			c.expect(c.served(), map[string]map[string]int{
				"well": {"": 100}, "absent": {"item:missing": 10}, "killed": {"item:stale": 100, "item:missing": 20}, "back": {"": 140},
				"frozen": {"item:stale": c.sent["frozen"]}, "thawed": {"": 140},
			})
		})
	}
}

// TestHBaseChaos has the HBase of a dimension frozen, and back.
func TestHBaseChaos(t *testing.T) {
	t.Parallel()
	server := hbasetest.Start(t)
	t.Cleanup(server.Kill)
	c := startServerChaos(t, hbaseTables(server.ZK))
	c.begin()
	c.freeze(server.Freeze, server.Thaw)
	c.end()
	c.expect(c.served(), map[string]map[string]int{
		"well": {"": 100}, "absent": {"item:missing": 10}, "frozen": {"item:stale": c.sent["frozen"]}, "thawed": {"": 140},
	})
}
