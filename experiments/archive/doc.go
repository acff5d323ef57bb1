// Package archive is stage 6's streaming sink for Parquet: it reads an
// experiment's rows back from the topic that they were committed to and publishes
// them as parts of a dataset. Before it: the join's worker, whose transactions
// make a row exactly once. After it: instances/dataset, whose folder trainers read.
//
//	archiver.go  Archiver: a member of a consumer group, in rounds: poll, append, roll, publish, commit
//	lane.go      one partition: the part that is being filled, and the one being published
//	assign.go    partitions that come and go
//	complete.go  _SUCCESS, once nothing more is to come into an hour
//	progress.go  how far the join has come, by what its group has committed
//	lag.go       how long the oldest row waits
//
// DESIGN.md says what is promised, and why.
package archive
