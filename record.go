package mortise

// Record is one record of a source, as the source delivers it. The byte slices
// belong to whoever delivered it: a stage that keeps them copies them.
type Record struct {
	Source      int    // index of the source within the plan
	Topic       string // topic or file name, for messages and dead letters
	Partition   int32
	Offset      int64
	TimestampMS int64 // the broker's timestamp, ms UTC; not the event time
	Key         []byte
	Value       []byte
	Headers     []Header // as delivered, in order
}

// Header is one of a record's headers.
type Header struct {
	Key   string
	Value []byte
}

// Reason says why a record was dropped. Reasons are metric labels and appear in
// dead letters, so they are few and fixed.
type Reason uint8

const (
	ReasonNone         Reason = iota
	ReasonFiltered            // the source's `where` does not hold
	ReasonDuplicate           // an earlier record of the same key was kept
	ReasonSampled             // a negative that sampling leaves out
	ReasonLate                // late: drop or dead_letter
	ReasonBadJSON             // the value is not one JSON object
	ReasonBadField            // a declared field is missing, null or of another type
	ReasonBadTime             // event time missing, unreadable or out of range
	ReasonMissingKey          // a key field is missing or null
	ReasonCleanFailed         // the custom clean function returned an error
	ReasonCleanDropped        // the custom clean function dropped the record
	ReasonExpression          // an expression failed on this record
	ReasonLost                // the record's log was gone when state had to be rebuilt
	ReasonOutOfRange          // outside the range of event time that a backfill was asked for
	ReasonBadSchema           // the value names no known schema, or is not what its schema says
	ReasonDimension           // a dimension without a row, and its `missing` is dead_letter
	NumReasons
)

var reasonNames = [NumReasons]string{"", "filtered", "duplicate", "sampled", "late", "bad_json", "bad_field", "bad_time",
	"missing_key", "clean_failed", "clean_dropped", "expression", "lost", "out_of_range", "bad_schema", "dimension"}

// String returns the reason's stable name, as used in metrics and dead letters.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// IsDeadLetter reports whether a record dropped for r is broken, and so goes to
// the dead letters, rather than left out on purpose.
func (r Reason) IsDeadLetter() bool {
	return r >= ReasonBadJSON && r < ReasonLost && r != ReasonCleanDropped || r >= ReasonBadSchema
}

// RecordError says that one record cannot be used. The pipeline goes on; the
// record goes to dead letters with the reason.
type RecordError struct {
	Reason Reason
	Field  string // the field at fault; empty when it is the whole record
	Detail string // what was found, and what was expected
}

// Error describes the fault without naming the record; the caller knows which it is.
func (e *RecordError) Error() string {
	if e.Field == "" {
		return e.Reason.String() + ": " + e.Detail
	}
	return e.Reason.String() + ": field " + e.Field + ": " + e.Detail
}

// DeadLetter is a record that could not be used, with why and from where.
type DeadLetter struct {
	Experiment string
	Source     string
	Topic      string
	Partition  int32
	Offset     int64
	Reason     Reason
	Detail     string
	Raw        []byte
}

// ParseReason finds a reason by its stable name.
func ParseReason(name string) (Reason, bool) {
	for r := ReasonFiltered; r < NumReasons; r++ {
		if reasonNames[r] == name {
			return r, true
		}
	}
	return ReasonNone, false
}
