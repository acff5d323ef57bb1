package changing

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// position is how far a stream has been read into its table, as the table keeps it.
type position struct {
	Of         string `json:"of"` // what the rows were made by
	Partitions []mark `json:"partitions"`
}

type mark struct {
	Next    int64  `json:"next"`
	MaxMS   *int64 `json:"max_ms,omitempty"` // the latest change
	HeardMS int64  `json:"heard_ms"`         // wall time of the last record
}

// positionName is what a stream's position is kept under.
func positionName(c *spec.Changes) string { return "changes/" + c.Topic }

// fingerprint is what a table's rows and notes depend on.
func fingerprint(d *spec.Dimension) string {
	c := d.Changes
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %q %q %v %s %v", c.Format, c.Topic, c.Table, c.Key, c.Unit, d.Fields)
	return fmt.Sprintf("%016x", h.Sum64())
}

func parsePosition(text []byte, of string) (position, error) {
	var p position
	if text == nil {
		return position{Of: of}, nil
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("the position of its change stream does not verify: %w", err)
	}
	if p.Of != of {
		return p, fmt.Errorf("its rows were made of other fields, another key or another topic: remove the table, and the changes are read anew from the beginning of the topic")
	}
	return p, nil
}

func (p *position) text() ([]byte, error) { return json.Marshal(p) }

// widen adds partitions that were not there, or that the topic has been given since.
func (p *position) widen(partitions int) {
	for len(p.Partitions) < partitions {
		p.Partitions = append(p.Partitions, mark{Next: experiments.OffsetEarliest})
	}
}
