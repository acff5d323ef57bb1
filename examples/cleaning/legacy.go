package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// view is an impression as the experiment declares it.
type view struct {
	ID       string `json:"id"`
	Time     string `json:"time"`
	User     string `json:"user"`
	Item     string `json:"item"`
	Position int    `json:"position"`
}

// legacyLog turns one line of the old log,
//
//	TIME <tab> view <tab> ID <tab> USER <tab> ITEM <tab> POSITION
//
// into the JSON object that the experiment reads. A heartbeat is nobody's
// impression and is left out; any other line is an error, which sends it to the
// dead letters as it came. The function looks at nothing but the record: after a
// restart the same line must become the same object.
func legacyLog(rec *mortise.Record, dst []byte) ([]byte, error) {
	columns := strings.Split(string(rec.Value), "\t")
	if len(columns) > 1 && columns[1] == "heartbeat" {
		return nil, clean.Drop
	}
	if len(columns) != 6 || columns[1] != "view" {
		return nil, fmt.Errorf("expected a view of 6 columns, found %d columns", len(columns))
	}
	position, err := strconv.Atoi(columns[5])
	if err != nil {
		return nil, fmt.Errorf("reading the position: %w", err)
	}
	text, err := json.Marshal(view{ID: columns[2], Time: columns[0], User: columns[3], Item: columns[4], Position: position})
	if err != nil {
		return nil, err
	}
	return append(dst, text...), nil
}
