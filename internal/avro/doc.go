// Package avro reads Avro's binary format by a schema that is known only at run
// time: schemas as trees, and functions that pass over values, which the
// decoders of joiner/clean/avro and instances/avro are made of. Parsing and
// checking of schemas, and whatever is not on the way of every record, is
// github.com/twmb/avro's.
package avro
