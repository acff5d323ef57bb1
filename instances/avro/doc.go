// Package avro writes and reads instances in Avro's binary format. It is a leaf
// of stage 5, instances; the topic that an experiment writes to comes after it.
//
// # The schema
//
// A column is a field of its name, in column order:
//
//	string → string    int → long      float → double   bool → boolean
//	timestamp → long, logical type timestamp-millis      revision → int
//	[t]    → array of t; elements of a [float] are ["null", "double"]
//	t?     → ["null", t] with the default null
//
// A selected float is nullable whatever its declaration says: a number that is
// not finite is written as null. So a column can be added anywhere or taken away
// without breaking who reads by another schema, as long as it is nullable.
//
// Names that Avro does not allow have their other characters replaced by `_`.
package avro
