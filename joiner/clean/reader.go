package clean

import (
	"bytes"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// Event is a record on its way into the join. Its slices are valid until the
// Reader's next call; some alias the record.
type Event struct {
	TimeMS int64
	// Accept has bit i for each experiment i that takes the record. When it is 0,
	// the keys are not extracted.
	Accept uint32
	// Bad has bit i for each experiment i whose where cannot be evaluated; the
	// record is a dead letter of those, see Reader.Fault.
	Bad uint32
	// Keys are the canonical join keys, one for each of Options.Keys; nil where a
	// part of a key is missing, as long as not all of them are. Without IntakeKeys
	// there are none.
	Keys [][]byte
	// PartitionKey is what the record's Kafka key should be: a single string as it
	// is, other values and several of them in their canonical form.
	PartitionKey []byte
	// Value is what is to be kept: the record's value, or what Clean made of it.
	Value []byte
}

// Reader reads the records of one Source. One goroutine uses it; it reuses its
// buffers, so what a call returns is valid until the next one.
type Reader struct {
	src    *Source
	intake moment
	decode moment
	conv   converter
	clock  clock

	row    mortise.Row
	status []status // of row
	last   *moment  // which one filled row
	derive []*expression.Evaluator
	wheres []*expression.Evaluator

	bad    uint32
	faults [maxExperiments]*mortise.RecordError

	keys    [][]byte
	keyBuf  []byte
	cleaned []byte
}

// moment is one of the two moments in which a record is read.
type moment struct {
	*plan
	scan   *scanner
	binary *scanned // instead of scan, where records are not JSON
}

// NewReader makes a Reader of the source.
func (s *Source) NewReader() *Reader {
	r := &Reader{
		src:    s,
		intake: moment{&s.intake, newPathScanner(s.paths(&s.intake)), s.newScanned(&s.intake)},
		decode: moment{&s.decode, newPathScanner(s.paths(&s.decode)), s.newScanned(&s.decode)},
		clock:  clock{s.unit},
		row:    make(mortise.Row, s.Width()),
		status: make([]status, s.Width()),
		keys:   make([][]byte, len(s.keys)),
		keyBuf: make([]byte, 0, 256),
	}
	for i := range s.derive {
		r.derive = append(r.derive, s.derive[i].program.Bind(s.derive[i].slots))
	}
	for i := range s.wheres {
		r.wheres = append(r.wheres, s.wheres[i].program.Bind(s.wheres[i].slots))
	}
	return r
}

// Fault says why experiment exp's bit of Bad, or of Decode's bad, is set; nil if
// it is not.
func (r *Reader) Fault(exp int) *mortise.RecordError { return r.faults[exp] }

// Taken returns the value that Intake has just read of the i-th field of
// Options.Also; nothing where the record has none of the declared type.
func (r *Reader) Taken(i int) mortise.Value { return r.row[r.src.also[i]] }

// Intake makes an event of a record. The error is a *mortise.RecordError, for a
// record that no experiment can use: ReasonCleanDropped and ReasonCleanFailed,
// ReasonBadJSON, ReasonBadSchema, ReasonBadTime, ReasonMissingKey, or the first experiment's fault
// when every experiment has one. Filtering comes before the keys, so a record
// that every where leaves out needs none.
func (r *Reader) Intake(rec *mortise.Record, ev *Event) error {
	s := r.src
	*ev = Event{Value: rec.Value}
	r.reset(&r.intake)
	if s.opts.Clean != nil {
		value, fault := r.runClean(rec)
		if fault != nil {
			return fault
		}
		ev.Value = value
	} else if s.opts.Format != nil {
		ev.Value = r.keep(rec)
	}
	if err := r.read(ev.Value, s.opts.Strict); err != nil {
		return err
	}
	var fault *mortise.RecordError
	if ev.TimeMS, fault = r.eventTime(); fault != nil {
		return fault
	}
	r.compute()
	ev.Accept = s.atOnce | r.filter(r.row)
	ev.Accept &^= r.bad
	if ev.Bad = r.bad; ev.Accept == 0 {
		return r.allBad()
	}
	return r.intakeKeys(ev)
}

// Decode reads a whole value that Intake let through, and returns a row of every
// declared and derived field of all experiments. Bit i of bad says that a
// declared field of experiment i is missing or of another type, or that one of
// its derived fields failed; Fault says which. The error is a
// *mortise.RecordError for a value that is not a JSON object, or not what its
// schema says.
//
// Any other error, of Intake too, is that of the source's Format, which could
// not find out how to read the record.
func (r *Reader) Decode(value []byte) (row mortise.Row, bad uint32, err error) {
	r.reset(&r.decode)
	if err := r.read(value, true); err != nil {
		return nil, 0, err
	}
	r.compute()
	return r.row, r.bad, nil
}

// Accept evaluates each experiment's where over the row that the last Decode
// returned and returns the experiments that take it; those that Decode found bad
// do not. The error is the first where's that failed; the others' bits hold, and
// Fault tells the failed ones.
func (r *Reader) Accept(row mortise.Row) (uint32, error) {
	before := r.bad
	accept := (r.src.atOnce | r.filter(row)) &^ r.bad
	for exp, fault := range r.faults {
		if (r.bad&^before)>>exp&1 != 0 {
			return accept, fault
		}
	}
	return accept, nil
}

// Key appends the canonical form of the given key set, over the row that the
// last Decode returned. The error is a *mortise.RecordError: ReasonMissingKey,
// or ReasonBadField for a value of another type.
func (r *Reader) Key(set int, row mortise.Row, dst []byte) ([]byte, error) {
	start := len(dst)
	for i, slot := range r.src.keys[set] {
		if i > 0 {
			dst = append(dst, '|')
		}
		var ok bool
		if dst, ok = appendKey(dst, row[slot]); !ok {
			return dst[:start], r.missingKey(slot)
		}
	}
	return dst, nil
}

// appendKey is Value.AppendKey, faster for text that needs no escaping.
func appendKey(dst []byte, v mortise.Value) ([]byte, bool) {
	if v.Kind == mortise.String && !needsEscape(v.Text()) {
		return append(dst, v.Text()...), true
	}
	return v.AppendKey(dst)
}

func needsEscape(text []byte) bool {
	return bytes.IndexByte(text, '|') >= 0 || bytes.IndexByte(text, '\\') >= 0
}
