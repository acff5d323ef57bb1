// Package clean is stage 1 of 6: it turns raw records into events. It runs the
// source's custom clean function, reads event time, keys and partition key,
// computes derived fields and evaluates `where`. Before it: the transport or
// the files that deliver records. After it: joiner, which holds what is kept.
//
// A Source is compiled once over all experiments that share a pipeline. Its
// Readers then work in two moments:
//
//   - Intake sees every record. It reads only what it must: time, keys, and what
//     the `where`s read, and stops at the last field that it needs.
//   - Decode sees what is emitted, once for all experiments. It reads every
//     declared field and validates the whole record.
//
// # How JSON is read
//
// A record is one JSON object with nothing but white space around it. What is
// valid is what encoding/json takes, the nesting limit of 10,000 included, with
// these rules on top:
//
//   - A field may lie within objects; what is no object has no fields, and null has
//     null ones.
//   - Names match exactly, escaped spellings of a name too. Of a repeated name
//     the first wins, so that stopping early gives the answer of a whole reading.
//   - A string that is read must be valid UTF-8; lone surrogate escapes become
//     U+FFFD. Names and strings that nobody reads are not checked for it.
//   - `int` takes integer literals within int64 (not 1.0, 1e3 or "5"); `float`
//     any number within float64; `bool` true and false; `timestamp` an integer
//     of ms or an RFC 3339 string, and in the event-time field the event time's
//     own unit; lists take arrays of non-null elements.
//   - A missing, null or ill-typed field breaks the record for every experiment
//     that declares it without `?`, and is null for those that declare it with.
package clean
