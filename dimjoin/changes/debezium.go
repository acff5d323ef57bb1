package changes

import (
	"bytes"
	"encoding/json"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
)

// readDebezium reads a change event of Debezium, with or without the schema
// around it. https://debezium.io/documentation/reference/stable/connectors/ has
// its form, connector by connector.
func (p *Parser) readDebezium(rec *mortise.Record) error {
	if len(rec.Value) == 0 {
		return p.tombstone(rec)
	}
	event, err := open(rec.Value)
	if err != nil {
		return err
	}
	top := columnsOf(event)
	r := reading{parser: p}
	if payload, ok := top["payload"]; ok && top["schema"] != nil {
		if isNull(payload) {
			return p.tombstone(rec)
		}
		if !isObject(payload) {
			return badJSON("the payload is not an object")
		}
		r.columns = p.schema.of(top["schema"])
		top = columnsOf(payload)
	}
	source := columns{}
	if isObject(top["source"]) {
		source = columnsOf(top["source"])
	}
	atMS, timed := eventTime(top, source)
	if timed {
		p.timeMS = max(atMS, 0)
	}
	if !p.wanted(textOf(source["db"]), textOf(source["schema"]), textOf(source["table"])) {
		return nil
	}
	return p.event(rec, top, r, atMS, timed)
}

// event reads the payload of a change event.
func (p *Parser) event(rec *mortise.Record, top columns, r reading, atMS int64, timed bool) error {
	op := textOf(top["op"])
	switch op {
	case "c", "u", "r", "d":
	case "t":
		return truncated("op")
	case "m": // a message that is not about rows
		return nil
	case "":
		if isNoEvent(top) {
			return nil
		}
		return badField("op", "it has none, so it is no change event of Debezium; the whole event is needed, not what ExtractNewRecordState leaves of it")
	default:
		return badField("op", "expected c, u, d or r, found %q", op)
	}
	if !timed || atMS < 0 || atMS == 0 && op != "r" { // connectors may know no time for rows that a snapshot finds
		return &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: "source.ts_ms", Detail: "it is missing, or not a time: when the row was changed is not known"}
	}
	before, after := rowOf(top["before"]), rowOf(top["after"])
	if op == "d" {
		return p.delete(rec, before, r, atMS)
	}
	if after == nil {
		return badField("after", "op %s needs the row as it is now", op)
	}
	key, values, why := p.keyOf(rec, after, r)
	if why != nil {
		return why
	}
	if old, oldValues, why := p.key(before, r); why == nil && !bytes.Equal(old, key) {
		p.out = append(p.out, Change{Key: old, Values: oldValues, AtMS: atMS})
	}
	p.upsert(after, r, key, values, atMS)
	return nil
}

// isNoEvent reports whether something without an operation belongs to a topic of
// Debezium's all the same: a heartbeat, a change of a table, a transaction's ends.
func isNoEvent(top columns) bool {
	return len(top) == 1 && top["ts_ms"] != nil || top["ddl"] != nil || top["tableChanges"] != nil || top["status"] != nil && top["event_count"] != nil
}

func rowOf(raw []byte) columns {
	if !isObject(raw) {
		return nil
	}
	return columnsOf(raw)
}

// eventTime finds when the database made a change. Early versions had other names
// and units for it.
func eventTime(top, source columns) (ms int64, ok bool) {
	for _, at := range []struct {
		raw []byte
		mul int64
		div int64
	}{{source["ts_ms"], 1, 1}, {source["ts_usec"], 1, 1000}, {source["ts_sec"], 1000, 1}, {top["ts_ms"], 1, 1}} {
		if n, err := strconv.ParseInt(string(at.raw), 10, 64); err == nil && n < 1<<62/at.mul && n > -1<<62/at.mul {
			return floorDiv(n*at.mul, at.div), true
		}
	}
	return 0, false
}

// keyOf reads the key out of the row, or, where that does not have it, out of the
// record's key.
func (p *Parser) keyOf(rec *mortise.Record, row columns, r reading) ([]byte, mortise.Row, *mortise.RecordError) {
	key, values, why := p.key(row, r)
	if why == nil || why.Reason != mortise.ReasonMissingKey {
		return key, values, why
	}
	if c := recordKey(rec.Key); c != nil {
		if key, values, why := p.key(c, reading{parser: p, columns: r.columns}); why == nil {
			return key, values, nil
		}
	}
	return nil, nil, why
}

// recordKey is the columns of a record's key; nil where it has none.
func recordKey(key []byte) columns {
	object, err := open(key)
	if err != nil {
		return nil
	}
	c := columnsOf(object)
	if payload := c["payload"]; payload != nil && c["schema"] != nil {
		return rowOf(payload)
	}
	return c
}

func (p *Parser) delete(rec *mortise.Record, before columns, r reading, atMS int64) error {
	key, values, why := p.keyOf(rec, before, r)
	if why != nil {
		return why
	}
	p.out = append(p.out, Change{Key: key, Values: values, AtMS: atMS})
	return nil
}

// tombstone reads a record without a value, by its key.
func (p *Parser) tombstone(rec *mortise.Record) error {
	if len(rec.Key) == 0 {
		return &mortise.RecordError{Reason: mortise.ReasonMissingKey, Detail: "it has neither a value nor a key"}
	}
	c := recordKey(rec.Key)
	if c == nil {
		return badJSON("the record has no value, and its key is not a JSON object")
	}
	if p.opts.Table != "" {
		return nil // which table it is of is not known
	}
	key, values, why := p.key(c, reading{parser: p})
	if why != nil {
		return why
	}
	p.out = append(p.out, Change{Key: key, Values: values, AtMS: rec.TimestampMS, Tombstone: true})
	return nil
}

// connectSchema is what the schema of the last record says of its rows' columns.
type connectSchema struct {
	text    []byte
	columns map[string]column
}

type schemaNode struct {
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Field      string            `json:"field"`
	Fields     []schemaNode      `json:"fields"`
	Parameters map[string]string `json:"parameters"`
}

// of reads a schema, if it is not the last one. What it does not say is not known.
func (s *connectSchema) of(raw []byte) map[string]column {
	if s.text != nil && bytes.Equal(raw, s.text) {
		return s.columns
	}
	s.text, s.columns = bytes.Clone(raw), nil
	var top schemaNode
	if json.Unmarshal(raw, &top) != nil {
		return nil
	}
	for i := range top.Fields {
		if f := &top.Fields[i]; f.Field == "after" || f.Field == "before" && s.columns == nil {
			s.columns = make(map[string]column, len(f.Fields))
			for _, c := range f.Fields {
				scale, _ := strconv.Atoi(c.Parameters["scale"]) // 0 where there is none
				s.columns[c.Field] = column{kind: c.Type, name: c.Name, scale: scale}
			}
		}
	}
	return s.columns
}
