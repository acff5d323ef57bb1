// Package kafka is both ends of stage 6: it reads the source topics that stage 1
// cleans, and writes the instances that stage 5 encoded, over any broker that
// speaks Kafka's protocol, the embedded one (experiments/broker) included.
//
//	connect.go    configuration → client, and errors that say what to check
//	admin.go      topics, offsets, lag
//	transport.go  Transport: a worker's membership in the group
//	session.go      one assignment, from its offsets to its end
//	intake.go       what was fetched, handed out partition by partition
//	probe.go        offsets that hold nothing to read
//	outbox.go       what is produced, without an allocation a record
//	commit.go       outputs and offsets in one transaction
//	publisher.go  recorded files → topics
//	tail.go       a topic's committed records, for printing
//
// It is the only package that imports franz-go's client.
package kafka
