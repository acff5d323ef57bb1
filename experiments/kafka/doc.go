// Package kafka is both ends of stage 6: it reads the source topics that stage 1
// cleans, and writes the instances that stage 5 encoded, over any broker that
// speaks Kafka's protocol, the embedded one (experiments/broker) included.
//
//	connect.go     configuration → client, and errors that say what to check
//	admin.go       topics, offsets, lag
//	transport.go   Transport: a worker's two ends, of three parts
//	membership.go    which tasks the group has given it
//	balancer.go      how tasks are given to members; warm.go: what members tell of theirs
//	offsets.go       what is committed for them; orphans.go: once dead workers' transactions are ended
//	width.go         topics that gain partitions
//	start.go         where reading begins, and gaps
//	intake.go        what was fetched, handed out partition by partition
//	probe.go         offsets that hold nothing to read
//	outbox.go        what is produced, without an allocation a record
//	producer.go      the transactions' client, and its successors
//	commit.go        outputs and offsets in one transaction
//	markers.go       transactions that a broker forgot to end
//	publisher.go   recorded files → topics
//	tail.go        a topic's committed records, for printing
//
// It is the only package that imports franz-go's client. DESIGN.md has what it
// guarantees, and why.
package kafka
