package changes

import (
	"bytes"
	"maps"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
)

// readCanal reads a flat message of Canal: the rows that one statement changed,
// every value written as a text. https://github.com/alibaba/canal has its form;
// TiCDC and DTS write the same.
func (p *Parser) readCanal(rec *mortise.Record) error {
	if len(rec.Value) == 0 {
		return badJSON("it has no value: Canal has no tombstones")
	}
	message, err := open(rec.Value)
	if err != nil {
		return err
	}
	top := columnsOf(message)
	kind := textOf(top["type"])
	atMS, err := strconv.ParseInt(string(top["es"]), 10, 64)
	if err == nil && atMS < secondsBelow {
		atMS *= 1000
	}
	if err == nil {
		p.timeMS = max(atMS, 0)
	}
	switch kind {
	case "INSERT", "UPDATE", "DELETE":
	case "TRUNCATE":
		if p.wanted(textOf(top["database"]), textOf(top["table"])) {
			return truncated("type")
		}
		return nil
	case "":
		return badField("type", "it has none, so it is no message of Canal's (canal.mq.flatMessage = true)")
	default:
		return nil // of tables, indexes, users, watermarks: no row is named
	}
	if string(top["isDdl"]) == "true" || !p.wanted(textOf(top["database"]), textOf(top["table"])) {
		return nil
	}
	if err != nil || atMS <= 0 {
		return &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: "es", Detail: "it is missing, or not a time: when the rows were changed is not known"}
	}
	if !isArray(top["data"]) {
		return badField("data", "%s needs the rows", kind)
	}
	p.canalRows(kind, top, atMS)
	return nil
}

// secondsBelow is what a time is less than that is seconds: as ms it would be of
// early 1973, as seconds of the year 5138. Canal writes ms, others who write its form
// take the seconds of MySQL's log as they are.
const secondsBelow = 100_000_000_000

// canalRows reads the rows of a message, each by itself.
func (p *Parser) canalRows(kind string, top columns, atMS int64) {
	var old []columns
	if isArray(top["old"]) {
		elements(top["old"], func(row []byte) { old = append(old, rowOf(row)) })
	}
	r := reading{parser: p, texts: true}
	i := -1
	elements(top["data"], func(raw []byte) {
		i++
		c := rowOf(raw)
		if c == nil {
			p.put(badField("data", "row %d is not an object", i))
			return
		}
		key, values, why := p.key(c, r)
		switch {
		case why != nil:
			p.put(why)
			return
		case kind == "DELETE":
			p.out = append(p.out, Change{Key: key, Values: values, AtMS: atMS})
			return
		case kind == "UPDATE" && i < len(old) && old[i] != nil:
			p.renamed(c, old[i], r, key, atMS)
		}
		p.upsert(c, r, key, values, atMS)
	})
}

// renamed ends the row of a key that an update has changed: old has the values
// before it of the columns that it changed.
func (p *Parser) renamed(now, old columns, r reading, key []byte, atMS int64) {
	before := maps.Clone(now)
	maps.Copy(before, old)
	if was, values, why := p.key(before, r); why == nil && !bytes.Equal(was, key) {
		p.out = append(p.out, Change{Key: was, Values: values, AtMS: atMS})
	}
}
