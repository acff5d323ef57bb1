package tiling

import (
	"encoding/json"
	"fmt"
)

// meta is what a source's position in the store says beside its watermark.
type meta struct {
	Generation int      `json:"generation"`
	Source     string   `json:"source"`         // feed.name
	Features   []string `json:"features"`       // Feature.ID of those that are kept
	Idle       bool     `json:"idle,omitempty"` // it is caught up and silent
	// Topic and Width are, where workers share the tiles, the topic that the task reads
	// and how many partitions it had when the task began.
	Topic string `json:"topic,omitempty"`
	Width int    `json:"width,omitempty"`
	// Partitions are by number.
	Partitions []partition `json:"partitions"`
}

// partition is how far one partition of the source has been read.
type partition struct {
	Next  int64  `json:"next"`             // the next offset
	MaxMS *int64 `json:"max_ms,omitempty"` // the largest event time; nil before any
}

func (m *meta) append(dst []byte) ([]byte, error) {
	b, err := json.Marshal(m)
	return append(dst, b...), err
}

func parseMeta(b []byte) (*meta, error) {
	m := &meta{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("what a source's position says is not readable: %w: another version wrote it, or it is damaged; begin with an empty store", err)
	}
	return m, nil
}
