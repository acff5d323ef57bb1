package traffic

// Stream is one of the generated streams.
type Stream uint8

const (
	Impressions Stream = iota // the main stream
	Clicks                    // a label stream: joined by impression_id or request_id
	Orders                    // a label stream with an amount: joined by impression_id
	Queries                   // a context stream: joined by request_id, before the impressions
	NumStreams
)

var streamNames = [NumStreams]string{"impressions", "clicks", "orders", "queries"}

// String returns the stream's name, as its file is called.
func (s Stream) String() string {
	if s < NumStreams {
		return streamNames[s]
	}
	return "unknown"
}

// Fault says what was done to a record on purpose; flags may come together.
type Fault uint8

const (
	Duplicate Fault = 1 << iota // the same impression or click again
	Late                        // arrives later than Options.JitterMS allows
	Orphan                      // a label of an impression that does not exist
	Junk                        // broken: no experiment can use it
)

// Event is one record, at the moment that it arrives.
type Event struct {
	Stream    Stream
	Faults    Fault
	TimeMS    int64  // event time, ms UTC; of junk, that of the sound record beside it
	ArrivalMS int64  // when it arrives, ms UTC; never decreases from event to event
	Line      []byte // one JSON object (junk excepted), no newline; valid until the next call of Next
}
