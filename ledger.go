package mortise

import (
	"encoding/json"
	"fmt"
)

// Ledger accounts for every record of one experiment. It always adds up:
//
//	impressions in = emitted + pending + parked + dropped{reason}
//	labels in      = attached + unmatched + late + pending + dropped{reason}
type Ledger struct {
	Impressions ImpressionLedger `json:"impressions"`
	Labels      LabelLedger      `json:"labels"`
	Instances   int64            `json:"instances"`   // final rows written
	Positives   int64            `json:"positives"`   // of them, with at least one label
	Provisional int64            `json:"provisional"` // rows written before their window closed
	LateEmitted int64            `json:"late_emitted"`
	Remembered  int64            `json:"remembered,omitempty"` // instances whose dimensions are read again, to be corrected
	Corrected   int64            `json:"corrected,omitempty"`  // further rows of instances, whose dimensions had come
}

// ImpressionLedger is the main stream's side.
type ImpressionLedger struct {
	In      int64   `json:"in"`
	Emitted int64   `json:"emitted"`
	Pending int64   `json:"pending"`
	Parked  int64   `json:"parked,omitempty"` // closed: their row waits for a dimension
	Dropped Dropped `json:"dropped"`
}

// LabelLedger is the label streams' side. A label that attaches to several
// impressions is counted once.
type LabelLedger struct {
	In        int64   `json:"in"`
	Attached  int64   `json:"attached"`
	Unmatched int64   `json:"unmatched"`
	Late      int64   `json:"late"`
	Pending   int64   `json:"pending"`
	Dropped   Dropped `json:"dropped"`
}

// Dropped counts records by the reason they were dropped for.
type Dropped [NumReasons]int64

// Total sums over all reasons.
func (d *Dropped) Total() (n int64) {
	for _, v := range d {
		n += v
	}
	return n
}

// Check returns an error that shows the sums when the ledger does not add up.
func (l *Ledger) Check() error {
	i, b := &l.Impressions, &l.Labels
	if got := i.Emitted + i.Pending + i.Parked + i.Dropped.Total(); got != i.In {
		return fmt.Errorf("ledger: impressions in %d, accounted for %d (emitted %d, pending %d, parked %d, dropped %d)", i.In, got, i.Emitted, i.Pending, i.Parked, i.Dropped.Total())
	}
	if got := b.Attached + b.Unmatched + b.Late + b.Pending + b.Dropped.Total(); got != b.In {
		return fmt.Errorf("ledger: labels in %d, accounted for %d (attached %d, unmatched %d, late %d, pending %d, dropped %d)", b.In, got, b.Attached, b.Unmatched, b.Late, b.Pending, b.Dropped.Total())
	}
	return nil
}

// Add adds other's counts, as when the tasks of a run are summed up.
func (l *Ledger) Add(other *Ledger) {
	i, o := &l.Impressions, &other.Impressions
	i.In, i.Emitted, i.Pending = i.In+o.In, i.Emitted+o.Emitted, i.Pending+o.Pending
	i.Parked += o.Parked
	b, p := &l.Labels, &other.Labels
	b.In, b.Attached, b.Unmatched = b.In+p.In, b.Attached+p.Attached, b.Unmatched+p.Unmatched
	b.Late, b.Pending = b.Late+p.Late, b.Pending+p.Pending
	for r := range i.Dropped {
		i.Dropped[r] += o.Dropped[r]
		b.Dropped[r] += p.Dropped[r]
	}
	l.Instances, l.Positives = l.Instances+other.Instances, l.Positives+other.Positives
	l.Provisional, l.LateEmitted = l.Provisional+other.Provisional, l.LateEmitted+other.LateEmitted
	l.Remembered, l.Corrected = l.Remembered+other.Remembered, l.Corrected+other.Corrected
}

// MarshalJSON writes the reasons that occurred by name, in a fixed order.
func (d Dropped) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for r, n := range d {
		if n != 0 {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = fmt.Appendf(out, "%q:%d", Reason(r).String(), n)
		}
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown reason is an error.
func (d *Dropped) UnmarshalJSON(data []byte) error {
	counts, err := parseCounts(data)
	if err != nil {
		return err
	}
	*d = Dropped{}
	for name, n := range counts {
		r, ok := ParseReason(name)
		if !ok {
			return fmt.Errorf("ledger: unknown drop reason %q", name)
		}
		d[r] = n
	}
	return nil
}

func parseCounts(data []byte) (map[string]int64, error) {
	counts := map[string]int64{}
	if err := json.Unmarshal(data, &counts); err != nil {
		return nil, fmt.Errorf("reading drop counts: %w", err)
	}
	return counts, nil
}
