// Package broker runs a Kafka-protocol broker inside the process, with its log
// in a directory, so that an experiment runs on a laptop without a cluster. It
// stands in front of stage 1 and behind stage 6: experiments/kafka reads from
// it and writes to it over loopback, as any other Kafka client can.
//
// The protocol is franz-go's kfake. This package adds what a program that
// people rely on needs around it: one owner per directory, an address that a
// second process can find (Attach), topics whose records are kept however old
// their timestamps are, large records, and transactions that are whole again
// after the process was killed (see recover.go).
//
// It is for one machine and for tests: one node, one copy of the data, no
// fsync on the way. Production wants a real broker.
package broker
