package spec

import (
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/changes"
)

// Changes is a change stream that keeps a dimension's table up to date.
type Changes struct {
	Topic          string
	Format         string // debezium | canal
	Table          string // whose changes are read; empty for all
	Key            mortise.Schema
	Unit           string // of plain numbers that are times: s | ms | us | ns
	OutOfOrderness time.Duration
	IdleAfter      time.Duration
	MaxAhead       time.Duration // of the wall clock
	Keep           time.Duration // how late a change may come and still be merged exactly
}

var changesBlock = &block{"changes", "A change stream that keeps the table up to date.", []key{
	{name: "topic", shape: topic, required: true, doc: "The topic of the table's changes."},
	{name: "format", shape: enum(changes.Debezium, changes.Canal), required: true, doc: "Who writes it: Debezium, as JSON with or without schemas, or Canal, as flat messages."},
	{name: "table", shape: text, doc: "The table whose changes are read, where the topic has several: its name, database.table or schema.table. The default is all that the topic has."},
	{name: "key", shape: orList(field), doc: "The columns of the key, in the order of the dimension's key. The default is the names that the key has there."},
	{name: "unit", shape: enum("ms", "s", "us", "ns"), def: "ms", doc: "What a number means where a field is a timestamp and the record does not say."},
	{name: "out_of_orderness", shape: span, def: "30s", doc: "How much later than its database's time a change may be written. Rows that are read as of event time wait for it."},
	{name: "idle_after", shape: someSpan, def: "1m", doc: "A partition that is read to its end and silent for so long no longer holds rows back."},
	{name: "max_ahead", shape: someSpan, def: "1h", doc: "A change that lies further ahead of now goes to dead letters."},
	{name: "keep", shape: span, def: "1h", doc: "How late a change may come and still be merged into what came after it, field by field."},
}}

// changes reads a dimension's change stream; nil when there is none.
func (l *loader) changes(n *node, def *dimjoin.Definition) *Changes {
	c := n.get("changes")
	if c == nil || c.kind != mapNode {
		return nil
	}
	out := &Changes{
		Topic:          c.get("topic").string(""),
		Format:         c.get("format").string(changes.Debezium),
		Table:          c.get("table").string(""),
		Unit:           c.get("unit").string("ms"),
		OutOfOrderness: c.get("out_of_orderness").duration(defaultOutOfOrderness),
		IdleAfter:      c.get("idle_after").duration(defaultIdleAfter),
		MaxAhead:       c.get("max_ahead").duration(defaultMaxAhead),
		Keep:           c.get("keep").duration(time.Hour),
	}
	l.changesKey(c, out, def)
	at := n.find("changes").at
	switch kind := def.Store.Kind; {
	case kind == "file":
		l.fail(at, BadDimension, "a file cannot take changes").Help = "use the store pebble, or redis"
	case kind == "ab":
		l.fail(at, BadDimension, "changes go into one store, not into the two of an ab").Help = "give them to whoever fills both"
	case kind != "pebble" && def.AsOf == dimjoin.AsOfEventTime:
		l.fail(at, BadDimension, "changes make a history in pebble alone; %s gets the latest rows", kind).Help = "use the store pebble, or as_of: " + dimjoin.AsOfArrival
	case kind != "pebble" && n.has("history"):
		l.fail(n.find("history").at, BadDimension, "changes make a history in pebble alone; %s gets the latest rows", kind).Help = "remove it, or use the store pebble"
	}
	for _, s := range l.exp.Sources {
		if s.Topic == out.Topic {
			l.fail(c.get("topic").at, Conflict, "the changes would come out of the topic of the source `%s`", s.Name).Help = "give the topic of the table's changes"
		}
	}
	return out
}

// changesKey settles the columns of the key, which have the types of the main fields.
func (l *loader) changesKey(c *node, out *Changes, def *dimjoin.Definition) {
	names := def.Key
	if k := c.get("key"); k != nil {
		if names = k.strings(); len(names) != len(def.Key) {
			l.fail(k.at, BadDimension, "the key has %d columns, and the dimension's has %d fields", len(names), len(def.Key)).Help = "give one column for each, in that order"
			return
		}
	}
	for i, typ := range def.KeyTypes {
		typ.Nullable = false
		out.Key = append(out.Key, mortise.Field{Name: names[i], Type: typ})
	}
}
