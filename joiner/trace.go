package joiner

import mortise "github.com/mortise-dev/mortise"

// Fate is one step in the story of an event.
type Fate uint8

const (
	TakenIn   Fate = iota // held in state
	Dropped               // with Reason
	Matched               // Label attached to Impression
	Emitted               // the impression's row was written
	Unmatched             // the label's time ran out without an impression
	LateLabel             // the label came after every window it could fall into had closed
)

// Trace tells one step of one event's story. Entries are valid during the call.
type Trace struct {
	Fate       Fate
	Reason     mortise.Reason // of Dropped
	Window     int            // of Matched: index of the label definition
	Mask       uint32         // experiments concerned
	Event      *Entry         // the event itself; for Matched, the label
	Impression *Entry         // of Matched
	Emission   Emission       // of Emitted
}
